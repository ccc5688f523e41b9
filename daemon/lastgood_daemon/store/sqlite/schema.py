"""What is in the file, and whether a file is one of ours.

=========  =====================================================================================================
table      one row is
=========  =====================================================================================================
meta       a fact about the file: ``format``, ``daemon_id``, ``made_at`` (microseconds since 1970); of a copy ``copy_id``;
           ``mark`` and ``next_mark`` tell it from its copies (``copies.py``); ``checksum`` is that of the others, and of
           the definitions of the tables
logs       one life of one state, under a short number, with the head that its next append has to expect
changes    one revision of a log: the encoded change, and the hash that chains it to the one before
records    a small value under (kind, owner, key), with a version, the time of its last write and a checksum
images     a piece of an image of a log at a revision; it is complete where there is a piece 0, which is written last
indexes    up to which revision the places of a log are indexed, and under which number
places     that something was written at a place in a revision
=========  =====================================================================================================

Format 2 brought images, indexes and places, compressed entries, the floor of a log and the checksums of its
head and of the facts. A file of
format 1 becomes one of format 2 in one transaction when it is opened.

``changes`` is an ordinary table with an index on (log, revision), not one WITHOUT ROWID: a group commit that touches
64 logs then dirties the end of one table and not 64 places in it (measured: 0.65 ms against 1.6 ms), and a change of
a few kilobytes stays on its page.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw

from lastgood_daemon.store.protocol import CorruptRecordError
from lastgood_daemon.store.sqlite.checksum import facts_checksum, log_checksum
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.sqlite.errors import DamagedFileError, ForeignFileError, FutureFormatError

FORMAT = 2
"""Version of the format that this daemon writes: ``user_version`` of the file, and ``format`` in ``meta``."""

APPLICATION_ID = int.from_bytes(b"LGOD", "big")
"""``application_id`` of the file, by which ``file(1)`` and we tell ours from others."""

_TABLES = (
    """CREATE TABLE meta (
        name TEXT NOT NULL PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT""",
    """CREATE TABLE logs (
        number INTEGER PRIMARY KEY,
        state_id TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        head INTEGER NOT NULL,
        chain BLOB NOT NULL,
        updated_at INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        floor_chain BLOB NOT NULL DEFAULT x'',
        checksum BLOB NOT NULL DEFAULT x'',
        UNIQUE (state_id, incarnation)
    ) STRICT""",
    """CREATE TABLE changes (
        log INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        entry BLOB NOT NULL,
        chain BLOB NOT NULL,
        PRIMARY KEY (log, revision)
    ) STRICT""",
    """CREATE TABLE records (
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        value BLOB NOT NULL,
        checksum BLOB NOT NULL,
        PRIMARY KEY (kind, owner, key)
    ) STRICT""",
    "CREATE INDEX records_by_age ON records (kind, updated_at)",
)

_TABLES_OF_FORMAT_2 = (
    """CREATE TABLE images (
        log INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        pieces INTEGER NOT NULL,
        data BLOB NOT NULL,
        checksum BLOB NOT NULL,
        PRIMARY KEY (log, revision, piece)
    ) STRICT""",
    """CREATE TABLE indexes (
        number INTEGER PRIMARY KEY,
        log INTEGER NOT NULL UNIQUE,
        indexed INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE places (
        number INTEGER NOT NULL,
        place INTEGER NOT NULL,
        exact INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (number, place, exact, revision)
    ) STRICT, WITHOUT ROWID""",
)


_LATEST = (
    "SELECT coalesce(max(updated_at), 0) FROM records",
    "SELECT coalesce(max(updated_at), 0) FROM logs",
)


_MAGIC = b"SQLite format 3\0"
_WRITE_VERSION = 18
_WRITE_VERSIONS = (1, 2)
"""Where the header has it; 1 is with a rollback journal, 2 with a WAL."""


class Identity(NamedTuple):
    """What the store has to know of the file that it opened."""

    daemon_id: str
    latest: int
    """The highest time in the file, in microseconds since 1970: time goes on from there."""
    is_exact: bool = True
    """Whether that could be read; otherwise it is at most that."""
    copy_id: str = ""
    """Which copy of the store it is (``copies.py``)."""


def is_empty(connection: apsw.Connection, path: Path) -> bool:
    """Tell a file that is still to be filled from one of ours; change neither.

    Raises:
        ForeignFileError: it is something else.
        FutureFormatError: it is ours, from a newer daemon.
    """
    try:
        application = _number(connection, "PRAGMA application_id")
        version = _number(connection, "PRAGMA user_version")
        tables = _number(connection, "SELECT count(*) FROM sqlite_schema")
    except apsw.NotADBError:
        raise ForeignFileError(path, "it is not a SQLite file") from None
    if application == 0 and version == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise ForeignFileError(path, f"it is a SQLite file with application_id {application}, not {APPLICATION_ID}")
    if version > FORMAT:
        raise FutureFormatError(path, version, FORMAT)
    if version < 1:
        raise ForeignFileError(path, f"it has format version {version}, which never was")
    return False


def require_write_version(path: Path) -> None:
    """Look at the version that a file is to be written with: of one that SQLite does not know, it only reads.

    To be called while this process has no connection to the file: closing any descriptor of it lets go of all locks.

    Raises:
        DamagedFileError: it is none that SQLite has ever had.
    """
    with path.open("rb") as file:
        header = file.read(_WRITE_VERSION + 1)
    if header.startswith(_MAGIC) and header[-1] not in _WRITE_VERSIONS:
        raise DamagedFileError(path, f"its header names version {header[-1]} to write it with, and there is none")


def make(connection: apsw.Connection) -> None:
    """Fill an empty file, in one transaction: after a crash it is either empty or complete."""
    facts = {"format": FORMAT, "daemon_id": str(uuid.uuid4()), "made_at": time.time_ns() // 1000}
    with connection:
        for statement in (*_TABLES, *_TABLES_OF_FORMAT_2):
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        _sign(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def upgrade(connection: apsw.Connection, path: Path) -> None:
    """Bring a file of an earlier format to this one, in one transaction.

    Raises:
        ForeignFileError: the file is not of the format that its head names.
    """
    if format_of(connection) == FORMAT:
        return
    try:
        noted = _number(connection, "SELECT value FROM meta WHERE name = 'format'")
    except (apsw.SQLError, ValueError):  # no such table, no such row, not a number
        noted = None
    if noted != format_of(connection):
        raise ForeignFileError(path, "its table meta contradicts its user_version")
    with connection:
        connection.execute("ALTER TABLE logs ADD COLUMN floor INTEGER NOT NULL DEFAULT 0")
        connection.execute("ALTER TABLE logs ADD COLUMN floor_chain BLOB NOT NULL DEFAULT x''")
        connection.execute("ALTER TABLE logs ADD COLUMN checksum BLOB NOT NULL DEFAULT x''")
        for statement in _TABLES_OF_FORMAT_2:
            connection.execute(statement)
        for row in fetch(
            connection, "SELECT state_id, incarnation, number, head, chain, updated_at, floor, floor_chain FROM logs"
        ):
            connection.execute("UPDATE logs SET checksum = ? WHERE number = ?", (log_checksum(*row), row[2]))
        connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (FORMAT,))
        _sign(connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def format_of(connection: apsw.Connection) -> int:
    """Give the format of one of our files."""
    return _number(connection, "PRAGMA user_version")


def identify(connection: apsw.Connection, path: Path) -> Identity:
    """Read what the store has to know of the file.

    Raises:
        ForeignFileError: ``meta`` contradicts the head of the file.
        DamagedFileError: ``meta`` does not match its checksum: effects would get other idempotency keys, and run again.
    """
    facts = facts_of(connection, path)
    if facts["format"] != format_of(connection):
        raise ForeignFileError(path, "its table meta contradicts its user_version")
    latest, is_exact = _latest(connection, path)
    return Identity(str(facts["daemon_id"]), latest, is_exact)


def _latest(connection: apsw.Connection, path: Path) -> tuple[int, bool]:
    """Read the highest time in the file. Where a damaged page is in the way, it is at most that of its last change."""
    found = []
    is_exact = True
    for query in _LATEST:
        try:
            found.append(_number(connection, query))
        except apsw.CorruptError:
            found.append(path.stat().st_mtime_ns // 1000)
            is_exact = False
    return max(found), is_exact


def note(connection: apsw.Connection, facts: Mapping[str, str | int], gone: Sequence[str] = ()) -> None:
    """Write facts about the file, and remove others."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", facts.items()
        )
        connection.executemany("DELETE FROM meta WHERE name = ?", [(name,) for name in gone])
        _sign(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled some failures back itself
            connection.execute("ROLLBACK")
        raise


def _sign(connection: apsw.Connection) -> None:
    facts = dict(fetch(connection, "SELECT name, value FROM meta WHERE name <> 'checksum'"))
    connection.execute(
        "INSERT INTO meta VALUES ('checksum', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (facts_checksum(facts, _definitions(connection)),),
    )


def facts_of(connection: apsw.Connection, path: Path) -> dict[str, str | int]:
    """Read the facts, and hold them and the definitions of the tables against their checksum.

    Those are text, too: a bit that flips there may rename a column, or give a new log another floor to begin with.
    """
    try:
        facts = dict(fetch(connection, "SELECT name, value FROM meta"))
        checksum = facts.pop("checksum", None)
        known = all(type(name) is str and type(value) in {str, int} for name, value in facts.items())
        if known and facts_checksum(facts, _definitions(connection)) == checksum:
            return facts
    except (apsw.SQLError, CorruptRecordError):
        pass  # a name is another one, or no text
    raise DamagedFileError(path, "its table meta, or what it says of its tables, does not match its checksum")


def _definitions(connection: apsw.Connection) -> list[str]:
    rows = fetch(connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    return [str(part) for row in rows for part in row]


def _number(connection: apsw.Connection, query: str) -> int:
    (row,) = fetch(connection, query)
    return int(row[0])
