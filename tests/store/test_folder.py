"""The data folder, with real second processes, sockets and modes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lastgood_daemon.process import folder as module
from lastgood_daemon.process.endpoint import Endpoint
from lastgood_daemon.process.filesystem import FolderRefusedError, mounts_of_this_machine, refuse_network
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.lock import FolderInUseError, FolderLostError
from lastgood_daemon.process.sockets import SocketFile, SocketTakenError

HOLD = """
import os, sys
from lastgood_daemon.process.endpoint import Endpoint
from lastgood_daemon.process.folder import DataFolder
folder = DataFolder(sys.argv[1])
if len(sys.argv) > 2:
    folder.publish(Endpoint(sys.argv[2], os.getpid(), "id", "0.1", False))
print("held", flush=True)
sys.stdin.read()
"""


def endpoint(address: str = "unix:/x", pid: int | None = None) -> Endpoint:
    return Endpoint(address, pid or os.getpid(), "some-uuid", "0.1.0", autostarted=True, secret="a secret")  # noqa: S106 - of nothing


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextlib.contextmanager
def held_by_another_process(path: Path, *address: str) -> Iterator[subprocess.Popen[bytes]]:
    root = str(Path(module.__file__).parents[2])
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert other.stdin
    assert other.stdout
    try:
        assert other.stdout.readline() == b"held\n"
        yield other
    finally:
        other.stdin.close()
        other.wait(30)
        other.stdout.close()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, where sockets fit whatever pytest's own paths are."""
    with tempfile.TemporaryDirectory(prefix="lg", dir="/tmp") as name:
        yield Path(name).resolve()


