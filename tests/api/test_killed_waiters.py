"""A waiter that was killed is not granted the workflow, and one killed around the grant does not keep it from the next."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.waiters import LEASE, wait_for
from tests.support.daemons import DaemonProcess
from tests.support.forked import ForkedProcess
from tests.support.waiting import until

from lastgood import Client

SOON = LEASE / 3
"""Seconds within which the next one has it, on a busy machine. It takes three; a lease takes ``LEASE``."""


class Waiter:
    """A process that waits for the workflow."""

    def __init__(self, folder: Path, wf: str, report: Path) -> None:
        self.report = report
        self.process = ForkedProcess(wait_for, str(folder), wf, "first", str(report), log=report.with_suffix(".log"))

    def says(self, word: str) -> bool:
        return self.report.exists() and word in self.report.read_text()


@pytest.fixture
def waiter(daemon: DaemonProcess, wf: str, tmp_path: Path) -> Iterator[Waiter]:
    made = Waiter(daemon.folder, wf, tmp_path / "first")
    yield made
    made.process.send_signal(signal.SIGCONT)
    made.process.kill()
    made.process.wait(20)


async def _waits(client: Client, wf: str) -> None:
    """Give what was started the time to get to the daemon."""
    for _ in range(20):
        await client.workflow(wf).status()
        await asyncio.sleep(0.02)


async def _holder(client: Client, wf: str) -> str | None:
    status = await client.workflow(wf).status()
    return status.lease.holder if status is not None and status.lease is not None else None


async def _until_it_holds(client: Client, wf: str) -> None:
    for _ in range(600):
        if await _holder(client, wf) == "first":
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def _take(client: Client, wf: str) -> int:
    async with client.workflow(wf, lease=LEASE, wait=True) as workflow:
        return workflow.attempt


@pytest.mark.parametrize("moment", ["long before", "just before"])
async def test_one_that_was_killed_while_it_waited(
    client: Client, second_client: Client, wf: str, waiter: Waiter, moment: str
) -> None:
    async with asyncio.timeout(60):
        async with client.workflow(wf, lease=LEASE):
            await until(lambda: waiter.says("waits"))
            await _waits(client, wf)
            second = asyncio.create_task(_take(second_client, wf))
            await _waits(client, wf)
            waiter.process.kill()
            waiter.process.wait(20)
            if moment == "long before":
                await asyncio.sleep(0.3)
        begun = time.monotonic()
        assert await second in ({2} if moment == "long before" else {2, 3})
        assert time.monotonic() - begun < SOON


async def test_one_that_is_killed_when_it_has_been_granted_and_has_not_heard_of_it(
    client: Client, second_client: Client, wf: str, waiter: Waiter
) -> None:
    async with asyncio.timeout(90):
        async with client.workflow(wf, lease=LEASE):
            await until(lambda: waiter.says("waits"))
            await _waits(client, wf)
            waiter.process.send_signal(signal.SIGSTOP)
        await _until_it_holds(client, wf)
        second = asyncio.create_task(_take(second_client, wf))
        await _waits(client, wf)
        waiter.process.kill()
        waiter.process.wait(20)
        begun = time.monotonic()
        assert await second == 3
        assert time.monotonic() - begun < SOON


async def test_one_that_stands_still_when_it_is_granted_holds_it(client: Client, wf: str, waiter: Waiter) -> None:
    async with asyncio.timeout(60):
        async with client.workflow(wf, lease=LEASE):
            await until(lambda: waiter.says("waits"))
            await _waits(client, wf)
            waiter.process.send_signal(signal.SIGSTOP)
        await _until_it_holds(client, wf)
        await asyncio.sleep(4.0)  # longer than one that is gone is waited for
        waiter.process.send_signal(signal.SIGCONT)
        await until(lambda: waiter.says("holds 2"))
        assert await _holder(client, wf) == "first"
