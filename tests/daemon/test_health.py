"""The standard health service."""

import asyncio
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.daemons import DaemonProcess

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


async def test_it_needs_no_token(own_daemon: DaemonProcess) -> None:
    assert own_daemon.stop() == 0
    guarded = DaemonProcess(own_daemon.folder, environment={"LASTGOOD_TOKEN": "t"}, forked=True).start()
    try:
        async with aio.insecure_channel(guarded.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert answer.status == SERVING
    finally:
        guarded.close()
