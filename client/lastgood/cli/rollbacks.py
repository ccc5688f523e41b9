"""The rollbacks of a workflow's state, found in its history without reading all of that: it may be long, and values big.

Of attempts and of failed steps it is known at which revision to look. What a person has restored is found as far back as
the newest revisions are looked through.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from lastgood import AgentStatus, Attempt, Checkpoint, HistoryEntry, Lineage, SharedState
from lastgood.errors import RevisionUnavailableError

_PAGE = 100
_LOOKED_THROUGH = 1000
_TOGETHER = 8


class Restore(NamedTuple):
    """One rollback: a revision that brought an earlier content back.

    Attributes:
        revision: which.
        timestamp: when.
        agent_id: who did it.
        attempt: in which attempt; None: in none.
        step: the step that was open then, or None.
        path: the subtree that was restored; ``""`` is all of it.
        source: what it went back to; None where the history does not tell any more.
    """

    revision: int
    timestamp: datetime
    agent_id: str
    attempt: int | None = None
    step: int | None = None
    path: str = ""
    source: Lineage | None = None


async def find(state: SharedState, attempts: Iterable[Attempt], checkpoints: Iterable[Checkpoint]) -> list[Restore]:
    """Find the rollbacks, oldest first.

    Args:
        state: the workflow's.
        attempts: those whose rollbacks are wanted.
        checkpoints: those whose failures are.
    """
    rolled_back = {each.revision: each for each in attempts if each.revision != each.from_revision}
    failed = {
        each.state_snapshot.revision + 1
        for each in checkpoints
        if each.status is AgentStatus.FAILED and each.state_snapshot.state_id == state.state_id
    }
    found, oldest = await _newest(state)
    room = asyncio.Semaphore(_TOGETHER)

    async def look(revision: int) -> list[Restore]:
        async with room:
            return await _at(state, revision)

    for there in await asyncio.gather(*(look(each) for each in failed | rolled_back.keys() if each < oldest)):
        found += there
    known = {(each.attempt, each.revision) for each in found}
    found += [
        Restore(revision, each.began_at, each.agent_id, each.attempt)
        for revision, each in rolled_back.items()
        if (each.attempt, revision) not in known
    ]
    return sorted(found, key=lambda each: (each.revision, each.timestamp))


async def _newest(state: SharedState) -> tuple[list[Restore], int]:
    """Look through the newest revisions; gives also the oldest revision that was looked at."""
    found: list[Restore] = []
    seen, oldest = 0, None
    while seen < _LOOKED_THROUGH:
        entries = await state.get_history(limit=_PAGE, newest_first=True, before=oldest, values=False)
        found += [_read(each) for each in entries if each.operation == "restore"]
        if len(entries) < _PAGE:
            return found, 0
        seen += _PAGE
        oldest = entries[-1].revision
    return found, oldest or 0


async def _at(state: SharedState, revision: int) -> list[Restore]:
    try:
        entries = await state.get_history(limit=1, after=revision - 1, values=False)
    except RevisionUnavailableError:  # compacted, or of a state that was deleted since
        return []
    return [_read(each) for each in entries if each.operation == "restore" and each.revision == revision]


def _read(entry: HistoryEntry) -> Restore:
    return Restore(entry.revision, entry.timestamp, entry.agent_id, entry.attempt, entry.step, entry.path, entry.source)
