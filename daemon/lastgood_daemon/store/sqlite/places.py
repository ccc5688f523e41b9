"""The index of places. To be called on the threads of their connections.

Its rows belong to a number and not to a log, so that an index can be begun anew without waiting until the old one is gone.
"""

from collections.abc import Sequence

import apsw

from lastgood_daemon.store.protocol import CorruptRecordError, LogId
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.upkeep import Place

AT_A_TIME = 2_000
"""Places that are written in one transaction, while commits wait."""

_LOG = "(SELECT number FROM logs WHERE state_id = ? AND incarnation = ?)"
_INDEX = f"SELECT number, indexed FROM indexes WHERE log = {_LOG}"
_MAKE = (
    "INSERT INTO indexes (log, indexed) SELECT number, 0 FROM logs WHERE state_id = ? AND incarnation = ?"
    " RETURNING number, indexed"
)
_ADD = "INSERT OR IGNORE INTO places (number, place, exact, revision) VALUES (?, ?, ?, ?)"
_MOVE = "UPDATE indexes SET indexed = ? WHERE number = ?"
_FIRST_PAGE = "SELECT place, exact, revision FROM places WHERE number = ? ORDER BY place, exact, revision LIMIT ?"
_PAGE = (
    "SELECT place, exact, revision FROM places WHERE number = ? AND (place, exact, revision) > (?, ?, ?)"
    " ORDER BY place, exact, revision LIMIT ?"
)
_FORGET = f"UPDATE indexes SET log = -number WHERE log = {_LOG}"
_FIND = (
    "SELECT revision FROM places WHERE number = ? AND place = ? AND exact = ? AND revision > ? AND revision < ?"
    " ORDER BY revision {order} LIMIT ?"
)


def indexed(connection: apsw.Connection, log: LogId) -> int:
    """Give up to where a log is indexed."""
    found = fetch(connection, _INDEX, log)
    return int(found[0][1]) if found else 0


def add(connection: apsw.Connection, log: LogId, after: int, until: int, places: Sequence[Place]) -> None:
    """Index some more revisions, in one transaction; only where those up to ``after`` are what is indexed so far.

    With ``until`` as ``after``, these are some places of the next revisions: they count when the last ones are there.
    """
    connection.execute("BEGIN IMMEDIATE")
    found = fetch(connection, _INDEX, log) or fetch(connection, _MAKE, log)
    if not found or found[0][1] != after:  # the log has gone meanwhile, or somebody else was faster
        connection.execute("ROLLBACK")
        return
    number = found[0][0]
    connection.executemany(_ADD, [(number, place, int(exact), revision) for place, exact, revision in places])
    connection.execute(_MOVE, (until, number))
    connection.execute("COMMIT")


def page(connection: apsw.Connection, log: LogId, after: Place | None, limit: int) -> tuple[int, list[Place]]:
    """Give the number of the index of a log (0: there is none), and some of its rows as they stand there."""
    found = fetch(connection, _INDEX, log)
    if not found:
        return 0, []
    number = found[0][0]
    rows = fetch(connection, _PAGE if after else _FIRST_PAGE, (number, *(after or ()), limit))
    if any(type(part) is not int for row in rows for part in row):
        message = f"state {log.state_id!r}: the index of its paths is damaged"
        raise CorruptRecordError(message)
    return number, [Place._make(row) for row in rows]


def forget(connection: apsw.Connection, log: LogId) -> None:
    """Throw the index of a log away. Its rows go with ``sweep``."""
    connection.execute(_FORGET, log)


def find(
    connection: apsw.Connection,
    log: LogId,
    places: Sequence[tuple[int, bool]],
    after: int,
    before: int,
    limit: int,
    *,
    newest_first: bool,
) -> list[int]:
    """Give indexed revisions about any of these places."""
    index = fetch(connection, _INDEX, log)
    if not index:
        return []
    number, indexed_until = index[0]
    before = min(before, indexed_until + 1)  # of later revisions perhaps only some places are there
    found: set[int] = set()
    query = _FIND.format(order="DESC" if newest_first else "ASC")
    for place, only_exact in places:
        for exact in (1,) if only_exact else (0, 1):
            rows = fetch(connection, query, (number, place, exact, after, before, limit))
            found.update(row[0] for row in rows)
    return sorted(found, reverse=newest_first)[:limit]
