"""The history of a state, or of one path of it: the revisions in which the value there changed.

Without a path, and for the root, every revision is looked at (``walk.py``); for any other path those that the index names
(``path_history.py``). Both give items one by one and look no further than somebody asks.
"""

from collections.abc import AsyncIterator

import msgspec

from lastgood_daemon.authority.candidates import Candidates
from lastgood_daemon.authority.indexing import MOST, Indexing
from lastgood_daemon.authority.path_history import PathHistory
from lastgood_daemon.authority.records import kept_of
from lastgood_daemon.authority.replay import RewrittenError
from lastgood_daemon.authority.walk import Span, walk
from lastgood_daemon.engine.history import HistoryItem
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
    path, span = question.path, question.span(state)
    if span.is_empty:
        return
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
