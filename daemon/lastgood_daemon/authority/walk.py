"""A history by looking at every revision, on whole trees, from the nearest one that there is."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from lastgood_daemon.authority.replay import nearest, replay
from lastgood_daemon.engine.history import HistoryItem, Step, seen_from
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.trail import Trail
from lastgood_daemon.store.protocol import LogId, Store
from lastgood_proto.paths import Path

HELD_BYTES = 4 * 1024 * 1024
"""Bytes of values that are held at a time."""


class Span(NamedTuple):
    """The revisions above one and below another, from one end to the other."""

    after: int
    before: int
    newest_first: bool

    @property
    def is_empty(self) -> bool:
        """Whether no revision is in it."""
        return self.after + 1 >= self.before


async def walk(
    store: Store, state: State, path: Path | None, span: Span, batch: int, value_bytes: int
) -> AsyncIterator[HistoryItem]:
    """Give the revisions of a span in which a value changed. Looks at ``batch`` of them first, then at ever more.

    Values of more than ``value_bytes`` are left out. Of the others it holds ``HELD_BYTES`` at a time, and one.
    """
    after, before, newest_first = span
    current: State | None = None
    while after + 1 < before:
        low, high = (max(after, before - 1 - batch), before - 1) if newest_first else (after, min(after + batch, before - 1))
        if current is None or newest_first:
            current = await _at_or_below(store, state, low)
        held = _Held(path, low, value_bytes, newest_first=newest_first)
        # Nothing before is asked for again, so nothing is kept at hand.
        current = await replay(store, current, held.judge, high, trail_from=high + 1)
        for item in reversed(held.items) if newest_first else held.items:
            yield item
        if current.revision < high and not held.is_full:
            return  # the state has been deleted meanwhile
        after, before = (after, held.after + 1) if newest_first else (current.revision, before)
        batch *= 2


class _Held:
    """The items of some revisions, as many as may be held: of the newest ones, or of the oldest."""

    def __init__(self, path: Path | None, after: int, value_bytes: int, *, newest_first: bool) -> None:
        self.items: deque[HistoryItem] = deque()
        self.after = after
        """The revision after which all that have an item are here."""
        self.is_full = False
        self._sizes: deque[int] = deque()
        self._size = 0
        self._path = path
        self._value_bytes = value_bytes
        self._newest_first = newest_first

    def judge(self, steps: list[Step]) -> bool:
        """Look at revisions, and return whether that is enough. May take long."""
        for step in steps:
            seen = working(partial(seen_from, step, self._path)) if step.after.revision > self.after else None
            if seen is not None:
                self._hold(*seen.trimmed(self._value_bytes))
        return self.is_full and not self._newest_first

    def _hold(self, item: HistoryItem, size: int) -> None:
        self.items.append(item)
        self._sizes.append(size)
        self._size += size
        while len(self.items) > 1 and self._size > HELD_BYTES:
            self.is_full = True
            if not self._newest_first:
                return
            self.after = self.items.popleft().revision
            self._size -= self._sizes.popleft()


async def _at_or_below(store: Store, state: State, revision: int) -> State:
    """Give a state at a revision where it is at hand, else at the nearest image."""
    log, tree = LogId(state.state_id, state.incarnation), state.trail.tree(revision)
    rows = [] if tree is None else await store.read_revisions(log, [revision])
    if tree is None or not rows:
        return (await nearest(store, log, revision))[0]
    return replace(state, tree=tree, chain=rows[0].chain, trail=Trail(oldest=revision + 1))
