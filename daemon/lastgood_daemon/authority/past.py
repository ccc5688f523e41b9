"""Earlier contents of states that were rebuilt from the log, for those who ask for them again soon.

Pages of a diff ask for the same two again and again, so the newest few stay in any case. The others stay while all of them
are small, and none stays that was not asked for between two looks, which are ten seconds apart.
"""

from typing import NamedTuple

from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.tree import Tree

MOST = 64
FEW = 4
"""As many stay whatever they weigh: a question may need two at a time, and must not have one dropped for the other."""
MOST_BYTES = 32 * 1024 * 1024


class _Past(NamedTuple):
    tree: Tree
    size: int


class PastTrees:
    """See the module."""

    def __init__(self) -> None:
        self._known: dict[Point, _Past] = {}
        """What was asked for last comes last."""
        self._unused: set[Point] = set()
        """What was not asked for since the last look."""

    def get(self, point: Point) -> Tree | None:
        """Return a content, if it is there."""
        found = self._known.pop(point, None)
        if found is None:
            return None
        self._known[point] = found
        self._unused.discard(point)
        return found.tree

    def put(self, point: Point, tree: Tree, size: int = 0) -> list[Tree]:
        """Keep a content of so many bytes, and return those that are not kept any more."""
        self._known.pop(point, None)
        self._known[point] = _Past(tree, size)
        self._unused.discard(point)
        held = sum(past.size for past in self._known.values())
        gone: list[Tree] = []
        for oldest in list(self._known)[:-FEW]:
            if held <= MOST_BYTES and len(self._known) <= MOST:
                break
            held -= self._known[oldest].size
            gone.append(self._known.pop(oldest).tree)
        return gone

    def forget(self, state_id: str, incarnation: int) -> None:
        """Forget all contents of a state."""
        for point in list(self._known):
            if (point.state_id, point.incarnation) == (state_id, incarnation):
                del self._known[point]

    def idle(self) -> list[Tree]:
        """Return what was not asked for since the look before; it is not kept any more."""
        gone = [self._known.pop(point).tree for point in self._unused if point in self._known]
        self._unused = set(self._known)
        return gone
