"""Whether the files of a store are still where they belong.

SQLite goes on writing into files that have been unlinked, or whose folder was moved away, and all of it is lost when it
closes them. It makes a new database where one was lost, and brings its WAL into whatever has been written over one. So what
looks like a loss is refused when a store is opened, and while it is open the names are looked at before anything is
acknowledged, and when the database was last written to.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lastgood_daemon.store.protocol import StoreBrokenError
from lastgood_daemon.store.sqlite.errors import ForeignFileError, InTheWayError, LinkedFileError, LostFileError

_BESIDE = ("-wal", "-shm", "-id")
"""What there is only where there was a database. While one is made, its -shm may be there before it has any content."""
_OPENED = (*_BESIDE, "-journal")
"""What is opened, and written, without being asked about: SQLite does so of itself."""


class Presence:
    """The files of an open store: the database, and its WAL."""

    def __init__(self, path: Path, is_ours: Callable[[], bool]) -> None:
        """Note which files they are. To be called when both connections have read.

        Args:
            path: the database.
            is_ours: tells from what is in the database itself that it is this one. Asked where another process has, as it
                seems, written there, which takes a millisecond.
        """
        self._database = os.fspath(path)
        names = (self._database, f"{path}-wal")
        self._files = [(name, found) for name in names if (found := _identity(name)) is not None]
        self._has_content = has_content(path)
        self._is_ours = is_ours
        self._is_writing = False
        self._written = _written(path.stat())

    def check(self, *, whole: bool = True) -> None:
        """Raise StoreBrokenError where one of them, or the database alone, is no longer what is under its name.

        Takes about 3 µs a file.
        """
        for name, identity in self._files if whole else self._files[:1]:
            try:
                found = os.lstat(name)  # not of a Path, which costs as much again, before each answer
            except OSError:
                found = None
            if found is None or (found.st_dev, found.st_ino) != identity:
                what = "is gone" if found is None else "is another file now"
                message = (
                    f"{name} {what}: it was removed, renamed or replaced while this daemon had it open, and what was "
                    "written since then may be lost"
                )
                raise StoreBrokenError(message)
            if name is self._database:
                self._check_content(found)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Take what is written into the database itself meanwhile for our own. From the writer's thread."""
        self.check()
        self._is_writing = True
        try:
            yield
        finally:
            with suppress(OSError):
                self._written = _written(Path(self._database).stat())
            self._is_writing = False

    def _check_content(self, found: os.stat_result) -> None:
        if not found.st_size and self._has_content:
            message = f"{self._database} is empty now: what it held is lost, and what was written since then may be, too"
            raise StoreBrokenError(message)
        if _written(found) == self._written or self._is_writing:
            return
        if not self._is_ours():
            message = (
                f"{self._database} was overwritten while this daemon had it open: what it held is lost, and what was "
                "written since then may be, too"
            )
            raise StoreBrokenError(message)
        self._written = _written(found)  # only touched


def refuse_loss(path: Path) -> None:
    """Refuse to open what looks as if the database was lost, or may be open under another name.

    Raises:
        LostFileError: something says that there was a database, and it is gone or empty.
        LinkedFileError: the file has another name.
        ForeignFileError: it is no regular file.
        InTheWayError: what is beside it is none, or has another name.
    """
    beside = [name for suffix in _BESIDE if has_content(name := Path(f"{path}{suffix}"))]
    if os.path.lexists(path):
        _refuse_odd(path, beside)
    elif beside:
        raise LostFileError(path, "is gone", beside)
    for suffix in _OPENED:
        _refuse_in_the_way(Path(f"{path}{suffix}"))


def refuse_linked(path: Path) -> None:
    """Raise LinkedFileError for a file with several names: SQLite would keep a WAL for each of them."""
    names = path.lstat().st_nlink
    if names > 1:
        raise LinkedFileError(path, names)


def _refuse_odd(path: Path, beside: Sequence[Path]) -> None:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ForeignFileError(path, "it is not a regular file")
    if found.st_size == 0 and any(not name.name.endswith("-shm") for name in beside):
        raise LostFileError(path, "is empty", beside)
    refuse_linked(path)


def _refuse_in_the_way(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise InTheWayError(path, "is not a regular file")
    if found.st_nlink > 1:
        raise InTheWayError(path, f"has {found.st_nlink} names (hard links)")


def has_content(path: Path) -> bool:
    """Tell whether there is a file, and something in it."""
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


def _written(found: os.stat_result) -> tuple[int, int]:
    return found.st_mtime_ns, found.st_size
