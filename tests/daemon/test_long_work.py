"""Long work of a daemon: how it ends with the daemon, what is left of it, and how a client notices that nothing answers."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.waiting import until

import lastgood
from lastgood import DaemonUnavailableError, OutcomeUnknownError, OverloadedError


def never_done() -> None:
    """Have each backup go on and on."""
    from lastgood_daemon.store.sqlite.backup import Backup  # noqa: PLC0415 - only in the daemon

    begin = Backup.step

    def step(self: Backup, writer: object) -> bool:
        time.sleep(0.005)
        begin(self, writer)  # type: ignore[arg-type]
        return False

    Backup.step = step  # type: ignore[method-assign]


def small_files() -> None:
    """Let no file become larger than that, as `ulimit -f` does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Callable[[], None] | None], DaemonProcess]]:
    """Starts daemons on one folder."""
    made: list[DaemonProcess] = []

    def begin(mutant: Callable[[], None] | None) -> DaemonProcess:
        made.append(DaemonProcess(tmp_path / "data", forked=True, mutant=mutant).start())
        return made[-1]

    yield begin
    for each in made:
        each.close()


Start = Callable[[Callable[[], None] | None], DaemonProcess]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "today"


def client_of(daemon: DaemonProcess, timeout: float = 1.0) -> lastgood.Client:
    return lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=timeout)


def names(target: Path) -> list[str]:
    return sorted(each.name for each in target.parent.iterdir())


async def test_a_backup_ends_with_the_daemon(start: Start, target: Path) -> None:
    daemon = start(never_done)
    async with client_of(daemon) as client:
        making = asyncio.create_task(client.backup(target, timeout=3.0))
        await until(lambda: names(target))
        assert await asyncio.to_thread(daemon.stop) == 0
        assert names(target) == []
        with pytest.raises(DaemonUnavailableError):
            await making


async def test_what_a_killed_backup_has_left_goes_with_the_next_one(start: Start, target: Path) -> None:
    daemon = start(never_done)
    async with client_of(daemon) as client:
        making = asyncio.create_task(client.backup(target))
        await until(lambda: names(target))
        daemon.kill()
        with pytest.raises(OutcomeUnknownError):
            await making
    (left,) = names(target)
    assert left.startswith(".today.")
    foreign = target.with_name(".mine.0123abcd.partial")
    foreign.mkdir(mode=0o700)
    (foreign / "precious").touch()
    async with client_of(start(None), 20.0) as client:
        await client.backup(target)
    assert names(target) == [foreign.name, "today"]


async def test_what_a_killed_backup_has_left_goes_with_the_next_start(start: Start, target: Path) -> None:
    daemon = start(never_done)
    note = daemon.folder / "lastgood.db-backup"
    async with client_of(daemon) as client:
        making = asyncio.create_task(client.backup(target))
        await until(lambda: names(target))
        daemon.kill()
        with pytest.raises(OutcomeUnknownError):
            await making
    foreign = target.with_name(".mine.0123abcd.partial")
    foreign.mkdir(mode=0o700)
    assert len(names(target)) == 2
    daemon = start(None)
    assert names(target) == [foreign.name], "it removes nothing but what it has made"
    assert not note.exists()
    daemon.kill()
    (foreign / "precious").touch()
    for left in (foreign, target.parent, target.with_name("gone")):  # whatever the note says
        note.write_bytes(bytes(left))
        start(None).kill()
        assert names(target) == [foreign.name]
        assert not note.exists()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_that_nothing_answers_is_noticed_in_the_usual_time(start: Start, target: Path, number: signal.Signals) -> None:
    daemon = start(never_done)
    async with client_of(daemon) as client:
        making = asyncio.create_task(client.backup(target))
        await until(lambda: names(target))
        await asyncio.wait([making], timeout=2.5)
        assert not making.done(), "it waits for a daemon that is at work, longer than its usual time"
        os.kill(daemon.process.pid, number)
        with pytest.raises(OutcomeUnknownError, match="backup was sent"):
            await asyncio.wait_for(making, 20)


async def test_the_largest_size_of_a_file_counts_as_a_full_disk(start: Start) -> None:
    daemon = start(small_files)
    async with client_of(daemon, 20.0) as client:
        state = client.state("trip")
        await state.set("a", 1)
        with pytest.raises(OverloadedError, match="EFBIG"):
            await state.set("b", os.urandom(700_000))
        await state.set("c", 1)
        assert await state.get("a") == 1
    assert await asyncio.to_thread(daemon.stop) == 0


async def test_the_file_is_smaller_when_a_compaction_returns(start: Start) -> None:
    daemon = start(None)
    file = daemon.folder / "lastgood.db"
    async with client_of(daemon, 20.0) as client:
        await client.set_retention(lastgood.Retention(revisions=1))
        for _ in range(6):
            await client.state("trip").set("a", os.urandom(1_000_000))
        assert (await client.compact()).bytes > 4_000_000
        assert file.stat().st_size < 2_500_000
        assert file.with_name("lastgood.db-wal").stat().st_size < 100_000


async def test_free_pages_are_given_back_although_nothing_went(start: Start) -> None:
    daemon = start(None)
    file = daemon.folder / "lastgood.db"
    async with client_of(daemon, 20.0) as client:
        await client.state("small").set("a", os.urandom(600_000))
        await client.delete_state("small")
        gone = await client.compact()
        assert (gone.states, gone.bytes > 500_000) == (0, True)
        assert file.stat().st_size < 300_000
        await client.state("large").set("a", os.urandom(3_000_000))
        await client.delete_state("large")
        await until(lambda: file.stat().st_size < 300_000)
