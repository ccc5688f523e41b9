"""What is remembered of a session: a write costs the same however much that is, and none of it is lost."""

import gc
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.authority.at_work import Daemon, SlowStore, running, told
from tests.authority.leaked import wanted
from tests.authority.remains import remains
from tests.daemon.test_storage_faults import damage
from tests.engine.test_redaction import MARK, SECRET

from lastgood_daemon.authority import authority as authority_module
from lastgood_daemon.authority import world as world_module
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Refused, SnapshotTaken, Written
from lastgood_daemon.authority.session_records import chunk_key, session_key
from lastgood_daemon.authority.sessions import CHUNK, Identity, new_session_id
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Increment
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import Outcome as Stored
from lastgood_daemon.store.protocol import RecordWrite, Unit
from lastgood_proto.values import encode

FEW, MANY = 100, 10_000
SESSION = "session"


def increment(state: str = "s") -> Write:
    return Write(StateRef(state), Author(), Precondition(), (("increment", Increment(("n",), encode(1))),), 1)


async def write(daemon: Daemon, numbers: Sequence[int], acknowledged: int = 0, session: str = SESSION) -> list[Outcome]:
    """Hand in an increment under each of these numbers, all at once."""
    asked = [daemon.ask(increment(), Identity(session, number, acknowledged, b"request!")) for number in numbers]
    return [await told(each) for each in asked]


async def revisions(daemon: Daemon, numbers: Sequence[int], acknowledged: int = 0, session: str = SESSION) -> list[int]:
    outcomes = await write(daemon, numbers, acknowledged, session)
    assert all(isinstance(outcome, Written) for outcome in outcomes), outcomes
    return [outcome.point.revision for outcome in outcomes if isinstance(outcome, Written)]


async def places(daemon: Daemon, session: str = SESSION) -> list[int]:
    """The chunks that the store has."""
    return [int(record.key.key) for record in await daemon.store.records("session", session) if record.key.key]


@pytest.mark.slow
async def test_a_write_costs_the_same_however_many_answers_are_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    async def commit(self: SlowStore, units: Sequence[Unit]) -> list[Stored]:
        nonlocal written
        written += sum(len(each.value or b"") for unit in units for each in unit.writes)
        return await super(SlowStore, self).commit(units)

    monkeypatch.setattr(SlowStore, "commit", commit)

    async def cost(daemon: Daemon, first: int) -> tuple[int, float]:
        """Bytes of records, and seconds of the processor, of writes one after the other: a chunk of them."""
        gc.collect()
        before, began = written, time.process_time()
        for number in range(first, first + CHUNK):
            await write(daemon, [number])
        return written - before, time.process_time() - began

    async with running(tmp_path) as daemon:
        await write(daemon, range(1, FEW + 1))
        few = await cost(daemon, FEW + 1)
        await write(daemon, range(1000, MANY + 1))
        many = await cost(daemon, MANY + 1)
    assert many[0] < 3 * few[0], "bytes"
    assert many[1] < 3 * few[1], "time of the processor"


