"""The Unix socket of a daemon, which must be nobody else's: neither one that another daemon still has, nor taken by one.

gRPC removes whatever socket has the name that it is to bind, so it is first tried out whether anything answers there. That
is done under a lock on the folder of the socket, so that of two daemons that begin at once one is refused. When gRPC stops
it removes the name again, whoever's socket it is by then; ``serve`` ends without stopping it where it is not ours any more.
"""

import errno
import fcntl
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from lastgood_daemon.process.files import HeldOpen
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_proto.places import MAX_SOCKET_BYTES

SOCKET = "daemon.sock"
_PRIVATE = "lastgood-"
_NOT_IN_AN_ADDRESS = frozenset("%?#,")  # in "unix:<path>" gRPC takes them for something else
_LOCK_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_DEAD = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR})
_FOREIGN = frozenset({errno.EACCES, errno.EPERM})


class SocketTakenError(Exception):
    """Another process listens at the address."""


class SocketFile:
    """The name under which clients find a socket."""

    def __init__(self, path: Path) -> None:
        """Use this name; nothing is done with it yet."""
        self.path = path
        self._bound: HeldOpen | None = None

    @contextmanager
    def binding(self) -> Iterator[None]:
        """Keep other daemons from the name while it is bound, and take note of the socket.

        Raises:
            SocketTakenError: another process listens there.
            FolderRefusedError: what is there is not a socket.
        """
        with _locked(self.path.parent):
            self.refuse_taken()
            yield
            if self._bound is not None:
                self._bound.close()
                self._bound = None
            bound = HeldOpen.socket(self.path)
            if not stat.S_ISSOCK(self.path.lstat().st_mode) or not bound.is_at(self.path):  # put there since it was bound
                bound.close()
                raise self._in_the_way()
            self._bound = bound

    def refuse_taken(self) -> None:
        """Raise SocketTakenError where another process listens there, FolderRefusedError where no socket can be made."""
        if not _fits(self.path):
            message = f"{self.path} does not fit a Unix socket. Name a shorter path, without % ? # and commas"
            raise FolderRefusedError(message)
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            if not os.access(self.path.parent, os.W_OK | os.X_OK, effective_ids=True):
                message = f"no socket can be made in {self.path.parent}: make that folder, or name another address"
                raise FolderRefusedError(message) from None
            return
        except OSError as error:
            message = f"{self.path} cannot be looked at: {error.strerror}. Name another address"
            raise FolderRefusedError(message) from error
        if not stat.S_ISSOCK(found.st_mode):
            raise self._in_the_way()
        if self.is_there:
            return
        number = _connecting(self.path)
        if number in _FOREIGN:
            raise self._in_the_way()
        if number not in _DEAD:
            message = f"another process listens at unix:{self.path}. Stop it, or name another address"
            raise SocketTakenError(message)

    def _in_the_way(self) -> FolderRefusedError:
        return FolderRefusedError(f"{self.path} is in the way of the daemon's socket. Move it away")

    @property
    def is_there(self) -> bool:
        """Whether clients find the socket under its name."""
        return self._bound is not None and self._bound.is_at(self.path)

    def remove(self) -> None:
        """Remove the name, if it is still that of our socket. Idempotent."""
        if self._bound is not None:
            self._bound.remove(self.path)
            self._bound = None


def answers(path: Path) -> bool:
    """Whether a process listens at a Unix socket; not, where this user may not ask."""
    return _connecting(path) not in _DEAD | _FOREIGN


def _connecting(path: Path) -> int:
    """Return what the system says to connecting to a Unix socket."""
    # Connecting never waits: it is taken, refused, or (with a full queue) told to come again.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            return probe.connect_ex(os.fspath(path))
        except OSError:  # a path too long for a socket
            return errno.ENOENT


def socket_path(folder: Path) -> Path:
    """Return where the socket of a data folder is: in it, or where that does not fit in a private folder elsewhere.

    Raises:
        FolderRefusedError: there is no place for one.
    """
    inside = folder / SOCKET
    if _fits(inside):
        return inside
    uid = os.geteuid()
    digest = blake2b(os.fsencode(folder) + b"\0%d" % uid, digest_size=8).hexdigest()
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - made private below
        private = Path(base) / f"{_PRIVATE}{uid}-{digest}"
        if private.is_absolute() and Path(base).is_dir() and _fits(private / SOCKET):
            _make_private(private, uid)
            return private / SOCKET
    message = f"neither {inside} nor any temporary folder fits a Unix socket. Name a data folder with a shorter path"
    raise FolderRefusedError(message)


def remove_private(folder: Path) -> None:
    """Remove a folder that was made for a socket alone, if nothing is in it."""
    if folder.name.startswith(_PRIVATE):
        with suppress(OSError):
            folder.rmdir()


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_BYTES and _NOT_IN_AN_ADDRESS.isdisjoint(str(path))


def _make_private(path: Path, uid: int) -> None:
    """Make a folder that only we can enter, or make sure that the one that is there is such a one."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
            message = f"{path} is not a private folder of user {uid}: somebody else has made it. Remove it"
            raise FolderRefusedError(message) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other daemons from binding a socket in the folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process keeps {folder} locked, and no socket can be made there"
                    raise SocketTakenError(message) from None
                time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)
