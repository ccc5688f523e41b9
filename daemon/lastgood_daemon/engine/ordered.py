"""A persistent mapping in the order of its keys: the first, the last and the next are found without sorting all of them.

The keys lie in runs of at most ``RUN``, one after the other; to add one copies its run and the list of runs. Keys are mostly
added at the end, where the last run is left full and another is begun.

    runs   (1 … 512) (513 … 1024) (1025 … 1100)        1101 copies 77 keys and 3 runs
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from immutables import Map

from lastgood_daemon.engine.order import sorted_in_runs

RUN = 512

K = TypeVar("K", bound=Any)
V = TypeVar("V")


class Ordered(Generic[K, V]):
    """See the module."""

    __slots__ = ("_runs", "_values")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        # One by one, and in runs: of 100,000 each single call would hold the interpreter for tens of milliseconds.
        values = Map[K, V]().mutate()
        for key, value in items:
            values[key] = value
        self._values: Map[K, V] = values.finish()
        keys = list(sorted_in_runs(self._values))
        self._runs = tuple(tuple(keys[start : start + RUN]) for start in range(0, len(keys), RUN))

    @classmethod
    def _of(cls, values: Map[K, V], runs: tuple[tuple[K, ...], ...]) -> "Ordered[K, V]":
        made: Ordered[K, V] = cls.__new__(cls)
        made._values, made._runs = values, runs
        return made

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ordered) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def get(self, key: K) -> V | None:
        """Return what a key has, or None."""
        return self._values.get(key)

    def values(self) -> Iterator[V]:
        """Return all values, in the order of their keys."""
        return map(self._values.__getitem__, self)

    def values_from(self, key: K) -> Iterator[V]:
        """Return the values of all keys from one on, which need not be there itself."""
        index = max(self._run_of(key), 0)
        keys = chain.from_iterable(islice(self._runs, index, None))
        skipped = bisect_left(self._runs[index], key) if self._runs else 0
        return map(self._values.__getitem__, islice(keys, skipped, None))

    def last(self) -> V | None:
        """Return the value of the highest key, or None."""
        return self._values[self._runs[-1][-1]] if self._runs else None

    def floor(self, key: K) -> V | None:
        """Return the value of the highest key that is not above one, or None."""
        index = self._run_of(key)
        return None if index < 0 else self._values[self._runs[index][bisect_right(self._runs[index], key) - 1]]

    def set(self, key: K, value: V) -> "Ordered[K, V]":
        """Return it with a value under a key."""
        values, runs = self._values.set(key, value), self._runs
        if key in self._values:
            return self._of(values, runs)
        index = max(self._run_of(key), 0)
        run = runs[index] if runs else ()
        at = bisect_left(run, key)
        grown = (*run[:at], key, *run[at:])
        cut = len(grown) if len(grown) <= RUN else RUN if at == RUN else RUN // 2
        parts = (grown[:cut], grown[cut:]) if cut < len(grown) else (grown,)
        return self._of(values, (*runs[:index], *parts, *runs[index + 1 :]))

    def delete(self, key: K) -> "Ordered[K, V]":
        """Return it without a key, which need not be there."""
        if key not in self._values:
            return self
        index = self._run_of(key)
        run, at = self._runs[index], bisect_left(self._runs[index], key)
        left = (*run[:at], *run[at + 1 :])
        return self._of(
            self._values.delete(key), (*self._runs[:index], *((left,) if left else ()), *self._runs[index + 1 :])
        )

    def _run_of(self, key: K) -> int:
        """Return the index of the last run that begins at or below a key; -1 where there is none."""
        return bisect_right(self._runs, key, key=lambda run: run[0]) - 1
