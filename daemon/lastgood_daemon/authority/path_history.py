"""The history of a path by looking only at the revisions that the index names, on trees that are right at the path.

candidates    … 17, 480, 951 …            newest or oldest first, a batch at a time
base          a tree below 17 from which on the path is known: at hand, made from what was written there, or an image
judged        base ─ 17 ─ 480 ─ 951       what was at the path before and after each
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from lastgood_daemon.authority.candidates import Candidates
from lastgood_daemon.authority.replay import nearest, rebuilt
from lastgood_daemon.authority.rows import PAGE, Revision, read_some
from lastgood_daemon.authority.walk import Span
from lastgood_daemon.engine.history import HistoryItem, Step, seen_from
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.partial import advanced, determined, scope_of
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.store.protocol import LogId, Store
from lastgood_proto.paths import Path

NEARBY = 32
"""Revisions that are looked at for something that says all about the path before an image is: that may be large."""


class Base(NamedTuple):
    """A tree in which the scope is known, and from which on that has to be kept."""

    tree: Tree
    scope: Path


class PathHistory:
    """See the module. Not for the root."""

    def __init__(self, store: Store, state: State, path: Path, candidates: Candidates, value_bytes: int) -> None:
        self._store = store
        self._state = state
        self._log = LogId(state.state_id, state.incarnation)
        self._path = path
        self._floor = state.kept.floor.revision
        self._candidates = candidates
        self._at_hand: dict[int, Revision] = {}
        """The revisions that are judged next: of a large one, to decode it takes most of the time."""
        self._value_bytes = value_bytes

    async def items(self, span: Span, batch: int) -> AsyncIterator[HistoryItem]:
        """Give the revisions of a span in which the value changed. Looks at ``batch`` of them first, then at more."""
        after, before, newest_first = span
        base: Base | None = None
        while True:
            numbers = await self._candidates.find(self._path, after, before, batch, newest_first=newest_first)
            found = sorted(await self._read(numbers))
            if not found:
                return
            self._at_hand = {revision.number: revision for revision in found}
            first, last = found[0].number, found[-1].number
            scope = await asyncio.to_thread(_scope, self._path, found)
            if base is None or newest_first or len(base.scope) > len(scope):
                base = await self._base(first, scope)
            items, base = await self._judge(base, first, last)
            for item in reversed(items) if newest_first else items:
                yield item
            after, before = (after, first) if newest_first else (last, before)
            batch = min(2 * batch, PAGE)

    async def _read(self, numbers: Sequence[int]) -> list[Revision]:
        """Return the first of some revisions, as many as are at hand or may be read at once; see ``read_some``."""
        at_hand = [*map(self._at_hand.__getitem__, takewhile(self._at_hand.__contains__, numbers))]
        missing = [*takewhile(lambda number: number not in self._at_hand, numbers)]
        return at_hand or await read_some(self._store, self._log, missing)

    async def _judge(self, base: Base, first: int, last: int) -> tuple[list[HistoryItem], Base]:
        """Go from a base over the candidates up to the last, and judge them from the first on."""
        items: list[HistoryItem] = []
        while base.tree.revision < last:
            numbers = await self._candidates.find(base.scope, base.tree.revision, last + 1, PAGE, newest_first=False)
            found = await self._read(numbers)
            if not found:
                break  # the state has been deleted meanwhile
            seen, base = await asyncio.to_thread(_advance, self._path, base, found, first, self._value_bytes)
            items += seen
        return items, base

    async def _base(self, first: int, scope: Path) -> Base:
        """Give a tree below a revision, in which the scope is known; going back over the candidates may make it wider."""
        tree = self._state.trail.tree(first - 1)
        if tree is not None:
            return Base(tree, scope)
        found, scope, reached = await self._look_back(scope, self._floor, first, NEARBY)
        if found is not None:
            return Base(found, scope)
        images = await self._store.list_images(self._log)
        usable = (mark.revision for mark in images if self._floor <= mark.revision < first)
        floor, start = max(usable, default=self._floor), None
        while found is None:
            if reached > floor + 1:
                found, scope, reached = await self._look_back(scope, floor, reached, PAGE)
                continue
            if start is None or start.revision != floor:
                start, _ = await nearest(self._store, self._log, floor)
            if start.revision == floor:
                return Base(start.tree, scope)
            if start.revision < self._floor:  # the log has not followed yet: the floor has no image
                point = Point(self._log.state_id, self._log.incarnation, self._floor)
                return Base((await rebuilt(self._store, point)).state.tree, scope)
            floor = start.revision  # the image is damaged, and this is the one before it
        return Base(found, scope)

    async def _look_back(self, scope: Path, floor: int, before: int, size: int) -> tuple[Tree | None, Path, int]:
        """Look at some candidates, newest first, for one that says all about the scope.

        Gives the tree after that one; what has to be known before the last that was looked at; and its revision, or the one
        above ``floor`` where there are no more.
        """
        numbers = await self._candidates.find(self._path, floor, before, size, newest_first=True)
        found = await self._read(numbers)
        tree, scope = await asyncio.to_thread(_determined, self._path, scope, found)
        is_all = len(found) == len(numbers) < size
        return tree, scope, floor + 1 if is_all or not found else found[-1].number


def _scope(path: Path, revisions: Sequence[Revision]) -> Path:
    return min((scope_of(path, entry) for _, entry in revisions), key=len)


def _advance(
    path: Path, base: Base, revisions: Sequence[Revision], first: int, value_bytes: int
) -> tuple[list[HistoryItem], Base]:
    items: list[HistoryItem] = []
    tree, scope = base
    for number, entry in revisions:
        after = working(partial(advanced, tree, scope, number, entry))
        if number >= first:
            item = working(partial(seen_from, Step(entry, tree, after), path))
            items += [] if item is None else [item.trimmed(value_bytes)[0]]
        tree = after
    return items, Base(tree, scope)


def _determined(path: Path, scope: Path, revisions: Sequence[Revision]) -> tuple[Tree | None, Path]:
    for number, entry in revisions:
        tree, scope = working(partial(determined, path, scope, number, entry))
        if tree is not None:
            return tree, scope
    return None, scope
