"""What the daemon gives up by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.daemon.test_storage_faults import damage
from tests.support.daemons import DaemonProcess
from tests.support.waiting import until_told

import lastgood
from lastgood import AgentStatus, Client, Retention

OFTEN = ("--housekeeping-interval", "0.05")
AT_ONCE = timedelta(microseconds=1)


@pytest.fixture
def brisk(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that keeps house all the time."""
    process = DaemonProcess(tmp_path / "data", *OFTEN, forked=True).start()
    yield process
    process.close()


@asynccontextmanager
async def connected(daemon: DaemonProcess) -> AsyncIterator[Client]:
    async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        yield client


async def states(client: Client, holds: Callable[[list[str]], bool]) -> None:
    """Wait until that holds for the ids of the states."""
    await until_told(client.list_states, holds)


async def test_it_applies_the_policies_without_being_asked(brisk: DaemonProcess) -> None:
    async with connected(brisk) as client:
        await client.state("old").set("x", 1)
        for step in range(4):
            await client.checkpoints.create_checkpoint("wf", step, "a", AgentStatus.COMPLETED, {"step": step})
        await client.state("kept").set("x", 1)
        await client.set_retention(Retention(checkpoints=1), "wf")
        await client.set_retention(Retention(ttl=AT_ONCE), "old")
        await states(client, lambda found: found == ["kept"])
        await until_told(lambda: client.checkpoints.list_checkpoints("wf"), lambda found: len(found) == 1)
        await until_told(client.compact, lambda found: not found.copies)  # whatever it has not come to yet
        assert await client.workflow("wf").try_resume() == 4
    assert brisk.stop() == 0
    assert any(said["event"] == "applied the retention policies" and said["deleted"] == 1 for said in brisk.said())


@pytest.mark.slow
async def test_it_ends_in_the_midst_of_it(brisk: DaemonProcess) -> None:
    async with connected(brisk) as client:
        await asyncio.gather(*(client.state(f"s{number}").set("x", 1) for number in range(500)))
        await client.set_retention(Retention(ttl=AT_ONCE))
        await states(client, lambda found: len(found) < 500)
        assert await asyncio.to_thread(brisk.stop) == 0
    brisk.start()
    async with connected(brisk) as client:
        await states(client, lambda found: found == [])
        assert await client.state("s7").set("x", 2) == 1


async def test_what_is_damaged_keeps_nobody_else_from_it(brisk: DaemonProcess) -> None:
    async with connected(brisk) as client:
        for name in ("aaa", "bad", "zzz"):
            await client.state(name).set("x", "y" * 50)
    assert brisk.stop() == 0
    damage(brisk.folder, "changes", "entry", "log = (SELECT number FROM logs WHERE state_id = 'bad')")
    brisk.start()
    async with connected(brisk) as client:
        await client.set_retention(Retention(ttl=AT_ONCE))
        await states(client, lambda found: found == ["bad"])
        found = await client.compact()
        assert (found.deleted, found.damaged) == (0, 1)
        with pytest.raises(lastgood.CorruptDataError, match="bad"):
            await client.compact("bad")
        await client.state("after").set("x", 1)
        await states(client, lambda found: found == ["bad"])
    assert brisk.stop() == 0
    assert any(said["event"].startswith("passing over") and "'bad'" in said["event"] for said in map(_texts, brisk.said()))


def _texts(said: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in said.items()}
