"""The history of a state, or of one path of it: the revisions in which the value there changed.

Without a path, and for the root, every revision is looked at (``walk.py``); for any other path those that the index names
(``path_history.py``). Both give items one by one and look no further than somebody asks.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from lastgood_daemon.authority.candidates import Candidates
from lastgood_daemon.authority.indexing import MOST, Indexing
from lastgood_daemon.authority.path_history import PathHistory
from lastgood_daemon.authority.records import kept_of
from lastgood_daemon.authority.replay import RewrittenError, rebuilt
from lastgood_daemon.authority.walk import Span, walk
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import Entry
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, Store
from lastgood_proto.paths import Path
from lastgood_proto.values import MAX_BYTES


class HistoryQuestion(msgspec.Struct, frozen=True):
    """Which revisions to list: those above ``after`` and below ``before``; about ``limit`` will be asked for."""

    path: Path | None
    after: int
    before: int | None
    newest_first: bool
    limit: int
    value_bytes: int = MAX_BYTES
    """Values of more bytes are left out; 0: all are."""

    def floor(self, state: State) -> Entry | None:
        """Return what made the oldest revision that is kept, if that is known, and asked for.

        With a path it is not among the answers: what it changed is known no more.
        """
        kept, before = state.kept, self.before
        asked = self.path is None and self.after < kept.floor.revision and (before is None or kept.floor.revision < before)
        return kept.entry if asked else None

    def span(self, state: State) -> Span:
        """Give what there is of that in a state. The one place that says where its log begins and ends."""
        end = state.revision + 1
        return Span(
            max(self.after, state.kept.floor.revision),
            end if self.before is None else min(self.before, end),
            self.newest_first,
        )


async def history(store: Store, indexing: Indexing, state: State, question: HistoryQuestion) -> AsyncIterator[HistoryItem]:
    """Give the revisions in which a value changed, in the order asked for.

    Raises:
        CorruptRecordError: a revision does not match its chain.
        RewrittenError: the state has been compacted since it was looked at: ask anew.
    """
    span = question.span(state)
    floor = question.floor(state)
    if floor is not None and not question.newest_first:
        yield await _made_floor(store, state, floor, question.value_bytes)
    if not span.is_empty:
        async for item in _within(store, indexing, state, question, span):
            yield item
    if floor is not None and question.newest_first:
        yield await _made_floor(store, state, floor, question.value_bytes)


async def _made_floor(store: Store, state: State, entry: Entry, value_bytes: int) -> HistoryItem:
    """Return the oldest revision that is kept, of which there is no row, as it looks without a path."""
    point = state.point(state.kept.floor.revision)
    tree = state.tree if point.revision == state.revision else (await rebuilt(store, point)).state.tree

    def seen() -> HistoryItem:
        made = entry.edits[0]
        item = HistoryItem(made.path, point.revision, made.operation, entry, tree.find(made.path))
        return item.trimmed(value_bytes)[0]

    return await asyncio.to_thread(working, seen)


async def _within(
    store: Store, indexing: Indexing, state: State, question: HistoryQuestion, span: Span
) -> AsyncIterator[HistoryItem]:
    """Give those of which there are rows."""
    path = question.path
    items = None
    if path:
        log, newest = LogId(state.state_id, state.incarnation), span.before - 1
        indexed = max(await indexing.reach(log, newest), state.kept.floor.revision)
        if newest - indexed <= MOST:  # or there was no room for the index
            candidates = Candidates(store, indexing.tails, log, indexed, newest)
            found = PathHistory(store, state, path, candidates, question.value_bytes)
            items = found.items(span, question.limit + 1)
    try:
        async for item in items or walk(store, state, path, span, question.limit + 1, question.value_bytes):
            yield item
    except (RewrittenError, CorruptRecordError) as error:
        if (await kept_of(store, LogId(state.state_id, state.incarnation))).floor.revision != state.kept.floor.revision:
            raise RewrittenError from None
        if isinstance(error, CorruptRecordError):
            raise  # it is not because the log was compacted meanwhile
        message = f"state {state.state_id!r}: its log is not what it was, and nobody has compacted it"
        raise CorruptRecordError(message) from error
