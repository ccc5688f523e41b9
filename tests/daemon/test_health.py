"""The standard health service."""

import asyncio
from typing import Any

import pytest
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.daemons import DaemonProcess

from lastgood_daemon.rpc.standard import MAX_OPEN

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_it_serves_from_the_moment_that_it_is_found_until_it_is_told_to_end(own_daemon: DaemonProcess) -> None:
    async with aio.insecure_channel(own_daemon.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        answer = await stub.Check(request, timeout=10, wait_for_ready=True)
        assert answer.status == SERVING
        watch = stub.Watch(request, timeout=60)
        assert (await watch.read()).status == SERVING
        ending = asyncio.create_task(asyncio.to_thread(own_daemon.stop))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        assert await ending == 0


async def test_it_needs_the_token_where_there_is_one(own_daemon: DaemonProcess) -> None:
    assert own_daemon.stop() == 0
    guarded = DaemonProcess(own_daemon.folder, environment={"LASTGOOD_TOKEN": "t"}, forked=True).start()
    try:
        async with aio.insecure_channel(guarded.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest()
            with pytest.raises(aio.AioRpcError) as refused:
                await stub.Check(request, timeout=10)
            assert refused.value.code() is StatusCode.UNAUTHENTICATED
            answer = await stub.Check(request, timeout=10, metadata=(("authorization", "Bearer t"),))
            assert answer.status == SERVING
    finally:
        guarded.close()


async def test_of_another_service_nothing_is_known(daemon: DaemonProcess) -> None:
    async with aio.insecure_channel(daemon.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="another")
        with pytest.raises(aio.AioRpcError) as refused:
            await stub.Check(request, timeout=10)
        assert refused.value.code() is StatusCode.NOT_FOUND
        watch = stub.Watch(request, timeout=10)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


async def test_watches_are_few(own_daemon: DaemonProcess) -> None:
    async with aio.insecure_channel(own_daemon.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=20) for _ in range(MAX_OPEN)]
        assert [(await watch.read()).status for watch in watches] == [SERVING] * MAX_OPEN
        with pytest.raises(aio.AioRpcError) as refused:
            await stub.Watch(health_pb2.HealthCheckRequest(), timeout=20).read()
        assert refused.value.code() is StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        async with asyncio.timeout(20):
            while not await _may_watch(stub):
                pass


async def _may_watch(stub: Any) -> bool:  # noqa: ANN401 - a stub
    try:
        return bool((await stub.Watch(health_pb2.HealthCheckRequest(), timeout=20).read()).status == SERVING)
    except aio.AioRpcError:
        return False
