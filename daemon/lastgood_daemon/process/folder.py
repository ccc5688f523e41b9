"""The data folder: who owns it, what lies where in it, and how others find its daemon.

::

    <folder>/daemon.lock     flock of the daemon that owns the folder, and its process id; never removed
    <folder>/endpoint.json   where that daemon is reached; there from binding to closing
    <folder>/daemon.sock     its socket (or in a private folder elsewhere, where this path does not fit a socket)
    <folder>/lastgood.db     the database, with lastgood.db-wal and -shm beside it
    <folder>/daemon.log      what a daemon that a client has started has to say
    <folder>/managed-by-service   there where a service has run the daemon: clients start none

The lock comes before everything else that is done in the folder: gRPC silently takes a socket path over from a live
daemon, and two daemons on one database would each believe their own memory. The kernel lets go of it when the process
ends, however that happens; so what a killed daemon left behind is removed by the next, under the lock.
"""

import errno
import fcntl
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

DATABASE = "lastgood.db"
"""What the database is called in its folder."""

_SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107  # sun_path without its final zero
_NOT_IN_AN_ADDRESS = frozenset("%?#,")  # in "unix:<path>" gRPC takes them for something else

_NETWORK_FILESYSTEMS = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs",
    "pvfs2", "smb3", "smbfs",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mfs",
    "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs", "fuse.weed",
})  # fmt: skip
"""File systems on which two machines can meet, where neither flock nor the shared memory of the WAL does.

9p and virtiofs are not among them: they are how virtual machines, gVisor and WSL see a disk of their own host. Whatever
the name, the lock is tried out when it is taken (``_take_lock``).
"""


class FolderRefusedError(Exception):
    """The folder cannot be used as a data folder; the message says why and what to do."""


