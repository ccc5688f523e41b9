"""How long the past is kept: what a policy lets go of.

Everything here is pure and decides nothing for good: whoever deletes something looks again inside the transaction. How old
something is, ``age`` tells from the moment at which it was made: clocks that were set are not to make it older.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.checkpoint import COMPLETED, Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Progress, Workflow

Age = Callable[[int], int]
"""Tells how old is what was made at a moment, in microseconds."""


class Retention(msgspec.Struct, frozen=True):
    """A policy; one record in the store. Times in microseconds. ``None``: no bound."""

    revisions: int | None = None
    """Of the log, the newest so many are kept."""
    age: int | None = None
    """Of the log, what is younger is kept."""
    bytes: int | None = None
    """Of the log, the newest so many bytes are kept."""
    ttl: int | None = None
    """A state or workflow that nobody has written for so long is deleted as a whole."""
    checkpoints: int | None = None
    """The last so many checkpoints are kept, and the last good one."""
    superseded: int | None = None
    """Checkpoints and effects that have been superseded for so long are dropped."""

    @property
    def prunes(self) -> bool:
        """Whether it says something about the parts of workflows."""
        return self.checkpoints is not None or self.superseded is not None

    @property
    def shortens(self) -> bool:
        """Whether it says something about logs."""
        return (self.revisions, self.age, self.bytes) != (None, None, None)


# Workflows.


def surplus(checkpoints: Iterable[Checkpoint], policy: Retention) -> list[Checkpoint]:
    """Give the checkpoints that are too many, by step, then attempt.

    They are counted in their order, whatever they have come to; the last good one stays even if later ones fill the count.
    """
    if policy.checkpoints is None:
        return []
    live = sorted((each for each in checkpoints if not each.superseded), key=lambda checkpoint: checkpoint.order)
    good = [each.order for each in live if each.status == COMPLETED][-1:]
    return [each for each in live[: -policy.checkpoints] if each.order not in good]


def is_dead(part: Checkpoint | Effect, policy: Retention, age: Age) -> bool:
    """Whether a part of a workflow has been superseded for long enough to go."""
    if policy.superseded is None or not part.superseded:
        return False
    made_at = part.created_at if isinstance(part, Checkpoint) else part.claimed_at
    return age(part.superseded_at or made_at) >= policy.superseded


def pruned(workflow: Workflow, policy: Retention, age: Age) -> tuple[list[Checkpoint], list[Effect]]:
    """Give the checkpoints and the effects of a workflow that are to go."""
    checkpoints = surplus(workflow.checkpoints.values(), policy)
    checkpoints += [each for each in workflow.in_order() if is_dead(each, policy, age)]
    return checkpoints, [each for each in workflow.all_effects() if is_dead(each, policy, age)]


# Whole states.


def last_written(state: State, progress: Progress) -> int:
    """Give when a state, or the workflow of its id, was last written; a snapshot counts. 0: never."""
    taken = max((snapshot.created_at for snapshot in state.snapshots.values()), default=0)
    return max(state.tree.timestamp, taken, progress.updated_at)


def is_expired(written_at: int, policy: Retention, age: Age) -> bool:
    """Whether what was last written at a moment is to go as a whole."""
    return policy.ttl is not None and age(written_at) >= policy.ttl


# Logs.


class Logged(NamedTuple):
    """One revision of a log, and how many bytes it takes there."""

    revision: int
    timestamp: int
    size: int


def lowest(policy: Retention, newest: int) -> int:
    """Give the lowest revision that may stay as far as their number goes."""
    return 1 if policy.revisions is None else max(1, newest - policy.revisions + 1)


def floor(policy: Retention, age: Age, newest: int, size: int, rows: Iterable[Logged]) -> int | None:
    """Give the lowest revision of a log that stays; nothing where none of these rows does.

    What exceeds any of the bounds goes, but never the newest revision. Pins are not looked at.

    Args:
        policy: the bounds.
        age: how old revisions are.
        newest: the present revision.
        size: the bytes of these rows and of all after them.
        rows: in their order. The log may be looked at page by page.
    """
    least = lowest(policy, newest)
    for row in rows:
        too_old = policy.age is not None and age(row.timestamp) >= policy.age
        too_much = policy.bytes is not None and size > policy.bytes
        if row.revision >= newest or not (row.revision < least or too_old or too_much):
            return row.revision
        size -= row.size
    return None
