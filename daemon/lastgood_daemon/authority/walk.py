"""A history by looking at every revision, on whole trees, from the nearest one that there is."""

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


class Span(NamedTuple):
    """The revisions above one and below another, from one end to the other."""

    after: int
    before: int
    newest_first: bool

    @property
    def is_empty(self) -> bool:
        """Whether no revision is in it."""
        return self.after + 1 >= self.before


async def walk(store: Store, state: State, path: Path | None, span: Span, batch: int) -> AsyncIterator[HistoryItem]:
    """Give the revisions of a span in which a value changed. Looks at ``batch`` of them first, then at ever more."""
    after, before, newest_first = span
    current: State | None = None
    while after + 1 < before:
        low, high = (max(after, before - 1 - batch), before - 1) if newest_first else (after, min(after + batch, before - 1))
        if current is None or newest_first:
            current = await _at_or_below(store, state, low)
        items: list[HistoryItem] = []
        # Nothing before is asked for again, so nothing is kept at hand.
        current = await replay(store, current, partial(_judge, items, path, low), high, trail_from=high + 1)
        for item in reversed(items) if newest_first else items:
            yield item
        if current.revision < high:
            return  # the state has been deleted meanwhile
        after, before = (after, low + 1) if newest_first else (high, before)
        batch *= 2


def _judge(items: list[HistoryItem], path: Path | None, after: int, steps: list[Step]) -> bool:
    seen = (working(partial(seen_from, step, path)) for step in steps if step.after.revision > after)
    items += [item for item in seen if item is not None]
    return False


async def _at_or_below(store: Store, state: State, revision: int) -> State:
    """Give a state at a revision where it is at hand, else at the nearest image."""
    log, tree = LogId(state.state_id, state.incarnation), state.trail.tree(revision)
    rows = [] if tree is None else await store.read_revisions(log, [revision])
    if tree is None or not rows:
        return (await nearest(store, log, revision))[0]
    return replace(state, tree=tree, chain=rows[0].chain, trail=Trail(oldest=revision + 1))
