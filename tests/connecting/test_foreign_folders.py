"""Data folders with what somebody else has put there: nothing is followed, waited for or handed over."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess, serve
from tests.support.forked import run_forked
from tests.support.processes import run_script

import lastgood
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.lock import locked
from lastgood_daemon.process.verify import main as verify
from lastgood_daemon.store.sqlite import SqliteStore, StoreOpenError

FILES = ["endpoint.json", "autostart.lock", "daemon.log", "daemon.lock"]
SECONDS = 20.0
SOMEBODY = 4711

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


async def refused(folder: Path) -> str:
    """Connect in vain; return what is said, which is one line."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(lastgood.DaemonUnavailableError) as failure:
            await lastgood.connect(data_dir=folder, token="secret", timeout=SECONDS)  # noqa: S106 - nobody's
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize("name", FILES)
async def test_a_link_is_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).symlink_to(victim)
    said = await refused(folder)
    assert name in said
    assert "symbolic link" in said
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", FILES)
async def test_a_link_to_nothing_makes_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "made")
    assert name in await refused(folder)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", FILES)
async def test_what_has_a_second_name_is_not_written(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).hardlink_to(victim)
    said = await refused(folder)
    assert f"{folder / name} has 2 names (hard links)" in said
    assert said.endswith("Remove this one")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("kind", ["fifo", "folder", "second name"])
@pytest.mark.parametrize("name", ["lastgood.db-wal", "lastgood.db-shm", "lastgood.db-id", "lastgood.db-journal"])
@pytest.mark.parametrize("served", [False, True])
def test_a_daemon_opens_nothing_beside_its_database_that_is_not_of_it(
    folder: Path, tmp_path: Path, kind: str, name: str, *, served: bool
) -> None:
    folder.mkdir(mode=0o700)
    if served:
        asyncio.run(SqliteStore.open(folder / "lastgood.db").close())
    there = folder / name
    there.unlink(missing_ok=True)
    victim = tmp_path / "victim"
    victim.touch()
    if kind == "fifo":
        os.mkfifo(there)
    elif kind == "folder":
        there.mkdir()
    else:
        there.hardlink_to(victim)
    before = sorted(each.name for each in folder.iterdir())
    with pytest.raises(StoreOpenError, match=name) as failure:
        SqliteStore.open(folder / "lastgood.db")
    assert "\n" not in str(failure.value)
    assert sorted(each.name for each in folder.iterdir()) == before
    assert victim.stat().st_size == 0


@pytest.mark.parametrize("name", FILES)
async def test_nothing_waits_for_a_fifo(folder: Path, name: str) -> None:
    folder.mkdir()
    os.mkfifo(folder / name)
    try:
        assert name in await refused(folder)
    finally:
        (folder / name).unlink()


@as_root
@pytest.mark.parametrize("name", ["", "endpoint.json", "autostart.lock", "daemon.log", "daemon.lock"])
async def test_what_belongs_to_somebody_else_is_not_used(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    told: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read(1))
        writer.close()

    trap = tmp_path / "trap"
    async with await asyncio.start_unix_server(listen, trap):
        (folder / "endpoint.json").write_text(json.dumps({"address": f"unix:{trap}"}))
        if name not in {"", "endpoint.json"}:
            (folder / "endpoint.json").unlink()
            (folder / name).touch()
        os.chown(folder / name, SOMEBODY, SOMEBODY)
        assert str(SOMEBODY) in await refused(folder)
    assert told == []


@as_root
def test_a_folder_of_root_is_a_services(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    source = """
        import os, sys
        from pathlib import Path
        import lastgood.own_files as own
        os.setuid(4711)
        own.check_own_folder(Path("/"))
    """
    done = run_script(source)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["daemon.lock"])
