"""The checkpoints of a workflow, by step, then attempt.

Three questions are asked at every step, however many there are: which is the latest, which is the last good one, and which
is that of a step. What is superseded is passed over by all three, so those that count are kept apart, as are the good ones.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lastgood_daemon.engine.checkpoint import COMPLETED, Checkpoint
from lastgood_daemon.engine.ordered import Ordered

Order = tuple[int, int]
_Some = Ordered[Order, Checkpoint]
_HIGHEST = 1 << 64
"""Above all attempts."""


class Checkpoints(NamedTuple):
    """Immutable: every change gives another one.

    Attributes:
        all: also those that are superseded.
        live: those that are not.
        good: of these, the completed ones.
    """

    all: _Some = Ordered()
    live: _Some = Ordered()
    good: _Some = Ordered()

    @classmethod
    def of(cls, checkpoints: Iterable[Checkpoint]) -> "Checkpoints":
        """Return checkpoints in their order."""
        given = list(checkpoints)
        live = [each for each in given if not each.superseded]
        return cls(_ordered(given), _ordered(live), _ordered(each for each in live if each.status == COMPLETED))

    def get(self, order: Order) -> Checkpoint | None:
        """Return the checkpoint of a step and attempt, or None."""
        return self.all.get(order)

    def values(self) -> Iterator[Checkpoint]:
        """Return all of them, in their order."""
        return self.all.values()

    def latest(self) -> Checkpoint | None:
        """Return the one of the highest step, of one step that of the highest attempt."""
        return self.live.last()

    def last_good(self) -> Checkpoint | None:
        """Return the one of the highest step that is completed."""
        return self.good.last()

    def of_step(self, step: int) -> Checkpoint | None:
        """Return the one of a step with the highest attempt."""
        found = self.live.floor((step, _HIGHEST))
        return found if found is not None and found.step == step else None

    def put(self, checkpoints: Iterable[Checkpoint]) -> "Checkpoints":
        """Return them with some, each in the place of that of the same step and attempt."""
        everything, live, good = self
        for each in checkpoints:
            order = each.order
            everything = everything.set(order, each)
            live = live.delete(order) if each.superseded else live.set(order, each)
            good = good.delete(order) if each.superseded or each.status != COMPLETED else good.set(order, each)
        return Checkpoints(everything, live, good)

    def without(self, checkpoints: Iterable[Checkpoint]) -> "Checkpoints":
        """Return them without some."""
        everything, live, good = self
        for each in checkpoints:
            everything, live, good = everything.delete(each.order), live.delete(each.order), good.delete(each.order)
        return Checkpoints(everything, live, good)


def _ordered(checkpoints: Iterable[Checkpoint]) -> _Some:
    return Ordered((each.order, each) for each in checkpoints)
