"""Looking at a folder leaves it as it is: nothing made, nothing changed, whoever looks and whatever is found."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess
from tests.support.processes import environment
from tests.support.waiting import wait_until

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away, and mount one")


def seen(folder: Path) -> dict[str, tuple[int, ...]]:
    """What can be told of a folder and what is in it."""
    found = {each.name: each.lstat() for each in (folder, *folder.iterdir())}
    return {name: (s.st_ino, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns) for name, s in found.items()}


@pytest.fixture
def killed(own_daemon: DaemonProcess) -> Path:
    """A folder whose daemon was killed: what it has written is still in the WAL."""
    Command(own_daemon.folder).says("set", "trip", "a", "1")
    own_daemon.kill()
    assert (own_daemon.folder / "lastgood.db-wal").stat().st_size > 0
    return own_daemon.folder


def files_only(folder: Path) -> None:
    for name in ("lastgood.db-shm", "daemon.lock", "endpoint.json", "daemon.sock"):
        (folder / name).unlink()


def as_it_is(_: Path) -> None:
    pass


@pytest.mark.parametrize("left", [as_it_is, files_only])
def test_verify_and_status(killed: Path, left: Callable[[Path], None]) -> None:
    left(killed)
    before = seen(killed)
    found = Command(killed).json("verify")
    assert (found["ok"], found["states"]) == (True, 1), "the WAL was read"
    Command(killed).complains(1, "status")
    assert seen(killed) == before


@AS_ROOT
def test_verify_by_root_of_a_folder_of_another_user(killed: Path) -> None:
    (killed / "endpoint.json").unlink()
    for each in (killed, *killed.iterdir()):
        os.chown(each, NOBODY, NOBODY)
    before = seen(killed)
    assert Command(killed).json("verify")["states"] == 1
    assert seen(killed) == before


@pytest.fixture
def read_only(killed: Path) -> Iterator[Path]:
    done = subprocess.run(["mount", "--bind", str(killed), str(killed)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(killed)], check=True)
        yield killed
    finally:
        subprocess.run(["umount", str(killed)], check=True)


@AS_ROOT
def test_verify_on_a_read_only_file_system(read_only: Path) -> None:
    before = seen(read_only)
    assert Command(read_only).json("verify")["states"] == 1
    assert seen(read_only) == before


def serve(folder: Path) -> str:
    """Try to serve a folder; return why that is refused."""
    command = [sys.executable, "-m", "lastgood_daemon", "serve", "--data-dir", str(folder)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


def foreign(folder: Path) -> None:
    (folder / "lastgood.db").write_bytes(b"the work of years" * 1000)


def in_the_way(folder: Path) -> None:
    (folder / "daemon.sock").write_text("precious")


def newer(folder: Path) -> None:
    content = bytearray((folder / "lastgood.db").read_bytes())
    content[60:64] = (99).to_bytes(4, "big")  # PRAGMA user_version
    (folder / "lastgood.db").write_bytes(content)


@pytest.mark.parametrize(
    ("made", "why"), [(foreign, "not a lastgood store"), (in_the_way, "in the way"), (newer, "a newer lastgood wrote it")]
)
def test_serve_that_is_refused(own_daemon: DaemonProcess, tmp_path: Path, made: Callable[[Path], None], why: str) -> None:
    own_daemon.stop()
    folder = tmp_path / "some folder"
    folder.mkdir()
    folder.chmod(0o775)
    if made is newer:
        shutil.copy(own_daemon.folder / "lastgood.db", folder)
    made(folder)
    for each in folder.iterdir():
        each.chmod(0o644)
    before, content = seen(folder), [each.read_bytes() for each in folder.iterdir()]
    assert why in serve(folder)
    assert [each.read_bytes() for each in folder.iterdir()] == content
    after = seen(folder)
    assert after.keys() == before.keys()
    for name, (inode, mode, owner, size, *times) in before.items():
        assert after[name][:4] == (inode, mode, owner, size)
        assert name == folder.name or after[name][4:] == tuple(times), "a lock was there for a moment"


def test_a_client_that_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    before = seen(shared)
    assert "shared between users" in Command(shared).complains(1, "get", "trip")
    assert seen(shared) == before


def test_what_is_in_the_way_of_a_socket_stays_there(own_daemon: DaemonProcess) -> None:
    path = own_daemon.folder / "daemon.sock"
    path.unlink()
    path.write_text("precious")
    said = "is in the way of the daemon's socket"
    wait_until(lambda: said in own_daemon.log.read_text(), 10)
    path.rename(path.with_name("moved away"))
    wait_until(lambda: path.exists() and _answers(path), 10)
    path.unlink()
    path.write_text("precious")
    assert own_daemon.stop() == 0
    assert path.read_text() == "precious"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
