"""By what a revision is found again: the places where it has written.

A place is a number made of a path. A change is *exactly* at its own path, and also, though not exactly, at every path
above it:

    Put("a.b.c", …)      a.b.c exactly; a.b and a not

The value at a path changes through what is written there, below it, or exactly at one of those above it, so whoever looks
for "a.b" asks for a.b exactly or not, for a exactly, and for the root exactly. Two paths may share a number: what is found
has to be looked at, and nothing is missed.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from lastgood_daemon.engine.change import Change, SimpleChange, simple
from lastgood_proto.paths import Path, format_path


class Place(NamedTuple):
    """The number of a path; ``exact``: something was written there, and not only below it."""

    number: int
    exact: bool


class Wanted(NamedTuple):
    """A place to look for; ``only_exact``: what was written only below it does not count."""

    number: int
    only_exact: bool


def flattened(changes: Iterable[Change]) -> list[SimpleChange]:
    """Give the simple changes that changes are made of, one by one, each with its path from the root."""
    return [inner for change in changes for inner in simple(change)]


def touches(change: SimpleChange, path: Path) -> bool:
    """Whether a change is at a path, above it or below it."""
    return change.path[: len(path)] == path[: len(change.path)]


def places_of(changes: Iterable[Change]) -> set[Place]:
    """Give the places where changes write."""
    found: set[Place] = set()
    for change in flattened(changes):
        path = change.path
        found.add(Place(_number(path), exact=True))
        found.update(Place(_number(path[:depth]), exact=False) for depth in range(1, len(path)))
    return found


def places_for(path: Path) -> list[Wanted]:
    """Give the places to look for where the value at a path may have changed. Not for the root: there every revision may."""
    above = [Wanted(_number(path[:depth]), only_exact=True) for depth in range(len(path))]
    return [*above, Wanted(_number(path), only_exact=False)]


@lru_cache(maxsize=4096)
def _number(path: Path) -> int:
    return int.from_bytes(blake2b(format_path(path).encode(), digest_size=8).digest(), signed=True)
