"""What of a log stays: the floor by its policy, and the pins by all that refers to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority.commands.attempts import Resume
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState, Fork
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.compaction import Wanted
from lastgood_daemon.authority.floors import find_floor, find_wanted
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.references import gather
from lastgood_daemon.authority.replay import PAGE
from lastgood_daemon.authority.targets import Revision, StateRef
from lastgood_daemon.engine.checkpoint import COMPLETED
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import LogId
from lastgood_proto.values import encode

NOBODY = Author()
LOG = LogId("wf", 1)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with running(tmp_path) as at_work:
        yield at_work


async def do(daemon: Daemon, command: Write | MakeCheckpoint | TakeSnapshot | Fork | Resume | DeleteState) -> None:
    outcome = await daemon.do(command)
    assert not isinstance(outcome, Refused), outcome


async def write(daemon: Daemon, times: int = 1, size: int = 1, state_id: str = "wf") -> None:
    for _ in range(times):
        edit = Set(("x",), encode("ab"[daemon.store.turned // 10 % 2] * size))  # a value that is there already takes no room
        await do(daemon, Write(StateRef(state_id), NOBODY, Precondition(), (("set", edit),), 1))


def checkpoint(workflow_id: str, step: int, source: StateRef | Point) -> MakeCheckpoint:
    return MakeCheckpoint(workflow_id, step, NOBODY, COMPLETED, source, None, None, "copy", 1)


async def kept(daemon: Daemon, policy: Retention, log: LogId = LOG) -> Wanted:
    return await find_wanted(daemon.store, log, policy, await gather(daemon.store), 7)


async def test_everything_that_somebody_may_go_back_to_is_a_pin(daemon: Daemon) -> None:
    await write(daemon)
    await do(daemon, Resume("wf", NOBODY, None, encode({}), force=False, poison_after=0, size=1))  # begins at 2
    await write(daemon)
    await do(daemon, TakeSnapshot(StateRef("wf"), NOBODY, "id", None, None, 1))  # 3
    await write(daemon)
    await do(daemon, checkpoint("wf", 0, StateRef("wf")))  # 4
    await write(daemon, 2)
    await do(daemon, checkpoint("other", 5, Point("wf", 1, 5)))
    await write(daemon, 2)
    await do(daemon, Fork(StateRef("wf"), NOBODY, Revision(7), "fork"))  # has the content itself
    assert await kept(daemon, Retention(revisions=1)) == Wanted(8, frozenset({2, 3, 4, 5}), 7)
    assert (await kept(daemon, Retention(), LogId("fork", 1))) == Wanted(1, frozenset(), 7)


async def test_a_superseded_checkpoint_is_one_too(daemon: Daemon) -> None:
    for step in range(3):
        await write(daemon)
        await do(daemon, checkpoint("wf", step, StateRef("wf")))
    await do(daemon, Resume("wf", NOBODY, 0, None, force=False, poison_after=0, size=1))  # begins at 3, goes back to 1 in 4
    assert (await kept(daemon, Retention(revisions=1))).pins == {1, 2, 3}


async def test_what_was_about_another_life_is_none(daemon: Daemon) -> None:
    await write(daemon, 2)
    await do(daemon, checkpoint("other", 0, StateRef("wf")))
    await do(daemon, DeleteState(StateRef("wf"), NOBODY))
    await write(daemon, 4)
    assert await kept(daemon, Retention(revisions=2), LogId("wf", 2)) == Wanted(3, frozenset(), 7)


async def test_floors(daemon: Daemon) -> None:
    async def found(policy: Retention) -> int:
        return await find_floor(daemon.store, LOG, policy)

    for _ in range(10):
        await write(daemon, size=1000)
        daemon.store.turned += 10
    assert await found(Retention()) == 1
    assert await found(Retention(revisions=3)) == 8
    assert await found(Retention(revisions=30)) == 1
    assert await found(Retention(age=31)) == 8, "made 10, 20 and 30 ago"
    assert await found(Retention(age=30)) == 9
    assert await found(Retention(age=5)) == 10, "the present one stays"
    assert await found(Retention(bytes=3900)) == 8
    assert await found(Retention(bytes=10)) == 10
    assert await found(Retention(bytes=10**6)) == 1
    assert await found(Retention(revisions=5, age=31, bytes=10**6)) == 8
    assert await found(Retention(revisions=2, age=31, bytes=3900)) == 9
    assert await found(Retention(revisions=5, age=1000, bytes=2500)) == 9


async def test_a_log_of_several_pages(daemon: Daemon) -> None:
    for number in range(2 * PAGE + 10):
        edit = Set(("x",), encode("ab"[number % 2] * 100))
        daemon.ask(Write(StateRef("wf"), NOBODY, Precondition(), (("set", edit),), 1))
    await write(daemon, size=100)
    (row,) = await daemon.store.read_log(LOG, 2 * PAGE, 1)
    assert await find_floor(daemon.store, LOG, Retention(bytes=5 * len(row.entry))) == 2 * PAGE + 7
    assert await find_floor(daemon.store, LOG, Retention(age=1)) == 1
    daemon.store.turned = 1
    assert await find_floor(daemon.store, LOG, Retention(age=1)) == 2 * PAGE + 11
