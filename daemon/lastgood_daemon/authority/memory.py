"""What stays in memory: as much as the budget allows; what was not used for longest goes first.

States and workflows come back on demand, so dropping one costs the time of reading it again. What was used within the last
second stays in any case: a command may need several at a time, and must not have one dropped for the other.

Weights are estimates, rather too high than too low: a state weighs what its image and the log since then have in bytes,
times what Python makes of a byte of it. Measured: 52,000 states of one small value each weighed 268 MB, and the process had
grown by 178 MB.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice

BUDGET = 256 * 1024 * 1024
"""Bytes, unless configured."""
LEAST = 4 * 1024
"""What the smallest state weighs."""
PER_BYTE = 4
"""What a byte of a state weighs, when all of it has been looked into."""
PER_PART = 1024
"""What a snapshot, or a checkpoint, an attempt or an effect of a workflow weighs; and its bytes above that."""
LARGE = 256 * 1024
"""Bytes of a state above which it is looked at what of it is opened: many small parts take far more than their bytes."""
_FEW = 4
RECENT = 1_000_000
"""Microseconds for which nothing is dropped."""
OPENED = 8 * 1024 * 1024
"""Of a state, memory of what is opened of it, above which it does not stay when it is not used."""
IDLE = 20_000_000
"""Microseconds after which that is so."""


class _Item:
    __slots__ = ("used_at", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self.used_at = 0


class Memory:
    """The weights of what is in memory, by id: a state, and the workflow of the same id."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self.weight = 0
        self._now = 0
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._opened: set[str] = set()
        """What has much opened."""

    def use(self, name: str) -> None:
        """Note that something was used."""
        item = self._items.get(name)
        if item is not None:
            item.used_at = self._now
            self._items.move_to_end(name)

    def weigh(self, name: str, weight: int, opened: int = 0) -> None:
        """Note what something weighs now, and how much memory of that is due to what is opened of it."""
        if opened > OPENED:
            self._opened.add(name)
        else:
            self._opened.discard(name)
        item = self._items.setdefault(name, _Item())
        self.weight += weight - item.weight
        item.weight = weight
        self.use(name)

    def used_last(self) -> list[str]:
        """Return what was used last, a few of them."""
        return [*islice(reversed(self._items), _FEW)]

    def forget(self, name: str) -> None:
        """Note that something has gone."""
        self._opened.discard(name)
        item = self._items.pop(name, None)
        if item is not None:
            self.weight -= item.weight

    def surplus(self, now: int, needed: Callable[[str], bool]) -> Iterator[str]:
        """Give what is to go, one by one, until the rest is within the budget. Whoever asks forgets each.

        Args:
            now: microseconds, by a clock that does not go backwards.
            needed: whether something must not go.
        """
        self._now = now
        while self.weight > self.budget and self._items:
            name, item = next(iter(self._items.items()))
            if now - item.used_at < RECENT:
                return
            if needed(name):
                self.use(name)
            else:
                yield name

    def idle(self, now: int) -> list[str]:
        """Return what has much opened and was not used for a while: encoded it takes a fraction, is soon opened again."""
        self._now = now
        return [name for name in self._opened if now - self._items[name].used_at >= IDLE]
