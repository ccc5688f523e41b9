"""The statements that read. Each fetches what it needs and is done: an open read lets the WAL grow without bounds.

To be called on the reader's thread only.
"""

from collections.abc import Iterable, Sequence

import apsw

from lastgood_daemon.store.protocol import (
    ChainedRow,
    CorruptRecordError,
    Damaged,
    Head,
    LogId,
    LogRow,
    Record,
    RecordKey,
)
from lastgood_daemon.store.sqlite import around
from lastgood_daemon.store.sqlite.checksum import log_checksum, record_checksum
from lastgood_daemon.store.sqlite.connection import fetch, has_types
from lastgood_daemon.store.sqlite.faults import is_damaged_page
from lastgood_daemon.store.sqlite.packing import unpacked

PAGE_BYTES = 4 * 1024 * 1024
"""How many bytes of entries ``read_log`` returns at most (a single larger entry still comes, alone)."""

_EMPTY = Head(0, b"")

_HEAD = (
    "SELECT number, head, chain, updated_at, floor, floor_chain, checksum FROM logs WHERE state_id = ? AND incarnation = ?"
)
_ROWS = (
    "SELECT revision, entry, changes.chain FROM changes JOIN logs ON log = number"
    " WHERE state_id = ? AND incarnation = ? AND revision > max(?, floor) ORDER BY revision LIMIT ?"
)
_NUMBER = "SELECT number FROM logs WHERE state_id = ? AND incarnation = ?"
_ROW = (
    "SELECT entry, chain, coalesce((SELECT chain FROM changes WHERE log = ?1 AND revision = ?2 - 1),"
    " (SELECT floor_chain FROM logs WHERE number = ?1 AND floor = ?2 - 1)) FROM changes WHERE log = ?1 AND revision = ?2"
)
_COLUMNS = "SELECT kind, owner, key, version, updated_at, value, checksum FROM records"
_ONE = f"{_COLUMNS} WHERE kind = ? AND owner = ? AND key = ?"
_OF_OWNER = f"{_COLUMNS} WHERE kind = ? AND owner = ? ORDER BY key"
_LAST_OWNER = (  # of a page: that of its last record, or the last of all where the page is not full
    "coalesce((SELECT owner FROM records WHERE kind = ?1 AND owner > ?2 ORDER BY owner LIMIT 1 OFFSET ?3 - 1),"
    " (SELECT max(owner) FROM records WHERE kind = ?1))"
)
_OF_KIND = f"{_COLUMNS} WHERE kind = ?1 AND owner > ?2 AND owner <= {_LAST_OWNER} ORDER BY owner, key"

_LOGS = (
    "SELECT state_id, incarnation, head, chain, floor FROM logs WHERE (state_id, incarnation) > (?, ?)"
    " ORDER BY state_id, incarnation LIMIT ?"
)
_NEXT_KIND = "SELECT min(kind) FROM records WHERE kind > ?"
_ORPHANS = (  # numbers of logs that there are rows of; the index finds each next one without reading the rows between
    "WITH RECURSIVE used (log) AS (SELECT min(log) FROM changes"
    " UNION ALL SELECT (SELECT min(log) FROM changes WHERE changes.log > used.log) FROM used WHERE used.log IS NOT NULL)"
    " SELECT log FROM used WHERE log IS NOT NULL AND log NOT IN (SELECT number FROM logs)"
)
_STRAYS = (
    ("an image", "SELECT DISTINCT log FROM images WHERE log NOT IN (SELECT number FROM logs)"),
    ("an index", "SELECT log FROM indexes WHERE log > 0 AND log NOT IN (SELECT number FROM logs)"),
)
"""A log that is made later may get their number, and must not find them there."""
_MOST_PROBLEMS = 100

Row = tuple[str, str, str, int, int, bytes, bytes]


def head(connection: apsw.Connection, log: LogId) -> Head:
    """Where a log ends.

    Raises:
        CorruptRecordError: what is noted of the log does not match its checksum.
    """
    rows = fetch(connection, _HEAD, log)
    if not rows:
        return _EMPTY
    _, revision, chain, _, floor, _, checksum = rows[0]
    known = has_types(rows[0], int, int, bytes, int, int, bytes, bytes)
    if not known or log_checksum(*log, *rows[0][:-1]) != checksum:
        message = f"state {log.state_id!r}: the head of its log does not match its checksum"
        raise CorruptRecordError(message)
    return Head(revision, chain, floor)


