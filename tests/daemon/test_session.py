"""The session protocol, by hand."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess
from tests.support.processes import stopped
from tests.support.sessions import RawSession, increment, json, read, reason_of, told, writing
from tests.support.waiting import until

import lastgood
from lastgood_daemon.authority import authority as authority_module
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.session_records import session_key
from lastgood_daemon.authority.sessions import LIFETIME, Newest, new_session_id
from lastgood_daemon.rpc.parts import MAX_CALL_BYTES
from lastgood_daemon.store.protocol import RecordWrite, Unit
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.v1 import common_pb2, session_pb2, state_pb2

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def session(daemon: DaemonProcess) -> AsyncIterator[RawSession]:
    async with RawSession(daemon.address) as opened:
        yield opened


def number(reply: session_pb2.Reply) -> int:
    assert reply.WhichOneof("result") == "increment", reply
    return msgspec.msgpack.decode(reply.increment.value.msgpack, type=int)


def conditional(sequence: int, state_id: str, revision: int) -> session_pb2.Call:
    context = writing(state_id, expected=common_pb2.Precondition(revision=revision))
    return session_pb2.Call(sequence=sequence, set=state_pb2.SetRequest(context=context, path="a", value=json("1")))


# The same number again.


async def test_the_same_number_gets_the_first_answer(session: RawSession, state_id: str) -> None:
    first = await session.call(increment(1, state_id))
    assert number(first) == 1
    assert await session.call(increment(1, state_id)) == first
    assert number(await session.call(increment(2, state_id))) == 2


async def test_the_same_number_in_one_message_is_done_once(session: RawSession, state_id: str) -> None:
    first = await session.call(*[increment(1, state_id)] * 5)
    others = [await session.reply(1) for _ in range(4)]
    assert others == [first] * 4
    assert number(await session.call(increment(2, state_id))) == 2


async def test_a_number_is_for_one_request(session: RawSession, state_id: str) -> None:
    first = await session.call(increment(1, state_id))
    for other in (increment(1, f"{state_id}-2"), conditional(1, state_id, 1)):
        assert reason_of(await session.call(other)) == "ERROR_REASON_REQUEST_MISMATCH"
    assert await session.call(increment(1, state_id)) == first
    assert number(await session.call(increment(2, state_id))) == 2


async def test_a_refusal_is_an_answer_too(session: RawSession, state_id: str) -> None:
    first = await session.call(conditional(1, state_id, 1))
    assert reason_of(first) == "ERROR_REASON_REVISION_CONFLICT"
    assert number(await session.call(increment(2, state_id))) == 1  # now it would hold
    assert told(await session.call(conditional(1, state_id, 1))) == told(first)


async def test_answers_are_known_on_another_connection_and_after_a_kill(own_daemon: DaemonProcess) -> None:
    calls = [increment(1, "s"), conditional(2, "s", 7), increment(3, "s")]
    async with RawSession(own_daemon.address) as session:
        first = [told(await session.call(call)) for call in calls]
        session_id = session.session_id
    for _ in range(2):
        async with RawSession(own_daemon.address, session_id) as session:
            assert session.session_id == session_id
            assert [told(await session.call(call)) for call in calls] == first
            assert number(await session.call(increment(4, "s"))) == 3
        own_daemon.kill()
        await asyncio.to_thread(own_daemon.start)


async def test_answers_of_long_ago_that_were_not_acknowledged_are_known_after_a_kill(own_daemon: DaemonProcess) -> None:
    count = 1000
    async with RawSession(own_daemon.address) as session:
        await session.send(session_pb2.SessionRequest(calls=[increment(sequence, "s") for sequence in range(1, count)]))
        first = {sequence: number(await session.reply(sequence)) for sequence in range(1, count)}
    own_daemon.kill()
    await asyncio.to_thread(own_daemon.start)
    async with RawSession(own_daemon.address, session.session_id) as again:
        assert again.session_id == session.session_id
        for sequence in (1, count // 2, count - 1):
            assert number(await again.call(increment(sequence, "s"))) == first[sequence]
        assert number(await again.call(increment(count, "s"))) == count


async def test_acknowledged_numbers_are_refused(session: RawSession, state_id: str) -> None:
    await session.call(increment(1, state_id))
    await session.call(increment(2, state_id), acknowledged=1)
    assert reason_of(await session.call(increment(1, state_id))) == "ERROR_REASON_OUTCOME_UNKNOWN"
    assert number(await session.call(increment(2, state_id))) == 2
    assert number(await session.call(increment(3, state_id))) == 3


async def test_numbers_may_be_left_out_and_come_in_any_order(session: RawSession, state_id: str) -> None:
    assert number(await session.call(increment(7, state_id))) == 1
    assert number(await session.call(increment(3, state_id))) == 2
    assert number(await session.call(increment(7, state_id))) == 1


async def test_two_sessions_may_use_the_same_numbers(daemon: DaemonProcess, state_id: str) -> None:
    async with RawSession(daemon.address) as one, RawSession(daemon.address) as two:
        assert one.session_id != two.session_id
        assert number(await one.call(increment(1, state_id))) == 1
        assert number(await two.call(increment(1, state_id))) == 2


# Taking up a session.


@pytest.mark.parametrize("asked", ["nonsense", "0123456789ab-1-00", "x" * 5000, "ü"])
async def test_an_unknown_session_gets_another_id(daemon: DaemonProcess, asked: str) -> None:
    async with RawSession(daemon.address, asked) as session:
        assert session.session_id not in {"", asked}


async def test_a_session_that_has_written_nothing_is_known_too(daemon: DaemonProcess) -> None:
    async with RawSession(daemon.address) as session:
        session_id = session.session_id
    async with RawSession(daemon.address, session_id) as again:
        assert again.session_id == session_id


async def test_the_session_of_another_store_is_unknown(daemon: DaemonProcess, own_daemon: DaemonProcess) -> None:
    async with RawSession(daemon.address) as session, RawSession(own_daemon.address, session.session_id) as other:
        assert other.session_id != session.session_id


async def test_a_second_connection_of_a_session_ends_the_first(daemon: DaemonProcess, state_id: str) -> None:
    async with RawSession(daemon.address) as first:
        await first.call(increment(1, state_id))
        async with RawSession(daemon.address, first.session_id) as second:
            assert "another connection" in await first.end()
            assert number(await second.call(increment(1, state_id))) == 1


async def test_the_opening_says_who_answers(daemon: DaemonProcess) -> None:
    session = RawSession(daemon.address)
    await session.connect()
    await session.send(session_pb2.SessionRequest(open=session_pb2.OpenSession()))
    response = await session.receive()
    assert response is not None
    assert response.opened.server.daemon_id == daemon.endpoint["daemon_id"]
    assert response.opened.server.data_dir == str(daemon.folder)
    await session.close()


# Expired sessions.


async def test_an_expired_session_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True)
    daemon.folder.mkdir()
    store = SqliteStore.open(daemon.folder / "lastgood.db")
    begun = new_session_id(store.daemon_id, store.now() - LIFETIME - 1)
    record = RecordWrite(session_key(begun), msgspec.msgpack.encode(Newest(acknowledged=3)), 0)
    await store.commit([Unit(writes=[record])])
    await store.close()
    try:
        await asyncio.to_thread(daemon.start)
        async with RawSession(daemon.address, begun) as session:
            assert session.session_id == begun, "it is old, but has written since"
            assert reason_of(await session.call(increment(3, "s"))) == "ERROR_REASON_OUTCOME_UNKNOWN"
            assert number(await session.call(increment(4, "s"))) == 1
        assert await asyncio.to_thread(daemon.stop) == 0
        monkeypatch.setattr(authority_module, "LIFETIME", -1)  # a day passes
        store = SqliteStore.open(daemon.folder / "lastgood.db")
        assert await Authority(store).expire_sessions() == 1
        await store.close()
        await asyncio.to_thread(daemon.start)
        async with RawSession(daemon.address, begun) as session:
            assert session.session_id != begun
    finally:
        daemon.close()


async def test_a_write_on_its_way_to_a_store_that_is_replaced_is_an_unknown_outcome(tmp_path: Path) -> None:
    """The folder is replaced by another one while a write is under way; what had not been sent is refused."""
    daemon = DaemonProcess(tmp_path / "data", forked=True).start()
    try:
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0) as client:
            state = client.state("s")
            await client.state("s").increment("n")
            with stopped(daemon.process.pid):
                sent = asyncio.create_task(state.increment("n"))
                await until(lambda: client._connection._ledger.in_flight)  # noqa: SLF001 - it has to be on its way
                reading = asyncio.create_task(client.list_states())
                daemon.process.kill()
            daemon.process.wait()
            shutil.rmtree(daemon.folder)
            await asyncio.to_thread(daemon.start)
            with pytest.raises(lastgood.OutcomeUnknownError, match="met the store"):
                await sent
            with pytest.raises(lastgood.StoreReplacedError):
                await reading
            with pytest.raises(lastgood.StoreReplacedError):
                await client.state("t").increment("n")
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0) as another:
            assert await another.list_states() == []
    finally:
        daemon.close()


# What is not the protocol.


async def status_of_stream(daemon: DaemonProcess, *messages: session_pb2.SessionRequest) -> StatusCode:
    """How a stream ends on which these are said."""
    session = RawSession(daemon.address)
    await session.connect()
    try:
        for message in messages:
            await session.send(message)
        with pytest.raises(aio.AioRpcError) as failure:
            await session.end()
        return failure.value.code()
    finally:
        await session.close()


OPEN = session_pb2.SessionRequest(open=session_pb2.OpenSession())


async def test_the_first_message_must_open_it(daemon: DaemonProcess) -> None:
    for first in (session_pb2.SessionRequest(), session_pb2.SessionRequest(calls=[increment(1, "never")])):
        assert await status_of_stream(daemon, first) is StatusCode.INVALID_ARGUMENT
    async with RawSession(daemon.address) as session:
        assert "never" not in (await session.call(read(1, "never"))).read.value.SerializeToString().decode(errors="replace")
        assert not (await session.call(read(2, "never", "n"))).read.existed


async def test_parts_that_make_no_call_are_refused(daemon: DaemonProcess) -> None:
    part = session_pb2.SessionRequest(part=session_pb2.Part(data=b"\xff\xff\xff", last=True))
    assert await status_of_stream(daemon, OPEN, part) is StatusCode.INVALID_ARGUMENT


async def test_parts_beyond_the_largest_call_are_refused(own_daemon: DaemonProcess) -> None:
    part = session_pb2.SessionRequest(part=session_pb2.Part(data=bytes(MEBIBYTE)))
    largest = MAX_CALL_BYTES // MEBIBYTE
    assert await status_of_stream(own_daemon, OPEN, *[part] * (largest + 1)) is StatusCode.INVALID_ARGUMENT
    async with RawSession(own_daemon.address) as another:
        assert number(await another.call(increment(1, "s"))) == 1


async def test_a_call_without_an_operation_is_refused(session: RawSession) -> None:
    assert reason_of(await session.call(session_pb2.Call(sequence=1))) == "ERROR_REASON_INVALID_ARGUMENT"


async def test_a_large_call_is_the_same_in_parts(session: RawSession, state_id: str) -> None:
    whole = large(1, state_id, b"\xc6\x00\x03\x00\x00" + b"a" * 0x30000)
    first = await session.call(whole)
    assert first.set.header.revision == 1
    encoded = whole.SerializeToString()
    for size in (len(encoded), 1000, MEBIBYTE):
        await send_in_parts(session, encoded, size)
        assert await session.reply(1) == first
    other = large(1, state_id, b"\xc6\x00\x03\x00\x00" + b"a" * 0x2FFFF + b"b")
    assert reason_of(await session.call(other)) == "ERROR_REASON_REQUEST_MISMATCH"
    await send_in_parts(session, other.SerializeToString(), 1000)
    assert reason_of(await session.reply(1)) == "ERROR_REASON_REQUEST_MISMATCH"


@pytest.mark.parametrize("beside", [0, 100_000])
async def test_bytes_that_are_no_value_are_refused(session: RawSession, state_id: str, beside: int) -> None:
    request = state_pb2.UpdateRequest(context=writing(state_id))
    request.assignments.add(path="a", value=common_pb2.Value(msgpack=msgspec.msgpack.encode("a" * beside)))
    request.assignments.add(path="b", value=common_pb2.Value(msgpack=b"\xc1" + b"a" * 16))
    refused = await session.call(session_pb2.Call(sequence=1, update=request))
    assert reason_of(refused) == "ERROR_REASON_INVALID_VALUE"


async def test_each_of_very_many_conditions_counts(session: RawSession, state_id: str) -> None:
    def call(sequence: int, **broken: int) -> session_pb2.Call:
        paths = {f"path.{number:020}": 0 for number in range(5_000)} | broken
        context = writing(state_id, expected=common_pb2.Precondition(paths=paths))
        return session_pb2.Call(sequence=sequence, set=state_pb2.SetRequest(context=context, path="a", value=json("1")))

    assert (await session.call(call(1))).set.header.revision == 1
    assert reason_of(await session.call(call(2, a=0))) == "ERROR_REASON_REVISION_CONFLICT"
    assert (await session.call(call(3, a=1))).set.header.revision == 2


def large(sequence: int, state_id: str, value: bytes) -> session_pb2.Call:
    request = state_pb2.SetRequest(context=writing(state_id), path="a", value=common_pb2.Value(msgpack=value))
    return session_pb2.Call(sequence=sequence, set=request)


async def send_in_parts(session: RawSession, call: bytes, size: int) -> None:
    for start in range(0, len(call), size):
        part = session_pb2.Part(data=call[start : start + size], last=start + size >= len(call))
        await session.send(session_pb2.SessionRequest(part=part))


async def test_calls_and_answers_in_parts(session: RawSession, state_id: str) -> None:
    value = os.urandom(3 * MEBIBYTE)
    request = state_pb2.SetRequest(
        context=writing(state_id), path="a", value=common_pb2.Value(msgpack=msgspec.msgpack.encode(value))
    )
    call = session_pb2.Call(sequence=1, set=request).SerializeToString()
    await send_in_parts(session, call, MEBIBYTE)
    assert (await session.reply(1)).set.header.revision == 1
    # What is small need not wait until what is large has been put together.
    await session.send(session_pb2.SessionRequest(calls=[read(2, state_id, "a"), read(3, state_id, "b")]))
    response = await session.receive()
    assert response is not None
    assert [reply.sequence for reply in response.replies] == [3]
    data = b""
    while True:
        response = await session.receive()
        assert response is not None
        data += response.part.data
        if response.part.last:
            break
        assert len(response.part.data) <= MEBIBYTE
    reply = session_pb2.Reply.FromString(data)
    assert msgspec.msgpack.decode(reply.read.value.msgpack) == value


# Deadlines.


async def test_work_whose_time_has_passed_is_not_done(own_daemon: DaemonProcess) -> None:
    """The calls wait in the socket of a daemon that stands still; they are late in its queue, not in its clock."""
    async with RawSession(own_daemon.address) as session:
        await session.call(increment(1, "s"))
        flood = [increment(sequence, "s") for sequence in range(2, 1502)]
        late = increment(1502, "t", timeout_ms=1)
        await session.send(session_pb2.SessionRequest(calls=[*flood, late]))
        reply = await session.reply(1502)
        assert reason_of(reply) == "ERROR_REASON_DEADLINE_EXCEEDED"
        assert not (await session.call(read(1503, "t", "n"))).read.existed
        # It had not begun, so the same number may still be done.
        assert number(await session.call(increment(1502, "t", timeout_ms=20_000))) == 1


@pytest.mark.slow
async def test_every_call_is_answered_however_many_there_are(session: RawSession, state_id: str) -> None:
    """More than a connection may have unanswered: reading stops for a while, and goes on."""
    count = 6000
    sending = asyncio.create_task(
        session.send(session_pb2.SessionRequest(calls=[increment(sequence, state_id) for sequence in range(1, count // 2)]))
    )
    rest = [increment(sequence, state_id) for sequence in range(count // 2, count + 1)]
    await sending
    for call in rest:
        await session.send(session_pb2.SessionRequest(calls=[call]))
    answers = {number(await session.reply(sequence)) for sequence in range(1, count + 1)}
    assert answers == set(range(1, count + 1))