def test_a_daemon_does_not_follow_either(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(tmp_path / "victim")
    with pytest.raises(FolderRefusedError, match="symbolic link"):
        DataFolder(folder)
    with pytest.raises(FolderRefusedError, match="symbolic link"), locked(folder):
        pass
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(FolderRefusedError, match="not a regular file"):
        DataFolder(folder)
    assert not (tmp_path / "victim").exists()


def test_a_note_of_a_backup_is_not_written_through_a_second_name(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("precious")

    async def back_up() -> None:
        store = SqliteStore.open(folder / "lastgood.db")
        try:
            (folder / "lastgood.db-backup").hardlink_to(victim)
            await store.backup(tmp_path / "copy")
        finally:
            await store.close()

    asyncio.run(back_up())
    assert victim.read_text() == "precious"
    assert (tmp_path / "copy" / "lastgood.db").exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A data folder that is not in tmp_path, which no other user can enter."""
    with TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        folder = Path(above, "data")
        folder.mkdir(mode=0o700)
        yield folder


@contextmanager
def somebody() -> Iterator[None]:
    """Be another user for a while, where this is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def as_somebody(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a command as another user, where this is root."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(SOMEBODY)
        os.setuid(SOMEBODY)
    return main(arguments)


@as_root
@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_another_user_has_put_where_the_socket_belongs_is_in_the_way(open_folder: Path, kind: str) -> None:
    there = open_folder / "daemon.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "fifo":
            os.mkfifo(there, 0o600)
        elif kind == "folder":
            there.mkdir(mode=0o700)
        else:
            listening.bind(str(there))
            listening.listen()
            there.chmod(0o600)
        os.chown(open_folder, SOMEBODY, SOMEBODY)
        done = run_forked(as_somebody, serve, ["--data-dir", str(open_folder)])
    assert done.returncode == 1
    assert json.loads(done.stderr)["error"] == f"{there} is in the way of the daemon's socket. Move it away"


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_that_another_user_may_not_read_is_told_of_in_one_line(open_folder: Path, mode: int) -> None:
    command = Command(open_folder)
    command.complains(1, "status")  # imports what may lie where only root may look
    daemon = DaemonProcess(open_folder, forked=True).start()
    try:
        open_folder.chmod(mode)
        with somebody():
            said = command.complains(1, "status")
        assert f"{open_folder} may not be looked into by user {SOMEBODY}" in said
        assert "as the owner of the folder" in said
    finally:
        daemon.stop()
    read = run_forked(as_somebody, verify, ["--data-dir", str(open_folder)])
    assert (read.returncode, read.stdout) == (2, "")
    assert f"{open_folder}/lastgood.db may not be used by user {SOMEBODY}. Run this as its owner" in read.stderr
    assert read.stderr.count("\n") == 1, read.stderr


@pytest.mark.parametrize("served", [False, True])
async def test_a_folder_that_may_not_be_written_to_is_named(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, *, served: bool
) -> None:
    interpreter = open_folder.with_name("python3")  # the real one may lie where only root may look
    interpreter.touch()
    monkeypatch.setattr("sys.executable", str(interpreter))
    if served:
        assert DaemonProcess(open_folder, forked=True).start().stop() == 0
    for each in (open_folder, *open_folder.iterdir()):
        os.chown(each, SOMEBODY if os.geteuid() == 0 else -1, -1)
    open_folder.chmod(0o500)
    try:
        done = run_forked(as_somebody, serve, ["--data-dir", str(open_folder)])
        assert done.returncode == 1
        said = json.loads(done.stderr)["error"]
        assert said.startswith(f"{open_folder} may not be written to. Make it writable (chmod u+rwx {open_folder})")
        with somebody():
            asked = await refused(open_folder)
        assert "Errno" not in asked
        assert f"{open_folder}/autostart.lock may not be used by user" in asked
    finally:
        open_folder.chmod(0o700)


@pytest.mark.parametrize("name", FILES)
async def test_a_folder_where_a_file_belongs_is_named(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    said = await refused(folder)
    assert "Errno" not in said
    assert f"{folder / name} is " in said


@as_root
def test_verify_leaves_nothing_in_a_foreign_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, SOMEBODY, SOMEBODY)
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []
