"""The statements that write: one transaction for a whole commit. To be called on the writer's thread only."""

from collections.abc import Sequence

import apsw

from lastgood_daemon.store.protocol import LogId, Outcome, RecordKey, StoreBrokenError, Unit
from lastgood_daemon.store.sqlite.checksum import record_checksum
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.sqlite.plan import Plan, StoredLog

PAGES_AT_A_TIME = 256
"""That are given back in one transaction, while commits wait."""

_FIND_LOG = "SELECT number, head FROM logs WHERE state_id = ? AND incarnation = ?"
_FIND_VERSION = "SELECT version FROM records WHERE kind = ? AND owner = ? AND key = ?"
_DROP_ROWS = "DELETE FROM changes WHERE log = ?"
_DROP_LOG = "DELETE FROM logs WHERE number = ?"
_MAKE_LOG = "INSERT INTO logs (state_id, incarnation, head, chain, updated_at) VALUES (?, ?, 0, x'', 0) RETURNING number"
_ADD_ROW = "INSERT INTO changes (log, revision, entry, chain) VALUES (?, ?, ?, ?)"
_MOVE_HEAD = "UPDATE logs SET head = ?, chain = ?, updated_at = ? WHERE number = ?"
_PUT_RECORD = (
    "INSERT INTO records (kind, owner, key, version, updated_at, value, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (kind, owner, key) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at,"
    " value = excluded.value, checksum = excluded.checksum"
)
_DELETE_RECORD = "DELETE FROM records WHERE kind = ? AND owner = ? AND key = ?"
_EXPIRE = "DELETE FROM records WHERE kind = ? AND updated_at < ?"


def commit(connection: apsw.Connection, units: Sequence[Unit], now: int) -> list[Outcome]:
    """Write the units in one transaction; durable when this returns.

    Args:
        connection: the writer's.
        units: what to write, in order; a unit may build on the ones before it.
        now: what to note as the time of the writes, in microseconds since 1970.

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

    plan = Plan(stored_log, stored_version)
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
    return outcomes


def expire(connection: apsw.Connection, kind: str, before: int) -> int:
    """Delete the records of a kind that were last written before a time (microseconds); how many that were."""
    connection.execute(_EXPIRE, (kind, before))
    return connection.changes()


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


def _write(connection: apsw.Connection, plan: Plan, now: int) -> None:
    if plan.dropped:
        connection.executemany(_DROP_ROWS, [(number,) for number in plan.dropped])
        connection.executemany(_DROP_LOG, [(number,) for number in plan.dropped])
    if plan.rows:
        numbered = [(_number(connection, plan, log), rows) for log, rows in plan.rows.items()]
        connection.executemany(_ADD_ROW, [(number, *row) for number, rows in numbered for row in rows])
        connection.executemany(_MOVE_HEAD, [(rows[-1].revision, rows[-1].chain, now, number) for number, rows in numbered])
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


def _number(connection: apsw.Connection, plan: Plan, log: LogId) -> int:
    number = plan.numbers.get(log)
    if number is None:
        ((number,),) = fetch(connection, _MAKE_LOG, log)
    return int(number)
