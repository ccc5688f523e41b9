"""Files that are taken away from under a daemon, or lost before it starts."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.support.daemons import DaemonProcess, serve
from tests.support.forked import ForkedProcess
from tests.support.processes import is_alive
from tests.support.waiting import until

import lastgood
from lastgood_daemon.process import watch
from lastgood_daemon.process.serve import EXIT_STORAGE_FAILED


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def move_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def put_another_folder(folder: Path) -> None:
    move_folder(folder)
    shutil.copytree(folder.with_name("elsewhere"), folder, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])


def remove_database(folder: Path) -> None:
    (folder / "lastgood.db").unlink()


def put_another_database(folder: Path) -> None:
    shutil.copyfile(folder / "lastgood.db", folder / "new")
    (folder / "new").replace(folder / "lastgood.db")


def remove_wal(folder: Path) -> None:
    (folder / "lastgood.db-wal").unlink()


def empty_database(folder: Path) -> None:
    os.truncate(folder / "lastgood.db", 0)


LOSSES = [remove_folder, move_folder, put_another_folder, remove_database, put_another_database, remove_wal, empty_database]
a_loss = pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)


@a_loss
async def test_nothing_is_acknowledged_that_would_be_lost(own_daemon: DaemonProcess, lose: Callable[[Path], None]) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=2.0) as client:
        state = client.state("s")
        await state.set("a", 1)
        lose(own_daemon.folder)
        with pytest.raises((lastgood.OutcomeUnknownError, lastgood.DaemonUnavailableError)):
            await state.set("a", 2)
        assert await asyncio.to_thread(own_daemon.wait) == EXIT_STORAGE_FAILED
    said = own_daemon.log.read_text()
    assert ("is empty now" if lose is empty_database else "removed, renamed or replaced") in said


@a_loss
async def test_an_idle_daemon_notices_too(own_daemon: DaemonProcess, lose: Callable[[Path], None]) -> None:
    lose(own_daemon.folder)
    assert await asyncio.to_thread(own_daemon.wait) == EXIT_STORAGE_FAILED


def never_look() -> None:
    """Have a daemon find out with its calls alone."""
    watch.LOOK_SECONDS = 1e6


async def test_reads_are_refused_as_well(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True, mutant=never_look).start()
    try:
        async with lastgood.connect(daemon.address, timeout=1.0) as client:
            await client.state("s").set("a", 1)
            assert await client.state("s").get("a") == 1
            remove_folder(daemon.folder)
            with pytest.raises(lastgood.DaemonUnavailableError):
                await client.state("s").get("a")
        assert await asyncio.to_thread(daemon.wait) == EXIT_STORAGE_FAILED
    finally:
        daemon.close()


async def test_the_next_daemon_there_is_left_alone(own_daemon: DaemonProcess) -> None:
    folder = own_daemon.folder
    move_folder(folder)
    following = DaemonProcess(folder, forked=True)
    following.log = folder.with_name("following.log")
    try:
        following.start()
        assert await asyncio.to_thread(own_daemon.wait) == EXIT_STORAGE_FAILED
        async with lastgood.connect(data_dir=folder, autostart=False) as client:
            await client.state("s").set("a", 1)
        assert following.stop() == 0
    finally:
        following.close()


# Refused at the start.


def refused(folder: Path, *arguments: str) -> str:
    """Start a daemon that will not have the folder, and return what it says."""
    log = folder.with_name("refused.log")
    process = ForkedProcess(serve, ["--data-dir", str(folder), *arguments], log=log)
    assert process.wait(30) == 1
    return log.read_text()


async def test_a_second_name_of_the_database_is_refused(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    os.link(own_daemon.folder / "lastgood.db", tmp_path / "link" / "lastgood.db")
    said = refused(tmp_path / "link")
    assert "2 names (hard links)" in said
    assert "make a copy" in said
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as client:
        await client.state("s").set("a", 1)
    assert own_daemon.stop() == 0
    assert "2 names (hard links)" in refused(own_daemon.folder)
    (tmp_path / "link" / "lastgood.db").unlink()
    own_daemon.start()


@pytest.mark.parametrize("kill", [False, True], ids=["closed", "killed"])
@pytest.mark.parametrize("empty", [False, True], ids=["gone", "empty"])
async def test_a_database_that_is_lost_is_not_made_new(own_daemon: DaemonProcess, *, kill: bool, empty: bool) -> None:
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.state("s").set("a", 1)
    own_daemon.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    await asyncio.to_thread(own_daemon.wait)
    (folder / "lastgood.db").rename(folder.with_name("saved"))
    if empty:
        (folder / "lastgood.db").touch()
    said = refused(folder)
    assert f"lastgood.db {'is empty' if empty else 'is gone'}" in said
    assert "remove" in said
    assert (folder / "lastgood.db").exists() is empty
    folder.with_name("saved").rename(folder / "lastgood.db")
    own_daemon.start()
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        assert await client.state("s").get("a") == 1


def remove_wal_and_index(folder: Path) -> None:
    remove_wal(folder)
    (folder / "lastgood.db-shm").unlink()


def empty_wal(folder: Path) -> None:
    os.truncate(folder / "lastgood.db-wal", 0)


def cut_wal_short(folder: Path) -> None:
    os.truncate(folder / "lastgood.db-wal", 4096)


def damage_wal(folder: Path) -> None:
    wal = folder / "lastgood.db-wal"
    content = bytearray(wal.read_bytes())
    content[100] ^= 1  # in the first frame
    wal.write_bytes(content)


def save(folder: Path, saved: Path) -> None:
    """Keep what is in a folder without a daemon."""
    saved.mkdir()
    for file in folder.glob("lastgood.db*"):
        shutil.copyfile(file, saved / file.name)


@pytest.mark.parametrize(
    "lose", [remove_wal, remove_wal_and_index, empty_wal, cut_wal_short, damage_wal], ids=lambda lose: lose.__name__
)
async def test_what_was_acknowledged_is_not_gone_on_without(own_daemon: DaemonProcess, lose: Callable[[Path], None]) -> None:
    """What was written since the last checkpoint is in the WAL alone, and without it the database is an older one."""
    folder, wal = own_daemon.folder, own_daemon.folder / "lastgood.db-wal"
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        before = await client.server_info()
        await client.state("s").set("a", 1)
        await client.state("s").set("a", 2)
    own_daemon.kill()
    saved = wal.read_bytes()
    lose(folder)
    for _ in range(2):
        said = refused(folder)
        assert "lacks writes that were acknowledged" in said
        assert "remove lastgood.db-id" in said
    wal.write_bytes(saved)
    own_daemon.start()
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        assert await client.state("s").get("a") == 2
    own_daemon.kill()
    lose(folder)
    (folder / "lastgood.db-id").unlink()
    own_daemon.start()
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        assert (await client.server_info()).daemon_id == before.daemon_id
        assert (await client.server_info()).copy_id != before.copy_id, "what clients hold of what is lost is refused"


async def test_what_was_acknowledged_at_first_is_not_gone_on_without(tmp_path: Path) -> None:
    """A first daemon, killed as soon as it has written; nothing but its start was brought into the database."""
    daemon = DaemonProcess(tmp_path / "data", forked=True).start()
    try:
        async with lastgood.connect(daemon.address) as client:
            await client.state("s").set("a", 1)
        daemon.kill()
        remove_wal_and_index(daemon.folder)
        assert "lacks writes that were acknowledged" in refused(daemon.folder)
        os.truncate(daemon.folder / "lastgood.db", 0)
        assert "lastgood.db is empty" in refused(daemon.folder)
        with contextlib.closing(apsw.Connection(str(daemon.folder / "lastgood.db"))) as connection:
            connection.execute("PRAGMA journal_mode = wal").fetchall()
        assert "lastgood.db is empty" in refused(daemon.folder)
    finally:
        daemon.close()


async def written(folder: Path, value: object = "x") -> lastgood.ServerInfo:
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.state("s").set("a", value)
        return await client.server_info()


async def read(folder: Path) -> tuple[object, lastgood.ServerInfo]:
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        return await client.state("s").get("a"), await client.server_info()


async def test_a_wal_that_is_not_needed_may_be_gone(own_daemon: DaemonProcess) -> None:
    folder = own_daemon.folder
    own_daemon.kill()  # nothing was written
    remove_wal_and_index(folder)
    own_daemon.start()
    first = await written(folder)
    own_daemon.kill()
    with contextlib.closing(apsw.Connection(str(folder / "lastgood.db"))) as other:  # as whoever looks into it does
        other.execute("SELECT count(*) FROM changes").fetchall()
    assert not (folder / "lastgood.db-wal").exists()
    own_daemon.start()
    assert await read(folder) == ("x", dataclasses.replace(first, address=own_daemon.address))
    large = os.urandom(5_000_000)
    await written(folder, large)  # after which the WAL is brought into the database
    await until(lambda: (folder / "lastgood.db").stat().st_size > 5_000_000)
    own_daemon.kill()
    remove_wal_and_index(folder)
    own_daemon.start()
    assert (await read(folder))[0] == large


@pytest.mark.parametrize("at_once", [False, True], ids=["served", "at once"])
async def test_starts_that_are_killed_lose_nothing(own_daemon: DaemonProcess, *, at_once: bool) -> None:
    """Whenever a start is killed, what was acknowledged before is missed if the WAL is gone, and nothing else is."""
    folder = own_daemon.folder
    await written(folder)
    for _ in range(5):
        own_daemon.kill()
        own_daemon.spawn()
        if at_once:
            await until(lambda: own_daemon.process.poll() is None)
        else:
            await asyncio.to_thread(own_daemon.wait_up)
    own_daemon.kill()
    own_daemon.start()
    assert (await read(folder))[0] == "x"


# A backup that was put in place.


@pytest.mark.parametrize("in_place", [False, True], ids=["moved", "copied"])
async def test_a_backup_in_the_place_of_a_database(own_daemon: DaemonProcess, tmp_path: Path, *, in_place: bool) -> None:
    folder = own_daemon.folder
    before = await written(folder, "backed up")
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.backup(tmp_path / "backup")
        await client.state("s").set("a", "later")
    own_daemon.kill()
    if in_place:
        shutil.copyfile(tmp_path / "backup" / "lastgood.db", folder / "lastgood.db")
    else:
        (tmp_path / "backup" / "lastgood.db").replace(folder / "lastgood.db")
    content = (folder / "lastgood.db").read_bytes()
    said = refused(folder)
    assert "is another database than the one that lastgood.db-wal beside it was written for" in said
    assert "remove lastgood.db-wal and lastgood.db-shm" in said
    assert (folder / "lastgood.db").read_bytes() == content
    remove_wal_and_index(folder)
    own_daemon.start()
    found, after = await read(folder)
    assert (found, after.copy_id != before.copy_id) == ("backed up", True)


async def test_a_folder_that_was_copied_is_not_missed_anything_of(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    """Its mark, which is copied as well, is that of the original."""
    await written(own_daemon.folder)
    own_daemon.kill()
    save(own_daemon.folder, tmp_path / "copy")
    remove_wal_and_index(tmp_path / "copy")
    copy = DaemonProcess(tmp_path / "copy", forked=True).start()
    copy.close()


@pytest.mark.parametrize("left", [1, 50, 4096, -4096], ids=str)
async def test_a_database_that_was_cut_short_is_refused_and_named(own_daemon: DaemonProcess, left: int) -> None:
    folder, database = own_daemon.folder, own_daemon.folder / "lastgood.db"
    await written(folder)
    own_daemon.stop()
    size = database.stat().st_size
    os.truncate(database, left % size)
    said = refused(folder)
    assert f"{database} is " in said
    if left > 1:
        assert f"it was cut short, to {left % size:,} of {size:,} bytes. Go on from a backup" in said
    found = verified(folder)
    assert found.returncode == 1
    assert f"the storage: {database} is " in found.stdout
    assert database.stat().st_size == left % size


async def test_verifying_says_what_is_lost_and_goes_on_with_the_rest(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    folder = own_daemon.folder
    await written(folder)
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.backup(tmp_path / "backup")
        await client.state("s").set("b", 1)
    own_daemon.kill()
    whole = verified(folder)
    assert (whole.returncode, whole.stdout) == (0, "1 states, 2 revisions, 3 records\n")
    wal = (folder / "lastgood.db-wal").read_bytes()
    remove_wal(folder)
    found = verified(folder)
    assert found.returncode == 1
    assert "lacks writes that were acknowledged" in found.stdout
    assert "0 states, 0 revisions" in found.stdout, "what is there is as it should be"
    (folder / "lastgood.db-wal").write_bytes(wal)
    shutil.copyfile(tmp_path / "backup" / "lastgood.db", folder / "lastgood.db")
    assert "is another database than the one" in verified(folder).stdout
    (folder / "lastgood.db").unlink()
    assert "lastgood.db is gone" in verified(folder).stdout


def verified(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "lastgood_daemon", "verify", "--data-dir", str(folder)]
    before = {file.name: file.read_bytes() for file in folder.glob("lastgood.db*")}
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    assert {file.name: file.read_bytes() for file in folder.glob("lastgood.db*")} == before, "it only looks"
    return done


# Overwritten under a daemon.


def overwrite(folder: Path) -> None:
    """Put another store in the place of the database, into the file that is there."""
    shutil.copyfile(folder.with_name("other") / "lastgood.db", folder / "lastgood.db")


async def test_a_database_that_is_overwritten_is_noticed(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=2.0) as client:
        state = client.state("s")
        await state.set("a", 1)
        await client.backup(tmp_path / "other")
        os.utime(folder / "lastgood.db")
        await state.set("a", 2)
        overwrite(folder)
        with pytest.raises((lastgood.OutcomeUnknownError, lastgood.DaemonUnavailableError)):
            await state.set("a", 3)
        assert await asyncio.to_thread(own_daemon.wait) == EXIT_STORAGE_FAILED
    assert "was overwritten while this daemon had it open" in own_daemon.log.read_text()
    assert (folder / "lastgood.db").read_bytes() == (tmp_path / "other" / "lastgood.db").read_bytes()
    assert "is another database" in refused(folder)


async def test_an_idle_daemon_notices_an_overwritten_database(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as client:
        await client.backup(tmp_path / "other")
    overwrite(own_daemon.folder)
    assert await asyncio.to_thread(own_daemon.wait) == EXIT_STORAGE_FAILED


# Put back.


@pytest.mark.parametrize("name", ["endpoint.json", "daemon.sock", "daemon.lock"])
async def test_what_clients_and_other_daemons_need_is_put_back(own_daemon: DaemonProcess, name: str) -> None:
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.state("s").set("a", 1)
        (folder / name).unlink()
        await until((folder / name).exists)
        await client.state("s").set("a", 2)
        async with lastgood.connect(data_dir=folder, timeout=20.0) as other:
            assert await other.state("s").get("a") == 2
    assert "in use" in refused(folder)
    assert own_daemon.stop() == 0
    assert not {"endpoint.json", "daemon.sock"} & {file.name for file in folder.iterdir()}


# Whose process it is.


async def test_no_process_is_ended_because_a_file_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=subprocess.PIPE
    )
    autostarted = DaemonProcess(folder, "--autostarted", forked=True).start()
    served = DaemonProcess(folder, forked=True)
    served.log = tmp_path / "served.log"
    try:
        assert bystander.stdout is not None
        bystander.stdout.readline()
        (folder / "daemon.lock").write_text(f"{bystander.pid}\n")
        endpoint = (folder / "endpoint.json").read_text()
        (folder / "endpoint.json").write_text(endpoint.replace(str(autostarted.process.pid), str(bystander.pid)))
        await asyncio.to_thread(served.start)
        assert autostarted.wait() == 0
        assert is_alive(bystander.pid)
    finally:
        autostarted.close()
        served.close()
        bystander.kill()
        bystander.communicate()
