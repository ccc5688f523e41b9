"""Listings that go on around damaged pages.

An ordinary listing ends at the first page that cannot be read. Here the names come from the index alone, and what they name
is read one by one, so that a damaged page of the table hides only what lies on it. Where a page of the index itself is
damaged, names are read up to it from either side. ::

    index     a b c | d e f | g h i       the second page is damaged
    forward   a b c   x
    backward          x       i h g       so the names go on with g; d, e and f cannot be listed
"""

import logging
from collections.abc import Callable
from typing import Any

import apsw

from lastgood_daemon.store.protocol import Damaged, LogId, Record, RecordKey
from lastgood_daemon.store.sqlite.connection import fetch
from lastgood_daemon.store.sqlite.faults import is_damaged_page

_RECORD_NAMES = "SELECT owner, key FROM records WHERE kind = ? AND (owner, key) > (?, ?) ORDER BY owner, key"
_RECORD_NAMES_BACK = "SELECT owner, key FROM records WHERE kind = ? AND (owner, key) > (?, ?) ORDER BY owner DESC, key DESC"
_RECORD = (
    "SELECT kind, owner, key, version, updated_at, value, checksum FROM records WHERE kind = ? AND owner = ? AND key = ?"
)
_LOG_NAMES = "SELECT state_id, incarnation FROM logs WHERE (state_id, incarnation) > (?, ?) ORDER BY state_id, incarnation"
_LOG_NAMES_BACK = (
    "SELECT state_id, incarnation FROM logs WHERE (state_id, incarnation) > (?, ?) ORDER BY state_id DESC, incarnation DESC"
)
_HIGHEST_TEXT = "\U0010ffff"

Name = tuple[Any, Any]

log = logging.getLogger(__name__)


def records(
    connection: apsw.Connection, kind: str, after_owner: str, limit: int, checked: Callable[[Any], Record | Damaged]
) -> list[Record | Damaged]:
    """Records of a kind as ``reading.list_records`` returns them, past what is damaged."""

    def complete(found: list[Name]) -> bool:
        return len(found) > limit and found[-1][0] != found[-2][0]  # the last owner of a page is complete

    names = _names(connection, _RECORD_NAMES, _RECORD_NAMES_BACK, (kind,), (after_owner, _HIGHEST_TEXT), complete)
    listed: list[Record | Damaged] = []
    for owner, key in names[:-1] if complete(names) else names:
        try:
            listed += map(checked, fetch(connection, _RECORD, (kind, owner, key)))
        except apsw.Error as error:
            if not is_damaged_page(error):
                raise
            problem = f"the record kind={kind!r} owner={owner!r} key={key!r} is on a damaged page"
            listed.append(Damaged(RecordKey(kind, str(owner), str(key)), problem))
    return listed


def logs(connection: apsw.Connection, after: LogId, limit: int) -> list[LogId]:
    """Names of logs after one, past what is damaged."""
    names = _names(connection, _LOG_NAMES, _LOG_NAMES_BACK, (), after, lambda found: len(found) >= limit)
    return [LogId(str(state_id), int(incarnation)) for state_id, incarnation in names]


def _names(
    connection: apsw.Connection,
    forward: str,
    backward: str,
    of: tuple[str, ...],
    after: Name,
    complete: Callable[[list[Name]], bool],
) -> list[Name]:
    """Return names after one in their order, until they are complete or the last is reached."""
    found: list[Name] = []
    if not _read(connection, forward, (*of, *after), found, complete):
        rest: list[Name] = []
        _read(connection, backward, (*of, *(found[-1] if found else after)), rest, lambda _: False)
        log.error("an index is damaged: names in %s after %r, up to %r, cannot be listed", of, found[-1:], rest[-1:])
        found += reversed(rest)
    names: list[Name] = []
    for name in found:
        if name > (names[-1] if names else after):  # what a damaged page says may be in any order
            names.append(name)
            if complete(names):
                break
    return names


def _read(
    connection: apsw.Connection,
    query: str,
    values: tuple[Any, ...],
    found: list[Name],
    complete: Callable[[list[Name]], bool],
) -> bool:
    """Read names until they are complete; False where a damaged page is in the way."""
    cursor = connection.execute(query, values)
    try:
        for name in cursor:
            found.append(name)
            if complete(found):
                break
    except apsw.Error as error:
        if not is_damaged_page(error):
            raise
        return False
    finally:
        cursor.close(force=True)
    return True
