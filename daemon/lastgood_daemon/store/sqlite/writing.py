"""The statements that write: one transaction for a whole commit. To be called on the writer's thread only."""

from collections.abc import Callable, Sequence
from functools import partial

import apsw

from lastgood_daemon.store.protocol import LogId, LogRow, Outcome, RecordKey, StoreBrokenError, Unit
from lastgood_daemon.store.sqlite import images
from lastgood_daemon.store.sqlite.checksum import log_checksum, record_checksum
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.sqlite.packing import packed
from lastgood_daemon.store.sqlite.plan import Plan, StoredLog

PAGES_AT_A_TIME = 256
"""That are given back in one transaction, while commits wait."""

_FIND_LOG = "SELECT number, head, floor, floor_chain FROM logs WHERE state_id = ? AND incarnation = ?"
_FIND_CHAIN = "SELECT chain FROM changes WHERE log = ? AND revision = ?"
_FIND_VERSION = "SELECT version FROM records WHERE kind = ? AND owner = ? AND key = ?"
_DROP = (
    "DELETE FROM changes WHERE log = ?",
    "DELETE FROM images WHERE log = ?",
    "DELETE FROM places WHERE number IN (SELECT number FROM indexes WHERE log = ?)",
    "DELETE FROM indexes WHERE log = ?",
    "DELETE FROM logs WHERE number = ?",
)
_MAKE_LOG = "INSERT INTO logs (state_id, incarnation, head, chain, updated_at) VALUES (?, ?, 0, x'', 0) RETURNING number"
_ADD_ROW = "INSERT INTO changes (log, revision, entry, chain) VALUES (?, ?, ?, ?)"
_NOTED = "SELECT head, chain, updated_at, floor, floor_chain FROM logs WHERE number = ?"
_RENAME = "UPDATE logs SET state_id = ?, incarnation = ?, checksum = ? WHERE number = ?"
_MOVE_HEAD = "UPDATE logs SET head = ?, chain = ?, updated_at = ?, checksum = ? WHERE number = ?"
_PUT_RECORD = (
    "INSERT INTO records (kind, owner, key, version, updated_at, value, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (kind, owner, key) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at,"
    " value = excluded.value, checksum = excluded.checksum"
)
_DELETE_RECORD = "DELETE FROM records WHERE kind = ? AND owner = ? AND key = ?"
_REPLACE_ROW = "UPDATE changes SET entry = ? WHERE log = ? AND revision = ?"
TIMELINE = RecordKey("timeline", "", "")
_EXPIRE = (
    "DELETE FROM records AS old WHERE kind = ?1 AND updated_at < ?2 AND NOT EXISTS"
    " (SELECT 1 FROM records WHERE kind = ?1 AND owner = old.owner AND updated_at >= ?2) RETURNING owner"
)


def commit(connection: apsw.Connection, units: Sequence[Unit], now: int, reach: Callable[[int], None]) -> list[Outcome]:
    """Write the units in one transaction; durable when this returns.

    Args:
        connection: the writer's.
        units: what to write, in order; a unit may build on the ones before it.
        now: what to note as the time of the writes, in microseconds since 1970.
        reach: told up to which time there are writes now; 0 where that is not known.

    Raises:
        apsw.Error: it failed, and the transaction is still to be rolled back.
        ValueError: a unit makes no sense; the same.
        StoreBrokenError: it is unknown whether it is durable.
    """
    connection.execute("BEGIN IMMEDIATE")

    def stored_log(log: LogId) -> StoredLog | None:
        rows = fetch(connection, _FIND_LOG, log)
        return StoredLog(*rows[0]) if rows else None

    def stored_version(key: RecordKey) -> int:
        rows = fetch(connection, _FIND_VERSION, key)
        return int(rows[0][0]) if rows else 0

    def stored_chain(number: int, revision: int) -> bytes | None:
        rows = fetch(connection, _FIND_CHAIN, (number, revision))
        return rows[0][0] if rows else None

    plan = Plan(stored_log, stored_version, stored_chain, partial(images.revisions, connection))
    outcomes = [plan.add(unit) for unit in units]
    if plan.writes_nothing:
        connection.execute("ROLLBACK")
        return outcomes
    _write(connection, plan, now)
    try:
        connection.execute("COMMIT")
    except MemoryError as error:  # it may have come after the fsync
        message = "SQLite ran out of memory while it committed"
        raise StoreBrokenError(message) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:  # as if it had been met before, nothing would have been written
        message = f"a damaged page was met by a commit: {error}"
        raise StoreBrokenError(message) from error
    reach(now if plan.notes_time else 0)
    return outcomes


