"""Which revisions of a log may have changed the value at a path: from the index, and from reading what is not indexed yet.

log         1 ───────────────────────────── 41,000 ─────── 41,320
            index: a question to the store          read, once a query
"""

import asyncio

from lastgood_daemon.authority.rows import Revision, read_on
from lastgood_daemon.engine.places import Place, any_of, places_for, places_of
from lastgood_daemon.store.protocol import LogId, Store
from lastgood_proto.paths import Path


class Candidates:
    """See the module. Those of one log, for one query."""

    def __init__(self, store: Store, log: LogId, indexed: int, newest: int) -> None:
        """Look up to a revision, of a log that is indexed up to another."""
        self._store = store
        self._log = log
        self._indexed = min(indexed, newest)
        self._newest = newest
        self._tail: list[tuple[int, set[Place]]] | None = None

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
        self._indexed, self._tail = after, None
        found = await self._in_tail(path, after, before)
        return found[::-1][:limit] if newest_first else found[:limit]

    async def _in_tail(self, path: Path, after: int, before: int) -> list[int]:
        if before <= self._indexed + 1 or after >= self._newest:
            return []
        if self._tail is None:
            self._tail = []
            async for page in read_on(self._store, self._log, self._indexed, self._newest):
                self._tail += await asyncio.to_thread(_places, page)
        wanted = places_for(path)
        return [number for number, places in self._tail if after < number < before and any_of(places, wanted)]


def _places(page: list[Revision]) -> list[tuple[int, set[Place]]]:
    return [(number, places_of(entry.changes())) for number, entry in page]