class FolderInUseError(Exception):
    """Another daemon owns the folder."""

    def __init__(self, folder: Path, pid: int | None, address: str | None) -> None:
        """Name the folder and, where known, the other daemon's process id and address."""
        who = f"the daemon with process id {pid}" if pid else "another daemon"
        where = f" at {address}" if address else ""
        stop = f"stop it (kill {pid})" if pid else "stop it"
        super().__init__(f"{folder} is in use by {who}{where}. Connect to it, {stop}, or name another data folder")
        self.folder = folder
        self.pid = pid
        self.address = address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a daemon is reached, as it stands in ``endpoint.json``."""

    address: str
    """``unix:/path`` or ``host:port``."""
    pid: int
    daemon_id: str
    version: str
    autostarted: bool


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep daemons out of a folder that is there, and leave it otherwise as it is.

    Raises:
        FolderInUseError: a daemon has it.
        FolderRefusedError: it cannot be locked.
    """
    descriptor = _open_lock(folder / "daemon.lock")
    try:
        _lock_or_refuse(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


class DataFolder:
    """A data folder that this process owns, until ``close`` or its end."""

    def __init__(self, path: Path | str) -> None:
        """Make the folder where it is missing (0700), and take its lock.

        Raises:
            FolderInUseError: another daemon has it.
            FolderRefusedError: it cannot be used safely.
        """
        self.path = Path(path).absolute()
        _make_folder(self.path)
        self.path = self.path.resolve()
        _refuse_network(self.path, _mounts())
        self._published: bytes | None = None
        self._socket: Path | None = None
        self._lock = _take_lock(self.path)
        (self.path / "endpoint.json").unlink(missing_ok=True)  # of a daemon that was killed

    @property
    def database(self) -> Path:
        """Where the database is."""
        return self.path / DATABASE

    @property
    def log(self) -> Path:
        """Where an autostarted daemon logs to."""
        return self.path / "daemon.log"

    @property
    def endpoint(self) -> Path:
        """Where the endpoint is published."""
        return self.path / "endpoint.json"

    def socket(self) -> Path:
        """A path to bind a Unix socket to, with nothing there any more; gRPC's address is ``unix:`` and this path.

        Raises:
            FolderRefusedError: there is no place for one, or what is there is not a socket of ours.
        """
        if self._socket is None:
            self._socket = _socket_path(self.path)
        _remove_socket(self._socket)
        return self._socket

    def mark_as_service(self) -> None:
        """Keep clients from starting a daemon here, also while the service is down: it has its own user and limits."""
        (self.path / "managed-by-service").touch(mode=0o600)

    def publish(self, endpoint: Endpoint) -> None:
        """Tell where the daemon is reached. To be called once it is: who reads it connects at once."""
        content = json.dumps(asdict(endpoint)).encode()
        new = self.path / "endpoint.json.new"
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        new.replace(self.endpoint)
        self._published = content

    def withdraw(self) -> None:
        """Take back what was published: nobody new is to come. Idempotent."""
        if self._published is not None and _content(self.endpoint) == self._published:
            self.endpoint.unlink(missing_ok=True)
        self._published = None

    def close(self) -> None:
        """Withdraw, remove the socket, let go of the folder. Idempotent. The last thing that a daemon does with it."""
        if self._lock < 0:
            return
        self.withdraw()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            if self._socket.parent != self.path:
                self._socket.parent.rmdir()
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Self:
        """Nothing more: the lock is taken by making the object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        message = f"{path} cannot be made: {error.strerror}. Name another data folder"
        raise FolderRefusedError(message) from error
    else:
        path.chmod(0o700)  # whatever the umask
        _sync_folder(path.parent)
        return
    if not path.is_dir():
        message = f"{path} is not a folder. Name another data folder"
        raise FolderRefusedError(message)
    found = path.stat()
    if found.st_uid != os.geteuid():
        message = (
            f"{path} belongs to user {found.st_uid}, and this daemon runs as user {os.geteuid()}. "
            "Run it as the owner, or name another data folder"
        )
        raise FolderRefusedError(message)
    if found.st_mode & stat.S_ISVTX:
        message = f"{path} is shared between users, like /tmp. Name a folder within it"
        raise FolderRefusedError(message)
    if found.st_mode & 0o022:  # whoever may write into the folder may replace what is in it
        path.chmod(stat.S_IMODE(found.st_mode) & ~0o022)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot, and need not
            raise
    finally:
        os.close(descriptor)


def _take_lock(folder: Path) -> int:
    """Take the lock and write our process id beside it; returns the descriptor that holds it."""
    path = folder / "daemon.lock"
    descriptor = _open_lock(path)
    try:
        _lock_or_refuse(descriptor, folder)
        _try_out_lock(path)
        line = b"%d\n" % os.getpid()
        os.pwrite(descriptor, line, 0)
        os.ftruncate(descriptor, len(line))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_or_refuse(descriptor: int, folder: Path) -> None:
    if not _flock(descriptor):
        raise _in_use(folder)


def _try_out_lock(path: Path) -> None:
    """See that nobody can take the lock that we have: some file systems grant every lock."""
    descriptor = _open_lock(path)
    try:
        if _flock(descriptor):
            message = f"locks do not work on the file system of {path.parent}. Name a data folder on a local one"
            raise FolderRefusedError(message)
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        message = f"the file system of the data folder has no locks ({error.strerror}). Name one on a local file system"
        raise FolderRefusedError(message) from error
    return True


def _in_use(folder: Path) -> FolderInUseError:
    line = (_content(folder / "daemon.lock") or b"").strip()
    pid = int(line) if line.isdigit() else None
    address = None
    try:
        told = json.loads(_content(folder / "endpoint.json") or b"")
        if told["pid"] == pid:
            address = str(told["address"])
    except (ValueError, TypeError, KeyError):
        pass  # not published yet
    return FolderInUseError(folder, pid, address)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _fits_a_socket(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_PATH_BYTES and _NOT_IN_AN_ADDRESS.isdisjoint(str(path))


def _socket_path(folder: Path) -> Path:
    inside = folder / "daemon.sock"
    if _fits_a_socket(inside):
        return inside
    uid = os.geteuid()
    digest = blake2b(os.fsencode(folder) + b"\0%d" % uid, digest_size=8).hexdigest()
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - made private below
        private = Path(base) / f"lastgood-{uid}-{digest}"
        if private.is_absolute() and Path(base).is_dir() and _fits_a_socket(private / "daemon.sock"):
            _make_private(private, uid)
            return private / "daemon.sock"
    message = f"neither {inside} nor any temporary folder fits a Unix socket. Name a data folder with a shorter path"
    raise FolderRefusedError(message)


def _make_private(path: Path, uid: int) -> None:
    """Make a folder that only we can enter, or make sure that the one that is there is such a one."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
            message = f"{path} is not a private folder of user {uid}: somebody else has made it. Remove it"
            raise FolderRefusedError(message) from None


def _remove_socket(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        message = f"{path} is in the way of the daemon's socket. Move it away"
        raise FolderRefusedError(message)
    path.unlink()


def _mounts() -> list[bytes]:
    """What is mounted where, as Linux lists it; nothing on other systems."""
    return (_content(Path("/proc/self/mountinfo")) or b"").splitlines()


def _refuse_network(folder: Path, mounts: Iterable[bytes]) -> None:
    """Look up the mount that a folder is on: the longest mount point above it, of equal ones the last."""
    best = ""
    kind = ""
    for line in mounts:
        place, _, source = line.partition(b" - ")
        escaped = place.split(b" ")[4]  # a space is \\040
        mounted_at = os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped))
        if len(mounted_at) >= len(best) and folder.is_relative_to(mounted_at):
            best, kind = mounted_at, source.split(b" ")[0].decode()
    if kind in _NETWORK_FILESYSTEMS:
        message = (
            f"{folder} is on a network file system ({kind} at {best}), where the lock that keeps a second daemon out "
            "and the shared memory of the database cannot be relied on. Name a data folder on a local disk"
        )
        raise FolderRefusedError(message)
