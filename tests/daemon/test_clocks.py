"""Clocks that are ahead, set, or jump, and daemons that stand still or start again and again: what that must not change."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.clocks import WallClock
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import Client, Retention, WorkflowBusyError

CENTURY = 74 * 365.25 * 86_400.0
HOUR = 3_600.0
DAY = 86_400.0


@pytest.fixture
def wall(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "ahead")


@pytest.fixture
def clocked(tmp_path: Path, wall: WallClock) -> Iterator[DaemonProcess]:
    """A daemon by that clock, which is yet to be started."""
    made = DaemonProcess(tmp_path / "data", forked=True, mutant=wall)
    yield made
    made.close()


def connect(daemon: DaemonProcess) -> Client:
    return lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait for what the daemon says to be so."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - the daemon tells nobody
            await asyncio.sleep(0.05)


async def noticed(client: Client, ahead: float) -> None:
    """Wait until new revisions carry the time that the daemon's clock shows."""
    state = client.state("noticing")

    async def is_right() -> bool:
        revision = await state.set("x", 0)
        (entry,) = await state.get_history(limit=1, newest_first=True)
        assert entry.revision == revision
        return abs(entry.timestamp - datetime.now(UTC) - timedelta(seconds=ahead)) < timedelta(seconds=1)

    await until(is_right)


async def die_holding(daemon: DaemonProcess, lease: float) -> None:
    """Claim a workflow in a session that ends without giving it up."""
    client = connect(daemon)
    await client.workflow("wf", lease=lease).__aenter__()
    await client.aclose()


@pytest.mark.parametrize("ahead", [CENTURY, HOUR], ids=["in another century", "by an hour"])
@pytest.mark.parametrize("restarted", [False, True], ids=["set right", "set right at a restart"])
async def test_a_clock_that_was_ahead_once_leaves_nothing_behind(
    clocked: DaemonProcess, wall: WallClock, ahead: float, *, restarted: bool
) -> None:
    wall.set(ahead)
    clocked.start()
    async with connect(clocked) as client:
        await client.state("s").set("k", "ahead")
    await die_holding(clocked, 2.0)
    if restarted:
        clocked.kill()
    wall.set(0)
    if restarted:
        clocked.start()
    async with connect(clocked) as client:
        await noticed(client, 0)
        state = client.state("s")
        times = []
        for number in range(3):
            await state.set("k", number)
            times.append(datetime.now(UTC))
            await asyncio.sleep(0.4)
        found = [await state.get("k", at=each) for each in times]
        assert found == [0, 1, 2]
        history = await state.get_history()
        stamps = [entry.timestamp for entry in history]
        assert stamps == sorted(set(stamps)), "each has a time of its own"
        assert abs(stamps[-1] - times[-1]) < timedelta(seconds=0.5)
        assert stamps[0] < datetime.now(UTC)
        await state.restore(datetime.now(UTC) - timedelta(seconds=0.2))
        assert await state.get("k") == 2

        async def is_free() -> bool:
            try:
                async with client.workflow("wf"):
                    return True
            except WorkflowBusyError:
                return False

        await until(is_free, 20)


async def test_a_clock_that_is_set_ahead_takes_no_lease(clocked: DaemonProcess, wall: WallClock) -> None:
    clocked.start()
    async with connect(clocked) as client:
        async with client.workflow("wf", lease=20.0) as workflow:
            for ahead in (HOUR, 2 * DAY, -HOUR, CENTURY):
                wall.set(ahead)
                await noticed(client, ahead)
                await workflow.state.set("ahead", ahead)
            async with workflow.step(0, "a"):
                pass
        assert await client.checkpoints.has_checkpoint("wf", 0)


async def test_a_jump_of_two_days_deletes_nothing(clocked: DaemonProcess, wall: WallClock) -> None:
    clocked.start()
    async with connect(clocked) as client:
        state = client.state("s")
        await client.set_retention(Retention(age=timedelta(days=1)), "s")
        for number in range(20):
            await state.set("k", number)
        wall.set(2 * DAY)
        await noticed(client, 2 * DAY)
        await client.compact()
    clocked.kill()
    wall.set(4 * DAY)
    clocked.start()
    async with connect(clocked) as client:
        await client.compact()
        assert await client.state("s").get("k", at=1) == 0


@pytest.mark.slow
async def test_a_daemon_that_stood_still_takes_no_lease(clocked: DaemonProcess) -> None:
    """For longer than the lease, twice. Neither does its holder think that it has lost it."""
    clocked.start()
    lease = 2.0
    async with connect(clocked) as holder, connect(clocked) as other:

        async def wait_for_it() -> int:
            async with other.workflow("wf", wait=True) as workflow:
                return workflow.attempt

        async with holder.workflow("wf", lease=lease) as workflow:
            waiting = asyncio.create_task(wait_for_it())
            for number in range(2):
                await asyncio.sleep(0.3)
                clocked.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(2 * lease)
                clocked.process.send_signal(signal.SIGCONT)
                async with workflow.step(number, "a"):
                    await workflow.state.set("still", number)
                assert not waiting.done()
        async with asyncio.timeout(30):
            assert await waiting == 2


async def test_a_dead_holder_loses_it_however_often_the_daemon_is_killed(clocked: DaemonProcess) -> None:
    clocked.start()
    await die_holding(clocked, 4.0)
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        clocked.kill()
        clocked.start()
        async with connect(clocked) as client:
            status = await client.workflow("wf").status()
            assert status is not None
            if status.condition != "held":
                break
    assert 3 < time.monotonic() - begun < 30
