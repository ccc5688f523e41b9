"""What the daemon holds for its clients is bounded by bytes, whatever they send and whether or not they read.

The budget is small here, so that calls and answers on their way may take 16 MiB together.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.daemons import DaemonProcess
from tests.support.resident import MEBIBYTE, Resident
from tests.support.sessions import RawSession, read, reason_of, writing
from tests.support.waiting import until

import lastgood
from lastgood_daemon.process import trimming
from lastgood_daemon.rpc import inflight, session
from lastgood_proto.v1 import common_pb2, session_pb2, state_pb2, state_pb2_grpc

LARGE = 8
"""Mebibytes of a value."""
ROOM = 150
"""Mebibytes: what is in flight, a few answers that are encoded and copied, and what the allocator has not given back."""


def impatient() -> None:
    inflight.STALL_SECONDS = 0.3
    session.OPEN_SECONDS = 0.5
    trimming.TRIM_SECONDS = 0.5


@pytest.fixture
def small(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a small budget that gives up on clients sooner."""
    process = DaemonProcess(tmp_path / "data", "--memory", str(32 * MEBIBYTE), forked=True, mutant=impatient).start()
    yield process
    process.close()


@pytest.fixture
async def honest(small: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    async with lastgood.connect(data_dir=small.folder, autostart=False, timeout=60.0) as client:
        await client.state("large").set("v", os.urandom(LARGE * MEBIBYTE))
        yield client


@pytest.mark.slow
async def test_many_large_reads_at_once(small: DaemonProcess, honest: lastgood.Client) -> None:
    state = honest.state("large")
    memory = Resident(small.process.pid)
    sizes = await asyncio.gather(*(state.get("v") for _ in range(40)))
    assert [len(value) for value in sizes] == [LARGE * MEBIBYTE] * 40
    assert memory.growth() < ROOM
    await until(lambda: memory.now() < memory.before + 20)


@pytest.mark.slow
async def test_clients_that_read_nothing(small: DaemonProcess, honest: lastgood.Client) -> None:
    """Their answers are not even made, and neither do they keep others from theirs."""
    memory = Resident(small.process.pid)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            idle = await stack.enter_async_context(RawSession(small.address))
            calls = [read(sequence, "large", "v") for sequence in range(1, 20)]
            await idle.send(session_pb2.SessionRequest(calls=calls))
        for _ in range(3):
            assert len(await honest.state("large").get("v")) == LARGE * MEBIBYTE
        assert memory.growth() < ROOM
    await until(lambda: memory.now() < memory.before + 20)


@pytest.mark.slow
async def test_a_message_of_very_many_calls(small: DaemonProcess, honest: lastgood.Client) -> None:
    """They are answered a few at a time, and the calls of others between them."""
    count = 20_000
    await honest.state("small").set("n", 1)
    memory = Resident(small.process.pid)
    others = 0
    async with RawSession(small.address) as hasty:
        calls = session_pb2.SessionRequest(calls=[read(sequence, "small", "n") for sequence in range(1, count + 1)])
        sending = asyncio.create_task(hasty.send(calls))
        answered = 0
        while answered < count:
            response = await hasty.receive()
            assert response is not None
            answered += len(response.replies)
            assert not any(reply.HasField("error") for reply in response.replies)
            if answered < count:
                await honest.state("small").get("n")
                others += 1
        await sending
    assert others > count / 1000, "a thousand calls of one connection are worked on, at most, for one of another"
    assert memory.growth() < ROOM / 2


def beginning(sequence: int) -> session_pb2.SessionRequest:
    """The first mebibyte of a call that never ends."""
    request = state_pb2.SetRequest(
        context=writing("unfinished"), path="a", value=common_pb2.Value(msgpack=bytes(MEBIBYTE - 200))
    )
    data = session_pb2.Call(sequence=sequence, set=request).SerializeToString()
    return session_pb2.SessionRequest(part=session_pb2.Part(data=data))


@pytest.mark.slow
async def test_large_calls_that_are_never_finished(small: DaemonProcess, honest: lastgood.Client) -> None:
    memory = Resident(small.process.pid)
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(RawSession(small.address)) for _ in range(20)]

        async def send(unfinished: RawSession) -> None:
            for _ in range(10):
                await unfinished.send(beginning(1))

        sending = [asyncio.create_task(send(unfinished)) for unfinished in sessions]
        await honest.state("large").set("w", os.urandom(LARGE * MEBIBYTE))
        assert memory.growth() < ROOM
        refused = await sessions[0].reply(1)
        assert reason_of(refused) == "ERROR_REASON_OVERLOADED"
        assert "16 MiB, a quarter of --memory" in refused.error.message
        await asyncio.gather(*sending)
        assert await honest.state("unfinished").revision() == 0
    await until(
        lambda: memory.now() < memory.before + 20 + 3 * LARGE
    )  # the value was written, and is there in several forms


async def test_calls_without_the_token(tmp_path: Path) -> None:
    """No service takes anything in from a caller without a right."""
    guarded = DaemonProcess(tmp_path / "data", environment={"LASTGOOD_TOKEN": "t"}, forked=True).start()
    try:
        memory = Resident(guarded.process.pid)
        name = "x" * 8 * MEBIBYTE
        watched = health_pb2.HealthCheckRequest(service=name).SerializeToString()
        methods = {
            "grpc.health.v1.Health/Check": watched,
            "grpc.health.v1.Health/Watch": watched,
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": watched,
            "lastgood.v1.StateService/Set": watched,
            "lastgood.v1.SessionService/Session": watched,
            "lastgood.v1.StateService/NoSuchMethod": watched,
        }
        async with aio.insecure_channel(guarded.address) as channel:
            for method, message in methods.items():
                start: Any = channel.stream_stream(f"/{method}")
                assert await start().code() is StatusCode.UNAUTHENTICATED, "before anything has been sent"
                await asyncio.gather(*(start().write(message) for _ in range(8)), return_exceptions=True)
        assert memory.growth() < 30
    finally:
        guarded.close()


@pytest.mark.slow
async def test_watches_of_services_with_long_names(small: DaemonProcess) -> None:
    memory = Resident(small.process.pid)
    async with aio.insecure_channel(small.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for _ in range(20):
            with pytest.raises(aio.AioRpcError) as refused:
                await stub.Watch(health_pb2.HealthCheckRequest(service="x" * 8 * MEBIBYTE), timeout=20).read()
            assert refused.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert memory.growth() < 60


async def test_a_session_that_is_not_opened_is_ended(small: DaemonProcess) -> None:
    silent = RawSession(small.address)
    await silent.connect()
    async with asyncio.timeout(20):
        assert await silent.stream.code() is StatusCode.DEADLINE_EXCEEDED
    await silent.close()


@pytest.mark.slow
async def test_unary_calls_with_large_messages(small: DaemonProcess) -> None:
    """They are received a few at a time, and all are done."""
    memory = Resident(small.process.pid)
    value = common_pb2.Value(msgpack=msgspec.msgpack.encode(os.urandom(LARGE * MEBIBYTE)))
    async with aio.insecure_channel(small.address) as channel:
        stub = state_pb2_grpc.StateServiceStub(channel)
        request = state_pb2.SetRequest(context=writing("unary"), path="v", value=value)
        answers = await asyncio.gather(*(stub.Set(request, timeout=60) for _ in range(30)))
    assert sorted(answer.header.revision for answer in answers) == list(range(1, 31))
    assert memory.growth() < 2 * ROOM