def read_log(connection: apsw.Connection, log: LogId, after: int, limit: int) -> list[LogRow]:
    """Rows above a revision, in order, at most ``limit`` and ``PAGE_BYTES``; at least one where there is one."""
    rows: list[LogRow] = []
    size = 0
    cursor = connection.execute(_ROWS, (*log, after, max(limit, 0)))
    try:
        for found in cursor:
            row = _row(log, found)
            size += len(row.entry)
            if rows and size > PAGE_BYTES:
                break
            rows.append(row)
    finally:
        cursor.close()
    return rows


def read_revisions(connection: apsw.Connection, log: LogId, revisions: Sequence[int]) -> list[ChainedRow]:
    """Rows of these revisions, at most ``PAGE_BYTES``; at least one where there is one."""
    rows: list[ChainedRow] = []
    size = 0
    for (number,) in fetch(connection, _NUMBER, log):
        for revision in revisions:
            for entry, chain, before in fetch(connection, _ROW, (number, revision)):
                row = ChainedRow(*_row(log, (revision, entry, chain)), b"" if revision == 1 else before)
                size += len(row.entry)
                if rows and size > PAGE_BYTES:
                    return rows
                rows.append(row)
    return rows


def _row(log: LogId, row: tuple[int, bytes, bytes]) -> LogRow:
    revision, entry, chain = row
    try:
        if has_types(row, int, bytes, bytes):
            return LogRow(revision, unpacked(entry), chain)
        problem = "has values of other types"
    except CorruptRecordError as error:
        problem = str(error)
    message = f"state {log.state_id!r}: revision {revision} {problem}"
    raise CorruptRecordError(message)


def record(connection: apsw.Connection, key: RecordKey) -> Record | None:
    """One record.

    Raises:
        CorruptRecordError: it does not match its checksum (so does ``records``).
    """
    found = _verified(fetch(connection, _ONE, key))
    return found[0] if found else None


def records(connection: apsw.Connection, kind: str, owner: str) -> list[Record]:
    """All records of a kind and owner, by key."""
    return _verified(fetch(connection, _OF_OWNER, (kind, owner)))


def list_records(connection: apsw.Connection, kind: str, after_owner: str, limit: int) -> list[Record | Damaged]:
    """Records of a kind by owner and key; the last owner of a page is complete, so that the next page loses nothing."""
    if limit < 1:
        return []
    try:
        return [_checked(row) for row in fetch(connection, _OF_KIND, (kind, after_owner, limit))]
    except apsw.Error as error:
        if not is_damaged_page(error):
            raise
        return around.records(connection, kind, after_owner, limit, _checked)


def kinds(connection: apsw.Connection) -> list[str]:
    """The kinds of records, one search of the index for each."""
    found: list[str] = []
    while (kind := fetch(connection, _NEXT_KIND, (found[-1] if found else "",))[0][0]) is not None:
        found.append(str(kind))
    return found


def list_logs(connection: apsw.Connection, after: LogId | None, limit: int) -> list[tuple[LogId, Head]]:
    """Logs by state and life; where a page is damaged, past that, and with empty heads."""
    try:
        rows = fetch(connection, _LOGS, (*(after or ("", 0)), limit))
    except apsw.Error as error:
        if not is_damaged_page(error):
            raise
        return [(log, _EMPTY) for log in around.logs(connection, after or LogId("", 0), limit)]
    if not all(has_types(row, str, int, int, bytes, int) for row in rows):
        message = "what is noted of a log is damaged"
        raise CorruptRecordError(message)
    return [(LogId._make(row[:2]), Head._make(row[2:])) for row in rows]


def check(connection: apsw.Connection) -> list[str]:
    """What SQLite itself finds wrong with the file, and what there is of logs that are not there."""
    found = [str(text) for (text,) in fetch(connection, f"PRAGMA integrity_check({_MOST_PROBLEMS})")]
    problems = [line for text in found if text != "ok" for line in text.splitlines()]
    problems += [
        f"there is {what} of log number {log}, and no such log"
        for what, query in _STRAYS
        for (log,) in fetch(connection, query)
    ]
    return problems + [f"there are revisions of log number {log}, and no such log" for (log,) in fetch(connection, _ORPHANS)]


def _verified(rows: Iterable[Row]) -> list[Record]:
    verified = []
    for row in rows:
        found = _checked(row)
        if isinstance(found, Damaged):
            raise CorruptRecordError(found.problem)
        verified.append(found)
    return verified


def _checked(row: Row) -> Record | Damaged:
    kind, owner, key, version, updated_at, value, checksum = row
    name = RecordKey(str(kind), str(owner), str(key))
    known = has_types(row, str, str, str, int, int, bytes, bytes)
    if not known or record_checksum(name, version, updated_at, value) != checksum:
        return Damaged(name, f"the record kind={kind!r} owner={owner!r} key={key!r} does not match its checksum")
    return Record(name, value, version)
