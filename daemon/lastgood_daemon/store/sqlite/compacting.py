"""Letting go of rows, and giving their room back. To be called on the writer's thread.

Each function is one small transaction, so that commits go on in between; what is let go of in one is removed in many.
"""

import apsw

from lastgood_daemon.store.protocol import LogId, LogRow, StoreBrokenError
from lastgood_daemon.store.sqlite.checksum import log_checksum
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.sqlite.packing import packed

CHUNK = 2000
"""Rows that are removed at a time: some milliseconds."""

_FIND = "SELECT number, head, chain, updated_at, floor FROM logs WHERE state_id = ? AND incarnation = ?"
_BETWEEN = "log = ? AND revision > ? AND revision < ?"
_DROP_ROWS = f"DELETE FROM changes WHERE {_BETWEEN}"
_DROP_IMAGES = f"DELETE FROM images WHERE {_BETWEEN}"
_REPLACE = "UPDATE changes SET entry = ? WHERE log = ? AND revision = ? AND chain = ?"
_IMAGED = "SELECT count(*) FROM images WHERE log = ? AND revision = ? AND piece = 0"
_RAISE = "UPDATE logs SET floor = ?, floor_chain = ?, checksum = ? WHERE number = ?"
_CHAIN = "SELECT chain FROM changes WHERE log = ? AND revision = ?"
_FORGET_INDEX = "UPDATE indexes SET log = -number WHERE log = ?"
"""Its places go with ``sweep``; meanwhile the log has none, and gets a new index."""
_DEAD_ROWS = (
    "DELETE FROM changes WHERE rowid IN (SELECT changes.rowid FROM logs JOIN changes ON log = number"
    f" WHERE floor > 0 AND revision <= floor LIMIT {CHUNK})"
)
_DEAD_IMAGES = (
    "DELETE FROM images WHERE rowid IN (SELECT images.rowid FROM logs JOIN images ON log = number"
    f" WHERE floor > 0 AND revision < floor LIMIT {CHUNK // 100})"
)
_DEAD_PLACES = (
    "DELETE FROM places WHERE (number, place, exact, revision) IN (SELECT places.number, place, exact, revision"
    f" FROM indexes JOIN places USING (number) WHERE log < 0 LIMIT {CHUNK})"
)
_FORGOTTEN = "DELETE FROM indexes WHERE log < 0 AND NOT EXISTS (SELECT 1 FROM places WHERE places.number = indexes.number)"


def squash(connection: apsw.Connection, log: LogId, after: int, row: LogRow) -> None:
    """Replace the rows above one, up to another, by one that has the chain of the last."""
    connection.execute("BEGIN IMMEDIATE")
    found = fetch(connection, _FIND, log)
    if not found:  # the log has gone meanwhile
        connection.execute("ROLLBACK")
        return
    number = found[0][0]
    connection.execute(_DROP_ROWS, (number, after, row.revision))
    connection.execute(_DROP_IMAGES, (number, after, row.revision))
    connection.execute(_REPLACE, (packed(row.entry), number, row.revision, row.chain))
    if connection.changes() != 1:
        message = f"log {log} has no row of revision {row.revision} with the chain that it is to be squashed to"
        raise StoreBrokenError(message)
    connection.execute("COMMIT")


def raise_floor(connection: apsw.Connection, log: LogId, revision: int) -> None:
    """Note that all rows up to a revision are let go of."""
    connection.execute("BEGIN IMMEDIATE")
    found = fetch(connection, _FIND, log)
    if not found or found[0][4] >= revision:
        connection.execute("ROLLBACK")
        return
    number, head, chain, updated_at, _ = found[0]
    if fetch(connection, _IMAGED, (number, revision)) != [(1,)]:
        message = f"log {log} has no image of revision {revision}, and must not lose what is before it"
        raise ValueError(message)
    ((floor_chain,),) = fetch(connection, _CHAIN, (number, revision))
    checksum = log_checksum(*log, number, head, chain, updated_at, revision, floor_chain)
    connection.execute(_RAISE, (revision, floor_chain, checksum, number))
    connection.execute(_FORGET_INDEX, (number,))
    connection.execute("COMMIT")


def sweep(connection: apsw.Connection) -> bool:
    """Remove a chunk of what has been let go of; whether there may be more."""
    for statement in (_DEAD_ROWS, _DEAD_IMAGES, _DEAD_PLACES):
        connection.execute(statement)
        if connection.changes():
            return True
    connection.execute(_FORGOTTEN)
    return False