async def test_the_first_answer_comes_from_a_chunk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, after it has left memory, and after a new start; and the session goes on."""
    monkeypatch.setattr(world_module, "MAX_SESSIONS", 2)
    numbers = range(1, 1001)
    async with running(tmp_path) as daemon:
        first = await write(daemon, numbers)
        assert await write(daemon, numbers) == first
        for other in range(3):
            await write(daemon, [1], session=f"other {other}")
        assert daemon.authority._world.sessions.get(SESSION) is None  # noqa: SLF001 - that it has left is the point
        assert await write(daemon, numbers) == first
        assert await revisions(daemon, range(1001, 1501)) == list(range(1004, 1504)), "the versions came back, too"
    async with running(tmp_path) as daemon:
        assert await write(daemon, numbers) == first
        assert await revisions(daemon, [1501], acknowledged=1200) == [1504]
        again = await told(daemon.ask(increment("another"), Identity(SESSION, 1300, 1200, b"another!")))
        assert isinstance(again, Refused)
        assert again.reason == "REQUEST_MISMATCH"


async def test_what_is_acknowledged_leaves_the_file(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, range(1, 1001))
        assert await places(daemon) == list(range(7))
        await write(daemon, [1001], acknowledged=CHUNK * 2 - 2)
        assert await places(daemon) == list(range(1, 7)), "the last of the second is still to be acknowledged"
        await write(daemon, [1002], acknowledged=CHUNK * 2 - 1)
        assert await places(daemon) == list(range(2, 7))
        (refused,) = await write(daemon, [5])
        assert isinstance(refused, Refused)
        assert refused.reason == "OUTCOME_UNKNOWN"
        await write(daemon, [1003], acknowledged=1002)
        assert await places(daemon) == []
        (record,) = await daemon.store.records("session", SESSION)
        assert len(record.value) < 100
        assert await revisions(daemon, [1004], acknowledged=2**63) == [1004]


async def test_numbers_in_any_order(tmp_path: Path) -> None:
    """One long call among many, and others far apart: each has its first answer, and all can be acknowledged."""
    numbers = [*range(2, 700), 1, *range(1500, 699, -1), *range(10_000, 10_000_000, 50_000)]
    async with running(tmp_path) as daemon:
        first = await revisions(daemon, numbers)
        assert sorted(first) == list(range(1, len(numbers) + 1))
    async with running(tmp_path) as daemon:
        assert await revisions(daemon, numbers) == first
        await write(daemon, [20_000_000], acknowledged=10_000_000)
        assert await places(daemon) == []


async def test_a_session_whose_commit_failed_has_neither_answers_nor_chunks_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, range(1, 101))
        daemon.store.full = 1
        refused = await write(daemon, range(101, 200))
        assert {each.reason for each in refused if isinstance(each, Refused)} == {"OVERLOADED"}
        assert await places(daemon) == []
        assert await revisions(daemon, range(101, 200)) == list(range(101, 200))


async def test_a_session_may_leave_memory_while_it_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, range(1, 500))

        async def commit(self: SlowStore, units: Sequence[Unit]) -> list[Stored]:
            daemon.authority._world.forget_session(SESSION)  # noqa: SLF001 - as when many others come at that moment
            return await super(SlowStore, self).commit(units)

        with monkeypatch.context() as patched:
            patched.setattr(SlowStore, "commit", commit)
            assert await revisions(daemon, [500]) == [500]
        assert await revisions(daemon, [501], acknowledged=500) == [501]
        assert await places(daemon) == []


async def test_a_record_of_before_is_read_and_goes_on(tmp_path: Path) -> None:
    """All answers were in one record."""
    async with running(tmp_path) as daemon:
        first = await write(daemon, range(4, CHUNK))
        (record,) = await daemon.store.records("session", SESSION)
        _, answers, _ = msgspec.msgpack.decode(record.value)
        many = dict.fromkeys(range(CHUNK, 5 * CHUNK), answers[4])
        old = msgspec.msgpack.encode([3, {**answers, **many}])
        await daemon.store.commit([Unit(writes=[RecordWrite(session_key("old"), old, 0)])])
    async with running(tmp_path) as daemon:
        assert await write(daemon, range(4, CHUNK), session="old") == first
        assert await revisions(daemon, [1000], session="old") == [CHUNK - 3]
        assert await write(daemon, range(4, CHUNK), session="old") == first
        assert await places(daemon, "old") == [0, 1, 2, 3, 4]


async def test_a_session_expires_whole_and_not_while_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        authority, store = daemon.authority, daemon.store
        alive, idle = (new_session_id(store.copy_id, store.now()) for _ in range(2))
        first = await write(daemon, range(1, 500), session=alive)
        await write(daemon, range(1, 500), session=idle)
        between = store.now() + 1
        store.turned += 10
        await write(daemon, [500], session=alive)
        monkeypatch.setattr(authority_module, "LIFETIME", store.timeline.ages(store.now()).known(between))
        assert await authority.expire_sessions() == 1
        assert await store.records("session", idle) == []
        assert await write(daemon, range(1, 500), session=alive) == first


async def test_redaction_reaches_the_answers_in_chunks(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:

        async def take(number: int) -> Outcome:
            command = TakeSnapshot(StateRef("s"), Author(), f"snap {number}", f"l {SECRET}", None, 1)
            return await told(daemon.ask(command, Identity(SESSION, number)))

        await write(daemon, [1])
        for number in (2, 3):
            await take(number)
        first = await write(daemon, range(4, 1000))
        await take(1000)
        assert 0 in await places(daemon)
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path, SECRET) == []
        for number in (2, 3, 1000):
            taken = await take(number)
            assert isinstance(taken, SnapshotTaken)
            assert taken.snapshot.label == f"l {MARK}"
    async with running(tmp_path) as daemon:
        assert await write(daemon, range(4, 1000)) == first
        await write(daemon, [1001], acknowledged=1000)
        assert await places(daemon) == []


async def test_damage_of_a_chunk_is_found_and_its_session_begun_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        bad, gone, good = (new_session_id(daemon.store.copy_id, daemon.store.now()) for _ in range(3))
        for session in (bad, gone, good):
            await write(daemon, range(1, 500), session=session)
        assert (await daemon.authority.verify(""))[0].problems == []
        await daemon.store.commit([Unit(writes=[RecordWrite(chunk_key(gone, 1), None, 1)])])
    damage(tmp_path, "records", "value", f"owner = '{bad}' AND key = '{chunk_key(bad, 2).key}'")
    async with running(tmp_path) as daemon:
        problems, place = [], ""
        while True:
            found, place = await daemon.authority.verify(place)
            problems += found.problems
            if not place:
                break
        assert {(each.where, each.what) for each in problems} == {
            (f"the answers to requests 256 to 383 of session {bad!r}", "does not match its checksum"),
            (f"the record of session {gone!r}", "has 3 records of older answers, and 2 are there"),
        }
        for session in (bad, gone):
            assert await daemon.authority.open_session(session) != session
            (refused,) = await write(daemon, [500], session=session)
            assert isinstance(refused, Refused)
            assert refused.reason == "CORRUPT"
        assert await daemon.authority.open_session(good) == good
        assert await revisions(daemon, [500], session=good) == [1498]
