"""How two contents differ, as people are shown it: what ``diff`` and ``preview`` answer.

Differences are found one by one, in the order of the old content's maps, with what is new after it; and from any of them on,
so that a page begins where the one before has ended, without going through what lies before that:

    old  {a: 1, b: {x: 1, y: 2}, c: 3}      new  {b: {x: 2, y: 3}, c: 3, d: 4}

    a removed, b.x changed, b.y changed, d added        from ("b", "y") on: b.y changed, d added
"""

from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from lastgood_daemon.engine.equality import same_value
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import MapBody, Node, position_of
from lastgood_daemon.engine.order import index_of
from lastgood_proto.paths import Path


class Difference(NamedTuple):
    """How two contents differ at a path."""

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Node | None
    new: Node | None


class NoSuchDifferenceError(Exception):
    """A path to go on from is in neither of the two contents."""


def differences(old: Node | None, new: Node | None, path: Path = (), start: Path = ()) -> Iterator[Difference]:
    """Compare maps key by key; a list, a scalar, or a subtree that appears or disappears is one difference.

    Args:
        old: the one content.
        new: the other.
        path: where they are.
        start: the path, below that, of the difference to begin with.

    Raises:
        NoSuchDifferenceError: nothing is there to begin with.
        LabourError: it takes long.
    """
    if old is new:
        return
    if old is None:
        yield Difference(path, "added", None, new)
    elif new is None:
        yield Difference(path, "removed", old, None)
    elif old.is_map and new.is_map:
        before, after = old.body(), new.body()
        if isinstance(before, MapBody) and isinstance(after, MapBody):
            yield from _of_maps(before, after, path, start)
    elif not same_value(old, new):
        yield Difference(path, "changed", old, new)


def _of_maps(old: MapBody, new: MapBody, path: Path, start: Path) -> Iterator[Difference]:
    for name in _names(old, new, start[0] if start else None):
        spend(1)
        before, after = old.entries.get(name), new.entries.get(name)
        one, other = None if before is None else before.node, None if after is None else after.node
        if one is not other:
            yield from differences(one, other, (*path, name), start[1:])
        start = ()


def _names(old: MapBody, new: MapBody, first: str | None) -> Iterator[str]:
    """Return the names of both maps, from one on: those of the old one in its order, then what is new."""
    begin = 0
    if first is None or first in old.entries:
        before = old.names()
        if first is not None:
            begin = index_of(before, old.entries, position_of, (old.entries[first].position, first))
        yield from islice(before, begin, None)
        begin = 0
    elif first in new.entries:
        begin = index_of(new.names(), new.entries, position_of, (new.entries[first].position, first))
    else:
        raise NoSuchDifferenceError
    yield from (name for name in islice(new.names(), begin, None) if name not in old.entries)