def put_timeline(connection: apsw.Connection, data: bytes, now: int) -> None:
    """Write down the timeline, and that the store has reached a moment."""
    connection.execute(_PUT_RECORD, (*TIMELINE, 1, now, data, record_checksum(TIMELINE, 1, now, data)))


def probe(connection: apsw.Connection) -> None:
    """Commit something that changes nothing, to see whether commits in general go on."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE meta SET value = value WHERE name = 'format'")
    connection.execute("COMMIT")


def expire(connection: apsw.Connection, kind: str, before: int, reach: Callable[[int], None]) -> int:
    """Delete the records of a kind of owners of whom all were last written before a time (microseconds); how many owners."""
    owners = set(fetch(connection, _EXPIRE, (kind, before)))
    if owners:
        reach(0)
    return len(owners)


def free_bytes(connection: apsw.Connection) -> int:
    """How many bytes of the file are free pages."""
    ((pages,),) = fetch(connection, "PRAGMA freelist_count")
    ((size,),) = fetch(connection, "PRAGMA page_size")
    return int(pages * size)


def give_back(connection: apsw.Connection) -> int:
    """Give some of the free pages back to the file system; how many bytes.

    Page for page: a free page in the middle is filled with the last one of the file.
    """
    ((before,),) = fetch(connection, "PRAGMA freelist_count")
    if not before:
        return 0
    fetch(connection, f"PRAGMA incremental_vacuum({PAGES_AT_A_TIME})")  # to its last row: each step frees one
    ((after,),) = fetch(connection, "PRAGMA freelist_count")
    ((size,),) = fetch(connection, "PRAGMA page_size")
    return int(max(before - after, 0) * size)


def scrub(connection: apsw.Connection) -> bool:
    """Leave nothing in the file, nor in the WAL, of what was deleted or replaced; whether that was possible.

    ``secure_delete`` would not do: what SQLite moves from one page to another when it balances a tree stays where it was. So
    the file is made anew from what is in it.
    """
    fetch(connection, "VACUUM")
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return False
    return True


def _rename(connection: apsw.Connection, plan: Plan) -> None:
    for number, name in plan.renamed.items():
        ((*noted,),) = fetch(connection, _NOTED, (number,))
        connection.execute(_RENAME, (*name, log_checksum(*name, number, *noted), number))


def _write(connection: apsw.Connection, plan: Plan, now: int) -> None:
    if plan.dropped:
        for statement in _DROP:
            connection.executemany(statement, [(number,) for number in plan.dropped])
    _rename(connection, plan)
    if plan.rows:
        stored = [(log, _stored(connection, plan, log), rows) for log, rows in plan.rows.items()]
        connection.executemany(
            _ADD_ROW,
            [(log.number, row.revision, packed(row.entry), row.chain) for _, log, rows in stored for row in rows],
        )
        connection.executemany(_MOVE_HEAD, [_moved(name, log, rows[-1], now) for name, log, rows in stored])
    for number, rewrite in plan.rewrites:
        rewritten = [(packed(row.entry), number, row.revision) for row in rewrite.rows]
        if rewritten:
            connection.executemany(_REPLACE_ROW, rewritten)
        images.replace_all(connection, number, rewrite.images)
    puts = []
    deletes = []
    for key, (value, version) in plan.records.items():
        if value is None:
            deletes.append(key)
        else:
            puts.append((*key, version, now, value, record_checksum(key, version, now, value)))
    if puts:
        connection.executemany(_PUT_RECORD, puts)
    if deletes:
        connection.executemany(_DELETE_RECORD, deletes)


def _stored(connection: apsw.Connection, plan: Plan, log: LogId) -> StoredLog:
    known = plan.stored.get(log)
    if known is not None:
        return known
    ((number,),) = fetch(connection, _MAKE_LOG, log)
    return StoredLog(int(number), 0)


def _moved(name: LogId, log: StoredLog, last: LogRow, now: int) -> tuple[int, bytes, int, bytes, int]:
    checksum = log_checksum(*name, log.number, last.revision, last.chain, now, log.floor, log.floor_chain)
    return last.revision, last.chain, now, checksum, log.number
