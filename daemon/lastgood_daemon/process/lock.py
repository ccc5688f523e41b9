"""The lock of a data folder: an flock on ``daemon.lock``, which says which process has it.

The kernel lets go of it when the process ends, however that happens. What is written in the file is for people alone: a
process id from a file may be anybody's by now, or that of a process in another container. ``FolderInUseError`` gives one
only where the kernel says, too, that this process has the lock.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lastgood_daemon.process.endpoint import read_endpoint
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.own_files import ForeignPathError, open_own, read_own

LOCK = "daemon.lock"
_PAUSES = (0.001, 0.01, 0.02, 0.02)
"""Between tries: a client that looks whether a daemon has the lock holds it for some microseconds."""
_LOCKS = Path("/proc/locks")


class FolderInUseError(Exception):
    """Another daemon owns the folder."""

    def __init__(self, folder: Path, pid: int | None, address: str | None) -> None:
        """Name the folder and, where known for certain, the other daemon's process id and address."""
        who = f"the daemon with process id {pid}" if pid else "another daemon"
        where = f" at {address}" if address else ""
        stop = f"stop it (kill {pid})" if pid else "stop it"
        super().__init__(f"{folder} is in use by {who}{where}. Connect to it, {stop}, or name another data folder")
        self.folder = folder
        self.pid = pid
        self.address = address


class FolderLostError(Exception):
    """The folder that a daemon serves has been taken away from under it; the message says what happened."""


class FolderLock:
    """The lock of a folder, from when it is made until ``close``."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, and write our process id into its file.

        Raises:
            FolderInUseError: another process has it.
            FolderRefusedError: the file system has no locks that keep others out.
        """
        self._path = folder / LOCK
        self._was_missing = not os.path.lexists(self._path)
        self._descriptor = _take(self._path)

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed yet."""
        return self._descriptor >= 0

    def look(self) -> bool:
        """Put the file back where it has been removed, and tell whether it had been: it keeps a second daemon out.

        Raises:
            FolderLostError: another daemon has taken the lock meanwhile.
        """
        if _is_at(self._path, self._descriptor):
            return False
        try:
            descriptor = _take(self._path)
        except FolderInUseError as error:
            message = f"{self._path} was removed, and another daemon has made it anew and serves the folder"
            raise FolderLostError(message) from error
        os.close(self._descriptor)
        self._descriptor = descriptor
        return True

    def close(self, *, unused: bool = False) -> None:
        """Let go of it. Idempotent.

        Args:
            unused: whether the folder has not been served. Then no file is left behind where there was none.
        """
        if self._descriptor >= 0:
            if unused and self._was_missing and _is_at(self._path, self._descriptor):
                self._path.unlink()  # while held: who has opened it meanwhile notices
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep daemons out of a folder that is there, without leaving a trace of it.

    A folder that no daemon has served, such as a backup, has no lock, and none is made: it may be on a read-only file
    system, or another user's. Then this tells afterwards whether a daemon has come meanwhile.

    Raises:
        FolderInUseError: a daemon has it.
        FolderRefusedError: it cannot be locked.
    """
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        if path.exists():
            raise _in_use(folder) from None
        return
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror}. Run this as the owner of the folder"
        raise FolderRefusedError(message) from error
    try:
        _lock_or_refuse(folder, descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    """Return the descriptor that holds the lock."""
    while True:
        descriptor = _open(path)
        try:
            _lock_or_refuse(path.parent, descriptor)
            if _is_at(path, descriptor):
                _try_out(path)
                line = b"%d\n" % os.getpid()
                os.pwrite(descriptor, line, 0)
                os.ftruncate(descriptor, len(line))
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed between opening and locking: a lock on it would keep no one out


def _lock_or_refuse(folder: Path, descriptor: int) -> None:
    for pause in _PAUSES:
        if _flock(descriptor):
            return
        time.sleep(pause)
    raise _in_use(folder)


def _try_out(path: Path) -> None:
    """See that nobody can take the lock that we have: some file systems grant every lock."""
    descriptor = _open(path)
    try:
        if _flock(descriptor):
            message = f"locks do not work on the file system of {path.parent}. Name a data folder on a local one"
            raise FolderRefusedError(message)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return open_own(path, os.O_RDWR | os.O_CREAT)
    except ForeignPathError as error:
        raise FolderRefusedError(str(error)) from error


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        message = f"the file system of the data folder has no locks ({error.strerror}). Name one on a local file system"
        raise FolderRefusedError(message) from error
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _in_use(folder: Path) -> FolderInUseError:
    pid = _holder(folder / LOCK)
    endpoint = read_endpoint(folder)
    address = endpoint.address if endpoint is not None and endpoint.pid in {pid, _noted(folder / LOCK)} else None
    return FolderInUseError(folder, pid, address)


def _noted(path: Path) -> int | None:
    try:
        line = read_own(path).strip()
    except (OSError, ForeignPathError):
        return None
    return int(line) if line.isdigit() else None


def _holder(path: Path) -> int | None:
    """Return the process that the file names, where the kernel says that it has the lock. Only Linux can be asked.

    It lists the locks of this pid namespace, as ``1: FLOCK  ADVISORY  WRITE 4711 fe:00:2171477 0 EOF``.
    """
    pid = _noted(path)
    try:
        lock = re.compile(rf"FLOCK +ADVISORY +WRITE +{pid} [0-9a-f]+:[0-9a-f]+:{path.lstat().st_ino} ")
        return pid if lock.search(_LOCKS.read_text()) else None
    except OSError:
        return None
