"""Files that are taken away from under a daemon, or lost before it starts."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


async def test_a_wal_that_is_lost_is_not_gone_on_without(own_daemon: DaemonProcess) -> None:
    """The writes since the last checkpoint of the database are in it alone: without it an older store would be served."""
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        await client.state("s").set("a", 1)
    own_daemon.kill()
    (folder / "lastgood.db-wal").rename(folder.with_name("saved"))
    said = refused(folder)
    assert "lastgood.db-wal is gone" in said
    assert "remove lastgood.db-shm" in said
    folder.with_name("saved").rename(folder / "lastgood.db-wal")
    own_daemon.start()
    async with lastgood.connect(data_dir=folder, autostart=False) as client:
        assert await client.state("s").get("a") == 1


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
