"""Whether the files of a store are still where they belong.

SQLite goes on writing into files that have been unlinked, or whose folder was moved away, and all of it is lost when it
closes them. And it makes a new database where one was lost. So what looks like a loss is refused when a store is opened, and
while it is open the names are looked at before anything is acknowledged.
"""

import os
import stat
import struct
from pathlib import Path

from lastgood_daemon.store.protocol import StoreBrokenError
from lastgood_daemon.store.sqlite.errors import ForeignFileError, LinkedFileError, LostFileError, LostWalError

_BESIDE = ("-wal", "-shm", "-id")
"""What there is only where there was a database. While one is made, its -shm may be there before it has any content."""

_VERSION = 3_007_000
_HEADER = struct.Struct("=I8xB3xI28s")
"""Of the index of a WAL: its version, whether it is written, and how many frames the WAL has."""
_IN_DATABASE = struct.Struct("=I")


class Presence:
    """The files of an open store: the database, and its WAL."""

    def __init__(self, path: Path) -> None:
        """Note which files they are. To be called when both connections have read."""
        names = (os.fspath(path), f"{path}-wal")
        self._files = [(name, found) for name in names if (found := _identity(name)) is not None]
        self._has_content = _has_content(path)

    def check(self, *, whole: bool = True) -> None:
        """Raise StoreBrokenError where one of them, or the database alone, is no longer there under its name.

        Takes about 3 µs a file.
        """
        for name, identity in self._files if whole else self._files[:1]:
            try:
                found = os.stat(name, follow_symlinks=False)  # noqa: PTH116 - a Path costs as much again, before each answer
            except OSError:
                found = None
            if found is None or (found.st_dev, found.st_ino) != identity:
                what = "is gone" if found is None else "is another file now"
                message = (
                    f"{name} {what}: it was removed, renamed or replaced while this daemon had it open, and what was "
                    "written since then may be lost"
                )
                raise StoreBrokenError(message)
            if not found.st_size and self._has_content and name is self._files[0][0]:
                message = f"{name} is empty now: what it held is lost, and what was written since then may be, too"
                raise StoreBrokenError(message)


def refuse_loss(path: Path) -> None:
    """Refuse to open what looks as if the database was lost, or may be open under another name.

    Raises:
        LostFileError: something says that there was a database, and it is gone or empty.
        LostWalError: something says that there was a WAL, and it is gone.
        LinkedFileError: the file has another name.
        ForeignFileError: it is no regular file.
    """
    beside = [name for suffix in _BESIDE if _has_content(name := Path(f"{path}{suffix}"))]
    try:
        found = path.lstat()
    except FileNotFoundError:
        if beside:
            raise LostFileError(path, "is gone", beside) from None
        return
    if not stat.S_ISREG(found.st_mode):
        raise ForeignFileError(path, "it is not a regular file")
    if found.st_size == 0 and any(not name.name.endswith("-shm") for name in beside):
        raise LostFileError(path, "is empty", beside)
    index = Path(f"{path}-shm")
    if index in beside and not os.path.lexists(f"{path}-wal") and _is_older(found, index) and _wal_is_missed(index):
        raise LostWalError(path)
    refuse_linked(path)


def refuse_linked(path: Path) -> None:
    """Raise LinkedFileError for a file with several names: SQLite would keep a WAL for each of them."""
    names = path.lstat().st_nlink
    if names > 1:
        raise LinkedFileError(path, names)


def _is_older(database: os.stat_result, index: Path) -> bool:
    """Whether a database was there before the index of its WAL: one that was put in its place since needs no WAL."""
    return database.st_size > 0 and database.st_ctime_ns <= index.lstat().st_mtime_ns


def _wal_is_missed(index: Path) -> bool:
    """Whether the index of a WAL says that the database does not have all of it yet.

    Its form is in https://www.sqlite.org/walformat.html: two equal headers, then how much is in the database. What does not
    have this form, such as after a power cut, says nothing.
    """
    try:
        start = index.read_bytes()[: 2 * _HEADER.size + _IN_DATABASE.size]
        first, second, (in_database,) = *_HEADER.iter_unpack(start[: 2 * _HEADER.size]), _IN_DATABASE.unpack(start[-4:])
    except (OSError, ValueError, struct.error):
        return False
    version, is_written, frames = first[:3]
    return first == second and version == _VERSION and is_written == 1 and frames > in_database


def _has_content(path: Path) -> bool:
    try:
        return path.lstat().st_size > 0
    except OSError:
        return False


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = Path(name).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
