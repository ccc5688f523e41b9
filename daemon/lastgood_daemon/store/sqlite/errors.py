"""Why a file cannot be opened as a store. Each message says what to do about it.

::

    StoreOpenError
    ├── UnsafeSqliteError   the SQLite library has a bug that loses commits
    ├── ForeignFileError    the file is not one of ours
    ├── DamagedFileError    the file is one of ours, and what it says about itself is not what was written
    ├── LostFileError       something says that there was a file, and it is gone or empty
    ├── LostWritesError     something says that more was acknowledged than is there
    ├── ForeignWalError     the WAL beside the file is that of another
    ├── LinkedFileError     the file has another name, under which it may be open
    ├── ReadOnlyError       the file, or its folder, may not be written to
    ├── InTheWayError       what lies beside the file, under a name that the store uses, is not of the store
    ├── FutureFormatError   a newer daemon wrote the file
    ├── OldFormatError      an older daemon wrote the file, and whoever reads it must not change it
    └── PragmaError         SQLite did not take a setting that durability depends on
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_MOST = 253_402_300_799_000_000
"""The last second of the year 9999."""


class StoreOpenError(Exception):
    """The store was not opened, and what is in the file is as it was before."""


class UnsafeSqliteError(StoreOpenError):
    """The SQLite library is one of those that can lose commits."""

    def __init__(self, version: str) -> None:
        """Name the version that was found."""
        super().__init__(
            f"SQLite {version} can lose committed data when its write-ahead log is reset (3.7.0 to 3.51.2 do). "
            "Install apsw 3.51.3 or newer, which brings its own SQLite: pip install -U apsw"
        )


class ForeignFileError(StoreOpenError):
    """The file is not a lastgood store."""

    def __init__(self, path: Path, why: str) -> None:
        """Name the file and what tells that it is foreign."""
        super().__init__(f"{path} is not a lastgood store: {why}. Move it away, or name another data folder")


class DamagedFileError(StoreOpenError):
    """What the file says about itself does not match its checksum."""

    def __init__(self, path: Path, why: str) -> None:
        """Name the file and what is damaged in it."""
        super().__init__(f"{path} is damaged: {why}. Go on from a backup: lastgood serve --data-dir BACKUP")


class LostFileError(StoreOpenError):
    """What lies beside the file says that there was a store, and the file is gone or empty."""

    def __init__(self, path: Path, what: str, beside: Sequence[Path]) -> None:
        """Name the file, what is wrong with it, and what says that there was one."""
        names = ", ".join(each.name for each in beside)
        super().__init__(
            f"{path} {what}, and {names} beside it tells that it held a store. Put the database or a backup of it there; "
            f"or, to begin with an empty store, remove {names}"
        )


class LostWritesError(StoreOpenError):
    """The file, with what is in its WAL, ends before what was acknowledged."""

    def __init__(self, path: Path, latest: int, reached: int) -> None:
        """Name the file, up to where it goes and up to where it should, and what to do."""
        super().__init__(
            f"{path} lacks writes that were acknowledged: it ends at {_time(latest)}, and they went on to {_time(reached)}. "
            f"They were in {path.name}-wal, which is gone or damaged. Put it back, or go on from a backup; or, to go on "
            f"without them, remove {path.name}-id"
        )


class ForeignWalError(StoreOpenError):
    """The WAL was written for another database than the one that it is beside."""

    def __init__(self, path: Path) -> None:
        """Name the files, and what to do."""
        super().__init__(
            f"{path} is another database than the one that {path.name}-wal beside it was written for: together they would "
            f"be destroyed. To go on with {path.name} as it is, such as a backup that was put there, remove {path.name}-wal "
            f"and {path.name}-shm. Where both were put there together, remove {path.name}-id"
        )


LOSSES = (LostFileError, LostWritesError, ForeignWalError)
"""That something of a store is lost, as far as can be told."""


class LinkedFileError(StoreOpenError):
    """The file has several names, and a lock on one of their folders says nothing about the others."""

    def __init__(self, path: Path, names: int) -> None:
        """Name the file and how many names it has."""
        super().__init__(
            f"{path} has {names} names (hard links): opened under two of them it would be destroyed. Remove the other names "
            f"(find them with: find / -xdev -samefile {path}), or make a copy (cp) and serve that"
        )


class ReadOnlyError(StoreOpenError):
    """A daemon writes when it starts, and here it may not."""

    def __init__(self, path: Path) -> None:
        """Name the file and its folder, and what to do."""
        super().__init__(
            f"{path.parent}, or {path.name} in it, may not be written to. Make them writable (chmod -R u+w {path.parent}), "
            f"or name another data folder. To look at what is there: lastgood verify --data-dir {path.parent}"
        )


class InTheWayError(StoreOpenError):
    """Something lies beside the file, under a name that the store uses, that the store has not made."""

    def __init__(self, path: Path, what: str) -> None:
        """Name it, and what tells that it is not of the store."""
        super().__init__(f"{path} {what}, so it is not of this store, and is not opened. Move it away")


class OldFormatError(StoreOpenError):
    """The file has an earlier format, which is brought up to date when a daemon opens it."""

    def __init__(self, path: Path, found: int, wanted: int) -> None:
        """Name the file's format version and the one that can be read."""
        super().__init__(
            f"{path} has format version {found}, and only version {wanted} can be read without a daemon: start one on the"
            f" folder once, which brings it up to date: lastgood serve --data-dir {path.parent}"
        )


class FutureFormatError(StoreOpenError):
    """The file has a format that this daemon does not know yet."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        """Name the file's format version and the newest one that this daemon reads."""
        super().__init__(
            f"{path} has format version {found}, and this daemon reads versions up to {known}: "
            "a newer lastgood wrote it. Upgrade the daemon: pip install -U 'lastgood[daemon]'"
        )
        self.found = found
        self.known = known


class PragmaError(StoreOpenError):
    """A setting read back differs from what was set."""

    def __init__(self, name: str, wanted: int | str, found: object) -> None:
        """Name the setting, what was asked for and what SQLite says instead."""
        super().__init__(
            f"SQLite does not take {name}={wanted}: it says {found!r}. Without it commits are not durable here; "
            "use a data folder on a local file system, and the SQLite that comes with apsw"
        )


def _time(moment: int) -> str:
    return datetime.fromtimestamp(min(moment, _MOST) / 1e6, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00") + "Z"
