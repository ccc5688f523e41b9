"""Opening a SQLite file so that what it commits is durable.

Every setting goes in a statement of its own and is read back: of two pragmas in one ``execute`` only the first runs,
and SQLite ignores what it does not know. ``locking_mode`` stays NORMAL: with EXCLUSIVE, any other ``open`` and
``close`` of the file in this process would silently drop the locks that keep everyone else out. The daemon's own lock
is a file beside this one (``process/folder.py``).
"""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from lastgood_daemon.store.protocol import CorruptRecordError
from lastgood_daemon.store.sqlite.errors import PragmaError, UnsafeSqliteError

_FIRST_UNSAFE = 3_007_000
_LAST_UNSAFE = 3_051_002

_PRIVATE = 0o600
_PAGE_SIZE = 4096
_AUTO_VACUUM_INCREMENTAL = 2
_SYNCHRONOUS_FULL = 2
BUSY_TIMEOUT = 10_000  # milliseconds
_CACHE_KIB = 16 * 1024
_WAL_BYTES_KEPT = 16 * 1024 * 1024


def check_library(number: int = apsw.SQLITE_VERSION_NUMBER, version: str | None = None) -> None:
    """Refuse a SQLite library with the WAL-reset bug.

    Args:
        number: its version as SQLite numbers it, 3.54.1 being 3054001.
        version: the same as text, for the message.

    Raises:
        UnsafeSqliteError: it is one of 3.7.0 to 3.51.2.
    """
    if _FIRST_UNSAFE <= number <= _LAST_UNSAFE:
        raise UnsafeSqliteError(version or apsw.sqlite_lib_version())


def make_missing(path: Path) -> None:
    """Make the file if it is missing, for its owner alone (0600). One that is there stays as it is."""
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    os.close(made)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the new name has to survive a power cut, too
    finally:
        os.close(folder)


def make_private(path: Path) -> None:
    """Let nobody but its owner read or write a file that has turned out to be ours (0600), nor those beside it.

    SQLite gives the files that it makes beside it (``-wal``, ``-shm``) the same mode.
    """
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(each.stat().st_mode) != _PRIVATE:
                each.chmod(_PRIVATE)


def connect(path: Path) -> apsw.Connection:
    """A connection to an existing file, with no setting changed yet but how long it waits for others."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_TIMEOUT)
    return connection


def connect_resting(path: Path) -> apsw.Connection:
    """A connection that reads a file that nobody has open, and makes and changes nothing: no lock, no ``-shm``, no page.

    So it can be on a read-only file system. Where something is left in the WAL, its index is made in memory, as SQLite
    does for whoever is alone with a file; without locks, which could not be taken there.
    """
    wal = path.with_name(f"{path.name}-wal")
    left = wal.exists() and wal.stat().st_size > 0
    uri = f"file:{quote(os.fsencode(path))}?mode=ro" + ("" if left else "&immutable=1")
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(uri, flags=flags, vfs="unix-none" if left else None)
    if left:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        set_pragma(connection, "locking_mode", "exclusive")
    return connection


def connect_alone(path: Path) -> apsw.Connection:
    """A connection that reads what is in the file itself, without its WAL, and makes and changes nothing."""
    uri = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
    return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def close(connection: apsw.Connection, *, failed: bool) -> None:
    """Let go of a connection; where the storage has failed, without writing anything more through it."""
    if failed:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close(force=True)


def configure_new_file(connection: apsw.Connection) -> None:
    """What can only be set while the file is empty."""
    set_pragma(connection, "page_size", _PAGE_SIZE)
    set_pragma(connection, "auto_vacuum", _AUTO_VACUUM_INCREMENTAL)
    set_pragma(connection, "encoding", "UTF-8")


def configure_writer(connection: apsw.Connection) -> None:
    """Make each commit durable when it returns.

    The WAL is checkpointed by the store itself (``store.py``) and not by SQLite at the end of whichever commit is next:
    that would hide the errors and delay an answer.
    """
    _configure(connection)
    set_pragma(connection, "synchronous", _SYNCHRONOUS_FULL)
    if sys.platform == "darwin":  # there a plain fsync stops at the cache of the drive
        set_pragma(connection, "fullfsync", 1)
        set_pragma(connection, "checkpoint_fullfsync", 1)
    set_pragma(connection, "journal_size_limit", _WAL_BYTES_KEPT)
    set_pragma(connection, "wal_autocheckpoint", 0)


def configure_reader(connection: apsw.Connection) -> None:
    """Make sure that nothing is written through this connection."""
    _configure(connection)
    set_pragma(connection, "query_only", 1)


def configure_aside(connection: apsw.Connection) -> None:
    """Make sure that nothing is written through this connection, nor anything about the file changed by it."""
    set_pragma(connection, "cache_size", -_CACHE_KIB)
    set_pragma(connection, "trusted_schema", 0)
    set_pragma(connection, "cell_size_check", 1)
    set_pragma(connection, "query_only", 1)


def set_pragma(connection: apsw.Connection, name: str, value: int | str) -> None:
    """Set one pragma and read it back.

    Raises:
        PragmaError: SQLite kept something else.
    """
    connection.execute(f"PRAGMA {name} = {_quoted(value)}").fetchall()
    rows = fetch(connection, f"PRAGMA {name}")
    found = rows[0][0] if rows else None
    if found != value:
        raise PragmaError(name, value, found)


def fetch(connection: apsw.Connection, query: str, bindings: tuple[int | str, ...] = ()) -> list[Any]:
    """All rows of a query, each a tuple; the read is over when this returns.

    Raises:
        CorruptRecordError: a text in one of them is none.
    """
    try:
        return connection.execute(query, bindings).fetchall()
    except UnicodeDecodeError as error:
        message = f"a name in the database is no text: {error}"
        raise CorruptRecordError(message) from error


def has_types(row: tuple[object, ...], *types: type) -> bool:
    """Tell whether the values of a row have the types of their columns. Of a damaged one that is not known."""
    return tuple(map(type, row)) == types


def _configure(connection: apsw.Connection) -> None:
    set_pragma(connection, "busy_timeout", BUSY_TIMEOUT)
    set_pragma(connection, "journal_mode", "wal")
    set_pragma(connection, "locking_mode", "normal")
    set_pragma(connection, "cache_size", -_CACHE_KIB)
    set_pragma(connection, "trusted_schema", 0)
    set_pragma(connection, "cell_size_check", 1)


def _quoted(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"
