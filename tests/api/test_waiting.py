"""api.md, ``wait=True``: a claim that waits for its turn, and leaves nothing behind where it does not come."""

import asyncio
import os
import signal
import time

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import stopped
from tests.support.waiting import until

import lastgood
from lastgood import Client


async def _is_held(client: Client, wf: str) -> bool:
    status = await client.workflow(wf).status()
    return status is not None and status.condition == "held"


async def test_whoever_waits_gets_it_in_the_order_of_asking(client: Client, second_client: Client, wf: str) -> None:
    order: list[int] = []

    async def wait_for_it(number: int) -> None:
        async with (client, second_client)[number % 2].workflow(wf, wait=True) as workflow:
            order.append(number)
            await workflow.state.append("order", number)
            async with workflow.step(number, str(number)):
                pass

    async with asyncio.timeout(60):
        async with client.workflow(wf):
            waiting = []
            for number in range(4):
                waiting.append(asyncio.create_task(wait_for_it(number)))
                await _asked(client, second_client)
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


async def _asked(*clients: Client) -> None:
    """Wait until what has been sent so far has reached the daemon: calls of one session are taken up in order."""
    for _ in range(3):
        for client in clients:
            await client.server_info()


async def test_waiting_goes_on_for_longer_than_one_question(client: Client, second_client: Client, wf: str) -> None:
    async def wait_for_it() -> int:
        async with second_client.workflow(wf, wait=True) as workflow:
            return workflow.attempt

    async with client.workflow(wf):
        waiting = asyncio.create_task(wait_for_it())
        passed = time.monotonic() + 1.7
        await until(lambda: time.monotonic() > passed or waiting.done())
        assert not waiting.done()
    async with asyncio.timeout(30):
        assert await waiting == 2


async def test_waiting_outlasts_the_daemon(own_daemon: DaemonProcess) -> None:
    async with (
        asyncio.timeout(90),
        lastgood.connect(own_daemon.address, timeout=15.0) as holder,
        lastgood.connect(own_daemon.address, timeout=0.2) as waiter,
    ):

        async def wait_for_it() -> int:
            async with waiter.workflow("wf", wait=True) as workflow:
                return workflow.attempt

        async with holder.workflow("wf", lease=20.0):
            await waiter.server_info(timeout=15)
            waiting = asyncio.create_task(wait_for_it())
            await until(lambda: len(waiter._connection._ledger) > 0)  # noqa: SLF001 - that it has asked
            own_daemon.kill()
            gone = time.monotonic() + 2.5  # longer than any of its questions
            await until(lambda: time.monotonic() > gone or waiting.done())
            own_daemon.start()
            await holder.server_info()
            assert not waiting.done()
        assert await waiting == 2
        assert not await _is_held(holder, "wf")


async def test_waiting_for_a_daemon_that_does_not_answer(own_daemon: DaemonProcess) -> None:
    """What becomes of a question is unknown, so it is asked again, and granted once."""
    async with (
        asyncio.timeout(60),
        lastgood.connect(own_daemon.address, timeout=20.0) as client,
        lastgood.connect(own_daemon.address, timeout=0.2) as waiter,
    ):
        await waiter.server_info(timeout=20)

        async def wait_for_it() -> int:
            async with waiter.workflow("wf", wait=True) as workflow:
                return workflow.attempt

        with stopped(own_daemon.process.pid):
            waiting = asyncio.create_task(wait_for_it())
            gone = time.monotonic() + 2.5  # longer than one question
            await until(lambda: time.monotonic() > gone or waiting.done())
            assert not waiting.done()
        assert await waiting == len(await client.workflow("wf").list_attempts())
        assert not await _is_held(client, "wf")


async def test_whoever_gives_up_waiting_leaves_nothing_behind(client: Client, second_client: Client, wf: str) -> None:
    async with client.workflow(wf) as workflow:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), second_client.workflow(wf, wait=True):
                pytest.fail("it is held")
        assert [each.attempt for each in await workflow.list_attempts()] == [1]
    async with client.workflow(wf) as again:
        assert again.attempt == 2


async def test_a_claim_that_is_cancelled_on_its_way_is_not_left_behind(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        await client.server_info()
        with stopped(own_daemon.process.pid):
            entering = asyncio.create_task(client.workflow("wf").__aenter__())
            await until(lambda: len(client._connection._ledger) > 0)  # noqa: SLF001 - that it has been sent
            await asyncio.sleep(0)
            entering.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not await _is_held(client, "wf")


async def test_a_claim_of_which_nothing_is_known_is_not_left_behind(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=0.3) as client:
        await client.server_info(timeout=20)
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(lastgood.OutcomeUnknownError):
                await client.workflow("wf").__aenter__()
        finally:
            os.kill(own_daemon.process.pid, signal.SIGCONT)
        status = await client.workflow("wf").status(timeout=20)
        assert status is None or status.lease is None
