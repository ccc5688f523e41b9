"""Rounds of housekeeping, with a clock that is turned by hand, among what others do at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import apsw
import pytest
from tests.authority.at_work import Daemon, SlowStore, give_up, running, told
from tests.support.waiting import until

from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.commands.retention import DropCopy, ExpireState, PruneWorkflow, SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import CheckpointMade, Done, Pruned, Refused
from lastgood_daemon.authority.rounds import Compaction
from lastgood_daemon.authority.scanning import PAGE, scan
from lastgood_daemon.authority.targets import Content, StateRef
from lastgood_daemon.engine.checkpoint import COMPLETED
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.errors import EndedError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import CorruptRecordError, Damaged, Record, Unit
from lastgood_daemon.store.protocol import Outcome as Stored
from lastgood_daemon.store.timeline import Ages
from lastgood_proto.values import encode

NOBODY = Author()
TTL = 1_000_000
"""Microseconds."""


class BusyStore(SlowStore):
    """While it lists records of a kind, something may happen: after it has looked, and before it tells."""

    held: asyncio.Event | None = None
    """Until that is set, nothing is committed."""
    at_commit = False
    while_listing: tuple[str, Callable[[], Awaitable[object]]] | None = None

    async def commit(self, units: Sequence[Unit]) -> list[Stored]:
        if self.held is not None:
            self.at_commit = True
            await self.held.wait()
        return await super().commit(units)

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record | Damaged]:
        found = await super().list_records(kind, after_owner, limit)
        if self.while_listing is not None and self.while_listing[0] == kind:
            (_, happen), self.while_listing = self.while_listing, None
            await happen()
        return found


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    store = BusyStore.open(tmp_path / "lastgood.db")
    at_work = Daemon(store)
    yield at_work
    await at_work.end()
    await store.close()


def write(state_id: str) -> Write:
    return Write(StateRef(state_id), NOBODY, Precondition(), (("set", Set(("x",), encode(1))),), 1)


def make(workflow_id: str, step: int, source: StateRef | Point | None = None, copy_id: str = "") -> MakeCheckpoint:
    content = source or Content(encode({"step": step}))
    copy_id = copy_id or f"copy-{workflow_id}-{step}"
    return MakeCheckpoint(workflow_id, step, NOBODY, COMPLETED, content, None, None, copy_id, 1)


async def policy(daemon: Daemon, retention: Retention | None, owner: str = "") -> None:
    assert isinstance(await daemon.do(SetRetention(owner, retention, 1)), Done)


async def made(daemon: Daemon, command: MakeCheckpoint) -> Point:
    outcome = await daemon.do(command)
    assert isinstance(outcome, CheckpointMade), outcome
    return outcome.checkpoint.point


async def keep(daemon: Daemon, only: str | None = None) -> Compaction:
    found = await daemon.authority.housekeeper.keep(only)
    found.bytes = 0
    return found


async def ids(daemon: Daemon) -> list[str]:
    """All there are, the hidden ones too."""
    return [owned.owner async for owned in scan(daemon.store, "state") if b"born\xc3" in owned.records()[0].value]


# What counts as being written


@pytest.mark.parametrize("how", ["write", "snapshot", "checkpoint", "nothing"])
async def test_what_counts_as_being_written(daemon: Daemon, how: str) -> None:
    await policy(daemon, Retention(ttl=TTL))
    await daemon.do(write("wf"))
    daemon.store.turned = TTL - 1
    assert await keep(daemon) == Compaction()
    match how:
        case "write":
            await daemon.do(write("wf"))
        case "snapshot":
            await daemon.do(TakeSnapshot(StateRef("wf"), NOBODY, "id", None, None, 1))
        case "checkpoint":
            await daemon.do(make("wf", 0, StateRef("wf")))
    daemon.store.turned += TTL - 1
    if how != "nothing":
        assert await keep(daemon) == Compaction()
        daemon.store.turned += 1
    assert await keep(daemon) == Compaction(states=1, deleted=1)
    assert await keep(daemon) == Compaction()


async def test_pruning_is_no_writing(daemon: Daemon) -> None:
    for step in range(3):
        await daemon.do(make("wf", step, StateRef("wf")))
    await daemon.do(write("wf"))
    daemon.store.turned = TTL - 1
    await policy(daemon, Retention(checkpoints=1, ttl=TTL))
    assert (await keep(daemon)).checkpoints == 2
    daemon.store.turned = TTL
    assert (await keep(daemon)).deleted == 1


async def test_a_workflow_that_is_nothing_but_checkpoints_expires_too(daemon: Daemon) -> None:
    await daemon.do(make("wf", 0))
    await policy(daemon, Retention(ttl=TTL))
    daemon.store.turned = TTL
    assert await keep(daemon) == Compaction(states=1, deleted=1, copies=1)
    assert await ids(daemon) == []


# Every command decides anew


async def test_commands_without_a_reason_do_nothing(daemon: Daemon) -> None:
    await daemon.do(write("s"))
    copy = await made(daemon, make("wf", 0))
    since = daemon.store.now() + 1

    def age() -> Ages:
        return daemon.store.timeline.ages(daemon.store.now())

    nothing = Done(existed=False)
    assert await daemon.do(ExpireState("s", since, age())) == nothing, "no policy"
    assert await daemon.do(PruneWorkflow("wf", age())) == Pruned(0, 0)
    await policy(daemon, Retention(ttl=TTL, checkpoints=1))
    assert await daemon.do(ExpireState("s", since, age())) == nothing, "not yet"
    assert await daemon.do(ExpireState("never", since, age())) == nothing, "not there"
    assert await daemon.do(PruneWorkflow("wf", age())) == Pruned(0, 0)
    assert await daemon.do(DropCopy("s", since)) == nothing, "no copy"
    assert await daemon.do(DropCopy(copy.state_id, since - 1)) == nothing, "made since"
    daemon.store.turned = TTL
    assert await daemon.do(ExpireState(copy.state_id, since, age())) == nothing, "a copy goes with its checkpoint"
    await policy(daemon, Retention(), "s")
    assert await daemon.do(ExpireState("s", since, age())) == nothing, "it has a policy of its own by now"


# At the same time


async def test_a_copy_that_somebody_refers_to_while_it_is_looked_for_stays(daemon: Daemon) -> None:
    assert isinstance(daemon.store, BusyStore)
    copy = await made(daemon, make("wf", 0))
    await daemon.do(DeleteCheckpoints("wf", None, NOBODY, effects=False))
    daemon.store.turned = 1

    async def refer() -> None:
        assert await made(daemon, make("other", 0, copy)) == copy

    daemon.store.while_listing = ("checkpoint", refer)
    assert await keep(daemon) == Compaction()
    assert await ids(daemon) == [copy.state_id]
    await daemon.do(DeleteCheckpoints("other", None, NOBODY, effects=False))
    daemon.store.turned = 2
    assert await keep(daemon) == Compaction(copies=1)
    outcome = await daemon.do(make("other", 1, copy))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "STATE_NOT_FOUND"


async def test_a_copy_that_a_checkpoint_is_made_of_which_is_not_durable_yet_stays(daemon: Daemon) -> None:
    assert isinstance(daemon.store, BusyStore)
    copy = await made(daemon, make("wf", 0))
    await daemon.do(DeleteCheckpoints("wf", None, NOBODY, effects=False))
    daemon.store.turned, daemon.store.held = 1, asyncio.Event()
    answer = daemon.ask(make("other", 0, copy))
    store = daemon.store
    await until(lambda: store.at_commit)
    daemon.store.turned = 2
    at_it = asyncio.create_task(keep(daemon))
    for _ in range(20):  # reads come one after the other: by then it has looked at all that it wants to
        await daemon.store.list_records("checkpoint", "", 1)
    daemon.store.held.set()
    assert isinstance(await told(answer), CheckpointMade)
    assert await at_it == Compaction()
    assert await ids(daemon) == [copy.state_id]


async def test_a_copy_that_is_made_while_it_is_looked_stays(daemon: Daemon) -> None:
    assert isinstance(daemon.store, BusyStore)
    await daemon.do(make("wf", 0))
    daemon.store.turned = 1

    async def another() -> None:
        await daemon.do(make("aa", 0, copy_id="copy-aa"))

    daemon.store.while_listing = ("workflow", another)  # when the checkpoints have been looked at
    assert await keep(daemon) == Compaction()
    daemon.store.turned = 2
    assert await keep(daemon) == Compaction()


async def test_a_state_that_a_checkpoint_is_made_of_while_it_is_looked_for_stays(daemon: Daemon) -> None:
    assert isinstance(daemon.store, BusyStore)
    await policy(daemon, Retention(ttl=TTL), "s")
    await daemon.do(write("s"))
    daemon.store.turned = TTL

    async def refer() -> None:
        await made(daemon, make("wf", 0, StateRef("s")))

    daemon.store.while_listing = ("checkpoint", refer)
    assert await keep(daemon) == Compaction()
    daemon.store.turned += 1
    assert await keep(daemon) == Compaction()
    await daemon.do(DeleteCheckpoints("wf", None, NOBODY, effects=False))
    assert await keep(daemon) == Compaction(states=1, deleted=1)


async def test_a_checkpoint_of_a_life_that_is_over_keeps_nothing(daemon: Daemon) -> None:
    await daemon.do(write("s"))
    await made(daemon, make("wf", 0, StateRef("s")))
    await daemon.do(DeleteState(StateRef("s"), NOBODY))
    await daemon.do(write("s"))
    await policy(daemon, Retention(ttl=TTL), "s")
    daemon.store.turned = TTL
    assert await keep(daemon) == Compaction(states=1, deleted=1)


# What goes wrong


async def test_a_full_disk_ends_the_round_and_the_next_one_goes_on(daemon: Daemon) -> None:
    for state_id in ("a", "b"):
        await daemon.do(write(state_id))
    await policy(daemon, Retention(ttl=TTL))
    daemon.store.turned = TTL
    daemon.store.full = 1
    with pytest.raises(EndedError) as ended:
        await keep(daemon)
    assert ended.value.reason == "OVERLOADED"
    assert await ids(daemon) == ["a", "b"]
    assert await keep(daemon) == Compaction(states=2, deleted=2)


def damage(path: Path, kind: str, owner: str) -> None:
    connection = apsw.Connection(str(path / "lastgood.db"))
    connection.execute("UPDATE records SET checksum = x'00' WHERE kind = ? AND owner = ?", (kind, owner))
    assert connection.changes()
    connection.close()


async def filled(path: Path) -> None:
    async with running(path) as daemon:
        for workflow_id in ("bad", "good"):
            for step in range(3):
                await daemon.do(make(workflow_id, step))
        await policy(daemon, Retention(checkpoints=1))


@pytest.mark.parametrize(
    ("kind", "checkpoints", "copies"),
    [("checkpoint", 2, 0), ("retention", 4, 4), ("workflow", 2, 0)],
)
async def test_what_is_damaged_is_passed_over_and_what_it_may_need_stays(
    tmp_path: Path, kind: str, checkpoints: int, copies: int
) -> None:
    await filled(tmp_path)
    if kind == "retention":
        async with running(tmp_path) as daemon:
            await policy(daemon, Retention(checkpoints=1), "bystander")
        damage(tmp_path, kind, "bystander")
    else:
        damage(tmp_path, kind, "bad")
    async with running(tmp_path) as daemon:
        daemon.store.turned = 1
        found = await keep(daemon)
        assert (found.checkpoints, found.copies) == (checkpoints, copies)
        assert found.damaged == (0 if kind == "retention" else 1)


async def test_what_is_damaged_is_told_to_whoever_asks_for_that(tmp_path: Path) -> None:
    await filled(tmp_path)
    damage(tmp_path, "checkpoint", "bad")
    async with running(tmp_path) as daemon:
        with pytest.raises(EndedError, match="owner='bad'") as ended:
            await keep(daemon, "bad")
        assert ended.value.reason == "CORRUPT"


async def test_a_page_with_damage_lacks_nobody_else(tmp_path: Path) -> None:
    names = [f"s{number:04d}" for number in range(PAGE * 2 + 5)]
    async with running(tmp_path) as daemon:
        for name in names:
            daemon.ask(write(name))
        await daemon.do(give_up("nobody"))
    for bad in (names[0], names[PAGE], names[-1]):
        damage(tmp_path, "state", bad)
    async with running(tmp_path) as daemon:
        found = [owned async for owned in scan(daemon.store, "state")]
        assert [owned.owner for owned in found] == names
        missing = [owned.owner for owned in found if isinstance(owned.found, CorruptRecordError)]
        assert missing == [names[0], names[PAGE], names[-1]]