def bind(path: Path) -> None:
    """Bind and leave the socket file behind, as a killed daemon does."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@contextlib.contextmanager
def listening(at: SocketFile) -> Iterator[None]:
    """Listen there, as a daemon does."""
    with socket.socket(socket.AF_UNIX) as server:
        with at.binding():
            at.path.unlink(missing_ok=True)  # as gRPC does
            server.bind(str(at.path))
            server.listen()
        yield


# One daemon a folder


def test_a_second_process_is_refused_with_pid_address_and_advice(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path / "d", "unix:/there") as other:
        with pytest.raises(FolderInUseError) as caught:
            DataFolder(tmp_path / "d")
        assert caught.value.pid == other.pid
        assert caught.value.address == "unix:/there"
        for part in (str(tmp_path / "d"), str(other.pid), "unix:/there", "Connect to it", "kill"):
            assert part in str(caught.value)
        assert json.loads((tmp_path / "d" / "endpoint.json").read_text())["address"] == "unix:/there", "left alone"
    DataFolder(tmp_path / "d").close()


def test_a_second_process_is_refused_before_the_first_has_an_address(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as other:
        (tmp_path / "endpoint.json").write_text(json.dumps({"address": "unix:/old", "pid": other.pid + 1}))
        with pytest.raises(FolderInUseError) as caught:
            DataFolder(tmp_path)
        assert (caught.value.pid, caught.value.address) == (other.pid, None)


def test_a_process_that_the_kernel_does_not_name_is_not_named(tmp_path: Path) -> None:
    """What the file says may be the number of any process by now, or be meant in another container."""
    with held_by_another_process(tmp_path):
        (tmp_path / "daemon.lock").write_text("1\n")
        with pytest.raises(FolderInUseError) as caught:
            DataFolder(tmp_path)
        assert caught.value.pid is None
        assert "kill" not in str(caught.value)


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        with pytest.raises(FolderInUseError):
            DataFolder(tmp_path)
        assert folder.path == tmp_path


def test_another_name_of_the_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with held_by_another_process(tmp_path / "real"), pytest.raises(FolderInUseError):
        DataFolder(tmp_path / "link")
    with DataFolder(tmp_path / "link") as folder:
        assert folder.path == tmp_path / "real"


def test_what_a_killed_daemon_left_is_taken_over(short: Path) -> None:
    with held_by_another_process(short, "unix:/gone") as other:
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    assert (short / "endpoint.json").exists()
    bind(short / "daemon.sock")
    (short / "daemon.lock").write_text("1" * 30)
    with DataFolder(short) as folder:
        assert not (short / "endpoint.json").exists()
        with listening(folder.socket()):
            assert folder.socket().is_there
        assert (short / "daemon.lock").read_text() == f"{os.getpid()}\n"


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        folder.close()
        DataFolder(tmp_path).close()
    finally:
        child.communicate()


def test_the_lock_file_of_a_folder_that_was_served_is_never_removed(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.publish(endpoint())
    inode = (tmp_path / "daemon.lock").stat().st_ino
    DataFolder(tmp_path).close()
    assert (tmp_path / "daemon.lock").stat().st_ino == inode


# The folder itself


@pytest.mark.parametrize("umask", [0, 0o177])
def test_it_is_made_for_its_owner_only(tmp_path: Path, umask: int) -> None:
    (tmp_path / "a").mkdir()
    old = os.umask(umask)
    try:
        with DataFolder(tmp_path / "a" / "b") as folder:
            folder.publish(endpoint())
            assert mode(folder.path) == 0o700
            assert mode(folder.path / "daemon.lock") == 0o600
            assert mode(folder.endpoint) == 0o600
            assert folder.database == folder.path / "lastgood.db"
            assert folder.log == folder.path / "daemon.log"
    finally:
        os.umask(old)


def test_others_may_not_write_into_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o775)
    with DataFolder(tmp_path / "d") as folder:
        assert mode(tmp_path / "d") == 0o775, "it may still turn out that it cannot be served"
        folder.publish(endpoint())
    assert mode(tmp_path / "d") == 0o755


def test_what_is_missing_above_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with DataFolder(tmp_path / "a" / "b" / "c"):
            assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3
    finally:
        os.umask(old)


def test_a_folder_that_is_not_served_after_all_is_left_as_it_was(tmp_path: Path) -> None:
    DataFolder(tmp_path / "a" / "b").close()
    assert not (tmp_path / "a").exists()
    (tmp_path / "d").mkdir(mode=0o775)
    (tmp_path / "d" / "file").touch()
    DataFolder(tmp_path / "d").close()
    assert [each.name for each in (tmp_path / "d").iterdir()] == ["file"]
    with DataFolder(tmp_path / "d") as folder:
        folder.publish(endpoint())
    DataFolder(tmp_path / "d").close()
    assert sorted(each.name for each in (tmp_path / "d").iterdir()) == ["daemon.lock", "file"], "it was there before"


def test_a_shared_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(FolderRefusedError, match="shared between users"):
        DataFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(FolderRefusedError, match="belongs to user 12345"):
        DataFolder(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FolderRefusedError, match="Name another"):
            DataFolder(path)


# The socket


def test_the_socket_is_in_the_folder_where_it_fits(short: Path) -> None:
    with DataFolder(short) as folder:
        assert folder.socket().path == short / "daemon.sock"
        with listening(folder.socket()):
            assert {file.name for file in short.iterdir()} == {"daemon.lock", "daemon.sock"}
    assert not (short / "daemon.sock").exists()


def test_a_dead_socket_is_replaced_and_anything_else_is_not(short: Path) -> None:
    bind(short / "daemon.sock")
    with DataFolder(short) as folder:
        for _ in range(2):
            with listening(folder.socket()):
                assert folder.socket().is_there
        assert {file.name for file in short.iterdir()} == {"daemon.lock", "daemon.sock"}
        folder.socket().path.unlink()
        (short / "daemon.sock").write_text("a file")
        with pytest.raises(FolderRefusedError, match="in the way"):
            folder.socket()
    assert (short / "daemon.sock").read_text() == "a file"


def test_a_socket_at_which_another_process_listens_is_refused(short: Path) -> None:
    path = short / "taken.sock"
    with DataFolder(short / "a") as one, DataFolder(short / "b") as other:
        held = other.socket(path)
        with listening(one.socket(path)):
            with pytest.raises(SocketTakenError, match=rf"listens at unix:{path}\. Stop it, or name another address"):
                other.socket(path)
            with pytest.raises(SocketTakenError), listening(held):
                pass
            assert one.socket(path).is_there
        assert {file.name for file in short.glob("*.sock")} == {"taken.sock"}, "what is not its own, it leaves alone"


def test_of_two_that_begin_at_once_one_gets_the_socket(short: Path) -> None:
    def begin(_: int) -> bool:
        with socket.socket(socket.AF_UNIX) as server:
            at = SocketFile(short / "daemon.sock")
            everyone.wait(30)
            try:
                with at.binding():
                    at.path.unlink()
                    server.bind(str(at.path))
                    server.listen()
            except SocketTakenError:
                return False
            finally:
                everyone.wait(30)
            return True

    for _ in range(10):
        everyone = threading.Barrier(8)
        bind(short / "daemon.sock")  # a dead one, which each finds in the way
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(begin, range(8))) == 1
        (short / "daemon.sock").unlink()


def test_a_socket_of_somebody_else_is_not_removed(short: Path) -> None:
    with DataFolder(short) as folder, listening(folder.socket()):
        (short / "daemon.sock").unlink()
        bind(short / "daemon.sock")
    assert (short / "daemon.sock").exists()


@pytest.mark.parametrize("name", ["x" * 200, "percent%41", "hash#", "question?", "comma,"])
def test_where_it_does_not_fit_it_has_a_private_folder(short: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = short / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with DataFolder(short / name) as folder, DataFolder(short / (name + "2")) as neighbour:
        path = folder.socket().path
        assert path == folder.socket().path
        assert path != neighbour.socket().path
        assert path.parent.parent == runtime
        assert mode(path.parent) == 0o700
        with listening(folder.socket()):
            pass
    assert list(runtime.iterdir()) == [], "it is tidied up"


def test_the_longest_path_that_fits_is_used_and_can_be_bound(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    limit = 103 if sys.platform == "darwin" else 107
    for length, inside in ((limit, True), (limit + 1, False)):
        path = short / ("ü" + "x" * (length - len(str(short)) - len("/ü/daemon.sock") - 1))
        with DataFolder(path) as folder:
            assert (folder.socket().path.parent == path) is inside
            with listening(folder.socket()):
                pass


def test_without_a_runtime_folder_it_is_in_the_temporary_one(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    with DataFolder(short / ("x" * 200)) as folder:
        assert folder.socket().path.parent.parent == short


@pytest.mark.parametrize("trap", ["symlink", "open", "foreign"])
def test_a_private_folder_that_is_not_private_is_refused(short: Path, trap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if trap == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    with DataFolder(short / ("x" * 200)) as folder:
        private = folder.socket().path.parent
    if trap == "symlink":
        (short / "elsewhere").mkdir(0o700)
        private.symlink_to(short / "elsewhere")
    else:
        private.mkdir(0o700)
        if trap == "open":
            private.chmod(0o770)
        else:
            os.chown(private, 12345, -1)
    with DataFolder(short / ("x" * 200)) as folder, pytest.raises(FolderRefusedError, match="not a private folder"):
        folder.socket()


# The endpoint


def test_the_endpoint_is_published_whole_and_withdrawn(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        assert not folder.endpoint.exists()
        folder.publish(endpoint("127.0.0.1:5000"))
        assert json.loads(folder.endpoint.read_text()) == {
            "address": "127.0.0.1:5000",
            "pid": os.getpid(),
            "daemon_id": "some-uuid",
            "version": "0.1.0",
            "autostarted": True,
            "secret": "a secret",
            "device": tmp_path.stat().st_dev,
            "inode": tmp_path.stat().st_ino,
        }
        folder.publish(endpoint("127.0.0.1:5001"))
        assert "5001" in folder.endpoint.read_text()
        assert {file.name for file in tmp_path.iterdir()} == {"daemon.lock", "endpoint.json"}
    assert {file.name for file in tmp_path.iterdir()} == {"daemon.lock"}


def test_an_endpoint_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.publish(endpoint())
        folder.endpoint.unlink()
        folder.endpoint.write_text("of another")
    assert (tmp_path / "endpoint.json").read_text() == "of another"


def test_a_reader_never_sees_half_an_endpoint(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.publish(endpoint("unix:/" + "a" * 1000))
        with folder.endpoint.open() as before:
            folder.publish(endpoint("unix:/b"))
            assert "a" * 1000 in before.read(), "replaced, not overwritten"


# What goes missing while a daemon has it


def test_what_is_removed_is_put_back(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.publish(endpoint())
        assert folder.look() == []
        whole = folder.endpoint.read_bytes()
        for lose in (folder.endpoint.unlink, lambda: folder.endpoint.write_text("")):
            lose()
            assert folder.look() == ["endpoint.json"]
            assert folder.endpoint.read_bytes() == whole
        (tmp_path / "daemon.lock").unlink()
        assert folder.look() == ["daemon.lock"]
        assert folder.look() == []
        with pytest.raises(FolderInUseError):
            DataFolder(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"daemon.lock"}


def test_a_folder_that_is_gone_or_another_one_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with DataFolder(path) as folder:
        folder.publish(endpoint())
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(FolderLostError, match="removed, renamed or replaced"):
            folder.look()
        with DataFolder(path) as another:
            another.publish(endpoint())
            with pytest.raises(FolderLostError):
                folder.look()
            folder.close()
            assert another.endpoint.exists()
            assert another.look() == []


def test_a_lock_that_another_daemon_has_taken_is_lost(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        (tmp_path / "daemon.lock").unlink()
        with held_by_another_process(tmp_path), pytest.raises(FolderLostError, match="another daemon"):
            folder.look()


def test_a_lock_file_that_was_removed_lets_nobody_in_while_the_daemon_listens(short: Path) -> None:
    with DataFolder(short) as folder, listening(folder.socket()):
        (short / "daemon.lock").unlink()
        with pytest.raises(FolderInUseError):
            DataFolder(short)
        assert folder.socket().is_there


# File systems


ROOT = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"


@pytest.mark.parametrize(
    ("mounts", "refused"),
    [
        ([ROOT], None),
        ([], None),
        ([ROOT, b"30 27 0:40 / /data rw shared:5 - nfs4 server:/x rw"], "nfs4 at /data"),
        ([b"30 27 0:40 / /data rw shared:5 - nfs4 server:/x rw", ROOT], "nfs4 at /data"),
        ([ROOT, b"30 27 0:40 / /data rw - cifs //server/x rw"], "cifs"),
        ([ROOT, b"30 27 0:40 / /data rw - fuse.sshfs a:b rw"], "sshfs"),
        ([ROOT, b"30 27 0:40 / /dat rw - nfs server:/x rw"], None),
        (
            [ROOT, b"30 27 0:40 / /data rw - nfs server:/x rw", b"31 30 0:41 / /data/my\\040agents rw - ext4 /d rw"],
            None,
        ),
        ([ROOT, b"30 27 0:40 / /data/my\\040agents rw - nfs server:/x rw"], "/data/my agents"),
        ([ROOT, b"30 27 0:40 / /data rw - nfs server:/x rw", b"31 30 0:41 / /data rw - tmpfs tmpfs rw"], None),
        *(
            ([b"27 1 0:1 / / rw - %s x rw" % kind], None)
            for kind in (b"overlay", b"btrfs", b"tmpfs", b"virtiofs", b"9p", b"xfs", b"zfs", b"fuseblk", b"apfs")
        ),
    ],
)
def test_network_file_systems_are_refused(mounts: list[bytes], refused: str | None) -> None:
    with pytest.raises(FolderRefusedError, match=refused) if refused else contextlib.nullcontext():
        refuse_network(Path("/data/my agents/x"), mounts)


def test_a_data_folder_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [ROOT, b"30 27 0:40 / %s rw - nfs server:/x rw" % os.fsencode(tmp_path).replace(b" ", b"\\040")]
    monkeypatch.setattr(module, "mounts_of_this_machine", lambda: mounts)
    with pytest.raises(FolderRefusedError, match="local disk"):
        DataFolder(tmp_path)


def test_a_file_system_that_grants_every_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(FolderRefusedError, match="locks do not work"):
        DataFolder(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux lists its mounts there")
def test_the_mounts_of_this_machine_are_understood() -> None:
    mounts = mounts_of_this_machine()
    assert any(line.split(b" ")[4] == b"/" for line in mounts)


@pytest.mark.skipif(shutil.which("flock") is None, reason="a tool of util-linux")
def test_the_lock_holds_against_the_systems_own_tool(tmp_path: Path) -> None:
    with DataFolder(tmp_path):
        refused = subprocess.run(["flock", "-n", str(tmp_path / "daemon.lock"), "true"], check=False)
        assert refused.returncode == 1
