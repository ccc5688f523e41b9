"""After a write whose answer was lost, a read of the same session says what became of the write, and never too early."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.sessions import RawSession, increment, read
from tests.support.waiting import until, wait_until

import lastgood
from lastgood_daemon.store.sqlite import writing
from lastgood_proto.v1 import session_pb2, workflows_pb2

SHORT = 0.3


def hold_commits() -> None:
    """Have a daemon's commits wait as long as a file is there, like a disk that does not answer."""
    commit = writing.commit
    hold = Path(os.environ["HELD"])

    def held(*arguments: object) -> object:
        if hold.exists():
            hold.with_suffix(".reached").touch()
        wait_until(lambda: not hold.exists())
        return commit(*arguments)  # type: ignore[arg-type]

    writing.commit = held  # type: ignore[assignment]


class Disk:
    """The disk of a daemon."""

    def __init__(self, hold: Path) -> None:
        self._hold = hold

    def hold(self) -> None:
        self._hold.touch()

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)

    async def reached(self) -> None:
        """Wait until a commit waits."""
        await until(self._hold.with_suffix(".reached").exists)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "held")
    yield disk
    disk.release()


@pytest.fixture
def slow_daemon(tmp_path: Path, disk: Disk) -> Iterator[DaemonProcess]:
    process = DaemonProcess(
        tmp_path / "data", environment={"HELD": str(tmp_path / "held")}, forked=True, mutant=hold_commits
    ).start()
    yield process
    disk.release()
    process.close()


async def lose(client: lastgood.Client, disk: Disk, *, cancelled: bool) -> None:
    """Have a write be under way whose answer its caller does not wait for."""
    disk.hold()
    if not cancelled:
        with pytest.raises(lastgood.OutcomeUnknownError):
            await client.state("s").set("a", 1, timeout=SHORT)
        return
    task = asyncio.create_task(client.state("s").set("a", 1))
    await disk.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_read_waits_for_a_write_that_was_given_up(
    slow_daemon: DaemonProcess, disk: Disk, *, cancelled: bool
) -> None:
    async with (
        lastgood.connect(slow_daemon.address, timeout=30.0) as client,
        lastgood.connect(slow_daemon.address, timeout=30.0) as other,
    ):
        assert await client.state("s").get("a") is None
        await lose(client, disk, cancelled=cancelled)
        reads = [
            asyncio.create_task(client.state("s").get("a")),
            asyncio.create_task(client.state("s").exists("a")),
            asyncio.create_task(client.state("s").revision()),
        ]
        for _ in range(10):
            assert await other.state("s").get("a") is None  # which waits for nobody
        assert not any(task.done() for task in reads)
        disk.release()
        assert await asyncio.gather(*reads) == [1, True, 1]


async def test_reads_do_not_wait_for_writes_that_are_waited_for(slow_daemon: DaemonProcess, disk: Disk) -> None:
    async with lastgood.connect(slow_daemon.address, timeout=30.0) as client:
        await client.state("s").set("a", 0)
        disk.hold()
        write = asyncio.create_task(client.state("s").set("a", 1))
        await disk.reached()
        assert await client.state("s").get("a") == 0
        disk.release()
        await write
        assert await client.state("s").get("a") == 1


async def test_a_read_over_another_connection_of_the_session_waits_too(slow_daemon: DaemonProcess, disk: Disk) -> None:
    disk.hold()
    async with RawSession(slow_daemon.address) as first:
        await first.send(session_pb2.SessionRequest(calls=[increment(1, "s")]))
        await disk.reached()
    async with RawSession(slow_daemon.address, first.session_id) as second:
        assert (await second.call(read(2, "s", "n"))).read.header.revision == 0
        held = asyncio.create_task(second.call(read(3, "s", "n", after=1)))
        async with RawSession(slow_daemon.address) as other:
            for number in range(1, 10):
                await other.call(read(number, "s", "n", after=number))
        assert not held.done()
        disk.release()
        assert (await held).read.header.revision == 1


async def test_a_claim_that_waits_for_its_workflow_holds_no_read_up(slow_daemon: DaemonProcess) -> None:
    async with (
        lastgood.connect(slow_daemon.address, timeout=30.0) as holder,
        holder.workflow("w"),
        RawSession(slow_daemon.address) as session,
    ):
        claim = workflows_pb2.ClaimRequest(workflow_id="w", claim_id="c", lease_ms=1000, wait_ms=30_000)
        await session.send(session_pb2.SessionRequest(calls=[session_pb2.Call(sequence=1, claim=claim)]))
        async with asyncio.timeout(15):
            assert (await session.call(read(2, "w", after=1))).WhichOneof("result") == "read"
