"""What has to be read first delays itself, and what comes after it in its session; nothing else, and not for ever."""

import asyncio
from pathlib import Path

import pytest
from tests.authority.at_work import attempt, running, told, write

from lastgood_daemon.authority.commands.attempts import Resume
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.steps import BeginStep, CompleteStep
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Resumed, StepEnded, Written
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Revision, StateRef
from lastgood_daemon.authority.world import MAX_OTHERS
from lastgood_daemon.engine import trail
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_proto.values import encode

STATE = StateRef("wf")
RESUME = Resume("wf", Author("ann"), None, None, force=False, poison_after=0, size=1)


def by_somebody(value: int) -> Write:
    return Write(STATE, Author("somebody"), Precondition(), (("set", Set(("n",), encode(value))),), 1)


async def test_in_a_session_nothing_overtakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step ends at a revision that has all that its process handed in before."""
    monkeypatch.setattr(trail, "MAX_REVISIONS", 1)
    author = Author("ann", "wf", 1)
    async with running(tmp_path) as daemon:
        session = await daemon.authority.open_session("")
        await attempt(daemon.ask(RESUME, Identity(session, 1)))
        await daemon.do(BeginStep("wf", 0, author))
        for _ in range(3):
            await daemon.do(write(1))
        restored = daemon.ask(Restore(STATE, author, Precondition(), Revision(1), (), 1), Identity(session, 2))
        ended = daemon.ask(CompleteStep("wf", 0, author, None, None, 1), Identity(session, 3))
        other = daemon.ask(by_somebody(1), Identity(await daemon.authority.open_session(""), 1))
        outcomes = await told(restored), await told(ended), await told(other)
        assert [_revision(outcome) for outcome in outcomes] in ([4, 4, 5], [5, 5, 4])


def _revision(outcome: Outcome) -> int:
    assert isinstance(outcome, Written | StepEnded), outcome
    return outcome.point.revision


async def test_a_rollback_is_not_kept_waiting_by_those_who_go_on_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it undoes is more than is at hand, and there is more of it whenever something has been read."""
    monkeypatch.setattr(trail, "MAX_REVISIONS", 1)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(RESUME))
        await asyncio.gather(*(told(daemon.ask(by_somebody(n))) for n in range(MAX_OTHERS + 10)))
        daemon.store.meanwhile = lambda: daemon.do(by_somebody(0))
        resumed = await told(daemon.ask(RESUME))
        assert isinstance(resumed, Resumed)
        rollback = resumed.rollback
        newest = range(rollback.from_revision - MAX_OTHERS + 1, rollback.from_revision + 1)
        assert [other.revision for other in rollback.undone] == list(newest)
