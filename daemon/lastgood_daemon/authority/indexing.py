"""Indexing the places of logs, in the background, a page at a time, so that the history of a path need not walk its log."""

import asyncio
from functools import partial

from lastgood_daemon.authority.background import Background
from lastgood_daemon.authority.candidates import Tails
from lastgood_daemon.authority.records import kept_of
from lastgood_daemon.authority.rows import PAGE, Revision, read_on
from lastgood_daemon.engine.labour import let_go
from lastgood_daemon.engine.places import places_of
from lastgood_daemon.store.protocol import Append, LogId, Store
from lastgood_daemon.store.upkeep import Place

EVERY = PAGE
"""Revisions by which a log grows before the index is brought up to it; a query reads what came since."""
MOST = 4 * PAGE
"""Revisions that a query reads because they are not indexed; where there are more it waits for the index."""


class Indexing:
    """See the module."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self.tails = Tails(store)
        """What was read that is not indexed."""
        self._waiting: dict[LogId, asyncio.Future[None]] = {}

    def note(self, append: Append) -> None:
        """Have a log indexed where an append has made it long enough."""
        before = append.expected_head
        if before // EVERY != (before + len(append.rows)) // EVERY:
            self._submit(append.log)

    async def reach(self, log: LogId, revision: int) -> int:
        """Have a log indexed up to not far below a revision. Gives up to where it is: less, where there is no room."""
        indexed = await self._store.indexed(log)
        if revision - indexed <= MOST:
            return indexed
        waiting = self._waiting.get(log)
        if waiting is None:
            waiting = self._waiting[log] = asyncio.get_running_loop().create_future()
            self._submit(log)
        await asyncio.shield(waiting)
        return await self._store.indexed(log)

    def renew(self, log: LogId) -> None:
        """Have the index of a log made anew."""
        self._background.submit(("places", log), partial(self._renew, log))

    async def _renew(self, log: LogId) -> None:
        await self._store.forget_index(log)
        await self._index(log)

    def _submit(self, log: LogId) -> None:
        self._background.submit(("places", log), partial(self._index, log))

    async def _index(self, log: LogId) -> None:
        more = False
        try:
            more = await index_page(self._store, log)
        finally:
            if more:
                self._submit(log)  # after whatever else is waiting
            elif (waiting := self._waiting.pop(log, None)) is not None:
                waiting.set_result(None)


async def index_page(store: Store, log: LogId) -> bool:
    """Index the next page of a log; tells whether there are more."""
    indexed, head = await store.indexed(log), (await store.head(log)).revision
    begun = max(indexed, (await kept_of(store, log)).floor.revision)
    async for page in read_on(store, log, begun, min(head, begun + PAGE)):
        until = page[-1].number
        found = await asyncio.to_thread(_places, page)
        await store.add_places(log, indexed, until, found)
        await asyncio.to_thread(let_go, found)
        indexed = until
    return begun < indexed < head


def _places(page: list[Revision]) -> list[Place]:
    """Return the places of revisions, and let go of these."""
    found: list[Place] = []
    while page:
        number, entry = page.pop()
        found.extend(Place(*place, number) for place in places_of(entry.changes()))
        edits = list(entry.edits)
        del entry
        let_go(edits)
    return found
