"""The index of places. To be called on the threads of their connections.

Its rows belong to a number and not to a log, so that an index can be begun anew without waiting until the old one is gone.
"""

from collections.abc import Sequence

import apsw

from lastgood_daemon.store.protocol import LogId
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.upkeep import Place

_LOG = "(SELECT number FROM logs WHERE state_id = ? AND incarnation = ?)"
_INDEX = f"SELECT number, indexed FROM indexes WHERE log = {_LOG}"
_MAKE = (
    "INSERT INTO indexes (log, indexed) SELECT number, 0 FROM logs WHERE state_id = ? AND incarnation = ?"
    " RETURNING number, indexed"
)
_ADD = "INSERT OR IGNORE INTO places (number, place, exact, revision) VALUES (?, ?, ?, ?)"
_MOVE = "UPDATE indexes SET indexed = ? WHERE number = ?"
_FIND = (
    "SELECT revision FROM places WHERE number = ? AND place = ? AND exact = ? AND revision > ? AND revision < ?"
    " ORDER BY revision {order} LIMIT ?"
)


def indexed(connection: apsw.Connection, log: LogId) -> int:
    """Give up to where a log is indexed."""
    found = fetch(connection, _INDEX, log)
    return int(found[0][1]) if found else 0


def add(connection: apsw.Connection, log: LogId, after: int, until: int, places: Sequence[Place]) -> None:
    """Index some more revisions, in one transaction; only where those up to ``after`` are what is indexed so far."""
    connection.execute("BEGIN IMMEDIATE")
    found = fetch(connection, _INDEX, log) or fetch(connection, _MAKE, log)
    if not found or found[0][1] != after:  # the log has gone meanwhile, or somebody else was faster
        connection.execute("ROLLBACK")
        return
    number = found[0][0]
    connection.executemany(_ADD, [(number, place, int(exact), revision) for place, exact, revision in places])
    connection.execute(_MOVE, (until, number))
    connection.execute("COMMIT")


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
    number = index[0][0]
    found: set[int] = set()
    query = _FIND.format(order="DESC" if newest_first else "ASC")
    for place, only_exact in places:
        for exact in (1,) if only_exact else (0, 1):
            rows = fetch(connection, query, (number, place, exact, after, before, limit))
            found.update(row[0] for row in rows)
    return sorted(found, reverse=newest_first)[:limit]
