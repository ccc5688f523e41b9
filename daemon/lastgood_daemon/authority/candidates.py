"""Which revisions of a log may have changed the value at a path: from the index, and from reading what is not indexed yet.

log         1 ───────────────────────────── 41,000 ─────── 41,320
            index: a question to the store          read, and what it says of the path remembered

Each page of a history is a query of its own. A revision may have 100,000 changes, so it is read once for all of these pages.
"""

import asyncio
from typing import NamedTuple

from lastgood_daemon.authority.rows import Revision, read_on
from lastgood_daemon.engine.labour import let_go
from lastgood_daemon.engine.places import flattened, places_for, touches
from lastgood_daemon.store.protocol import LogId, Store
from lastgood_proto.paths import Path

REMEMBERED = 16
"""Paths of which the last is remembered that was read."""


class _Read(NamedTuple):
    """Of the revisions after one up to another, those that may have changed a value."""

    after: int
    until: int
    numbers: list[int]


class Tails:
    """What was read of the ends of logs that are not indexed, for the paths that were asked for last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[LogId, Path], _Read] = {}

    async def find(self, log: LogId, path: Path, after: int, until: int) -> list[int]:
        """Return the revisions after one, up to another, that may have changed the value at a path."""
        known = self._known.get((log, path))
        if known is None or not known.after <= after <= known.until:
            known = _Read(after, after, [])
        async for page in read_on(self._store, log, known.until, until):
            last = page[-1].number
            found = await asyncio.to_thread(_touching, page, path)
            known = _Read(known.after, last, [*known.numbers, *found])
        self._known.pop((log, path), None)
        self._known[log, path] = known
        for key in list(self._known)[:-REMEMBERED]:
            del self._known[key]
        return [number for number in known.numbers if after < number <= until]


def _touching(page: list[Revision], path: Path) -> list[int]:
    """Return which revisions may have changed the value at a path, and let go of all of them."""
    found = []
    while page:
        number, entry = page.pop()
        changes = flattened(entry.changes())
        if any(touches(change, path) for change in changes):
            found.append(number)
        edits = list(entry.edits)
        del entry
        let_go(changes)
        let_go(edits)
    return found[::-1]


class Candidates:
    """See the module. Those of one log, for one query."""

    def __init__(self, store: Store, tails: Tails, log: LogId, indexed: int, newest: int) -> None:
        """Look up to a revision, of a log that is indexed up to another."""
        self._store = store
        self._tails = tails
        self._log = log
        self._indexed = min(indexed, newest)
        self._newest = newest

    async def find(self, path: Path, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """Give revisions above one and below another that may have changed the value at a path. Not for the root."""
        if newest_first:
            found = (await self._in_tail(path, after, before))[::-1][:limit]
            return found + await self._in_index(path, after, before, limit - len(found), newest_first=True)
        found = await self._in_index(path, after, before, limit, newest_first=False)
        if len(found) < limit:
            found += await self._in_tail(path, after, before)
        return found[:limit]

    async def _in_index(self, path: Path, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        before = min(before, self._indexed + 1)
        if limit <= 0 or after + 1 >= before:
            return []
        places = places_for(path)
        found = await self._store.find_places(self._log, places, after, before, limit, newest_first=newest_first)
        if await self._store.indexed(self._log) >= self._indexed:
            return found
        # The index was thrown away, with what was compacted: what it had is read, like the rest.
        self._indexed = after
        found = await self._in_tail(path, after, before)
        return found[::-1][:limit] if newest_first else found[:limit]

    async def _in_tail(self, path: Path, after: int, before: int) -> list[int]:
        if before <= self._indexed + 1 or after >= self._newest:
            return []
        found = await self._tails.find(self._log, path, self._indexed, self._newest)
        return [number for number in found if after < number < before]
