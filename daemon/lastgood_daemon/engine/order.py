"""The order of a persistent map, found once for each version of it.

A hash trie has no order; what belongs in order says so by a position. To sort 200,000 names for every page of a thousand
would be two hundred sorts, so the order of a large map is remembered for as long as that version of the map exists, up to
so many names in all. It is found in pieces: one call of ``sorted`` over 200,000 pairs holds the interpreter for
a fifth of a second, whichever thread makes it.

    positions   0 … 999, 5_000 … 5_200      runs of about RUN positions, each sorted by itself, one after the other
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from sys import getrefcount
from typing import Any, TypeVar
from weakref import ref

from immutables import Map

from lastgood_daemon.engine.labour import let_go, spend

RUN = 1_000
"""As many are sorted in one call; what is no larger is sorted each time."""
MOST = 1_000_000
"""Names that are remembered in all, besides those of the last map."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

Position = Callable[[V], int]


class _Orders:
    """The orders that were found, by the identity of the map, oldest first.

    Never changed but replaced, since a thread may ask while another one adds: what one of two adds may be lost.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[ref[Map[Any, Any]], list[Any]]] = {}

    def get(self, entries: Map[K, V]) -> list[K] | None:
        found = self._known.get(id(entries))
        return None if found is None or found[0]() is not entries else found[1]

    def put(self, entries: Map[K, V], names: list[K]) -> None:
        known = {key: found for key, found in self._known.items() if found[0]() is not None}
        held = sum(len(found[1]) for found in known.values())
        for key in list(known):
            if held <= MOST:
                break
            held -= len(known.pop(key)[1])
        known[id(entries)] = (ref(entries, self._forget), names)
        self._replace(known)

    def _forget(self, gone: "ref[Map[Any, Any]]") -> None:
        """Forget the order of a map that is gone: its names keep memory from being given back that is spread among them."""
        self._replace({key: found for key, found in self._known.items() if found[0] is not gone})

    def _replace(self, known: dict[int, tuple["ref[Map[Any, Any]]", list[Any]]]) -> None:
        gone = [found[1] for key, found in self._known.items() if known.get(key) is not found]
        self._known = known
        while gone:
            order = gone.pop()
            if getrefcount(order) == _MINE:  # else somebody goes through it
                let_go(order)


_MINE = 2
"""References to what only one variable refers to, as ``getrefcount`` counts them."""

_orders = _Orders()


def in_order(entries: Map[K, V], position: Position[V]) -> list[K]:
    """Return the keys of a map by the positions of what they have, and by themselves where two share one.

    The list belongs to all who ask for it: it must not be changed.

    Raises:
        LabourError: the map is large, and its order is not known yet.
    """
    if len(entries) <= RUN:
        return [key for _, key in sorted((position(value), key) for key, value in entries.items())]
    known = _orders.get(entries)
    if known is None:
        spend(len(entries))
        pairs = [(position(value), key) for key, value in entries.items()]
        known = [key for _, key in _sorted(pairs)]
        let_go(pairs)
        _orders.put(entries, known)
    return known


def index_of(names: Sequence[K], entries: Map[K, V], position: Position[V], place: tuple[int, K]) -> int:
    """Return the index, in the order of a map, of the first key whose position and self are not below a place."""
    return bisect_left(names, place, key=lambda name: (position(entries[name]), name))


def values_from(entries: Map[K, V], position: Position[V], place: tuple[int, K]) -> Iterator[V]:
    """Return the values of a map in their order, from a place on. Finding that costs little, once the order is known."""
    names = in_order(entries, position)
    return (entries[name] for name in islice(names, index_of(names, entries, position, place), None))


def sorted_in_runs(items: Iterable[T], key: Callable[[T], Any] | None = None) -> Iterable[T]:
    """Sort items, a run of them at a time."""
    unread = iter(items)
    runs = [sorted(run, key=key) for run in iter(lambda: list(islice(unread, RUN)), [])]  # type: ignore[arg-type,type-var]
    return runs[0] if len(runs) == 1 else merge(*runs, key=key)  # type: ignore[arg-type]


def _sorted(pairs: list[tuple[int, K]]) -> Iterable[tuple[int, K]]:
    """Sort pairs, a run of positions at a time."""
    if len(pairs) <= RUN:
        return sorted(pairs)
    low, high = min(place for place, _ in pairs), max(place for place, _ in pairs)
    if low == high:
        return sorted_in_runs(pairs)
    width = (high - low) * RUN // len(pairs) + 1
    runs: dict[int, list[tuple[int, K]]] = {}
    for pair in pairs:
        runs.setdefault((pair[0] - low) // width, []).append(pair)
    return (pair for run in sorted(runs) for pair in _sorted(runs.pop(run)))
