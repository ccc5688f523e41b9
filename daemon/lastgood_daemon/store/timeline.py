"""The time of a store: one axis that never goes backwards, and what a clock on the wall shows beside it.

Everything stored carries a **moment**: microseconds on an axis that within a life of the daemon goes by a clock that cannot
be set. When the daemon starts, the axis leaps to the wall clock if that is ahead, so that as a rule a moment *is* the time
since 1970. How the two went together is kept in a short list of **epochs**, each from a moment on: by how much the wall
clock was ahead of the axis (``offset``), and how far the axis leapt to begin (``leap``).

An example in seconds. A daemon starts at 1000 and writes. Its clock is set ahead by an hour at 1100, and right at 1200::

    Epoch(0, 0, 0)            moment 1050 was shown as 1050, and still is
    Epoch(1101, +3600, 0)     moment 1150 was shown as 4750 ...
    Epoch(1201, 0, 0)         ... and is shown as 1150, since the clock itself has said that it was ahead

It ends at 1300 and starts at 1900, its clock right: ``Epoch(1900, 0, 600)``. Three things are judged by that:

*What is shown* (``shown``, and ``moment`` the other way round) is monotone: no revision is shown before an earlier one. A
moment is shown as its epoch's clock said, unless a later clock contradicts that by having shown less: then it is shown as
that later clock would have, but not before what came earlier and is not contradicted.

*Leases* (``lease_end``) count the time in which their holders could renew them: of a leap at most ``MOST_COUNTED``. One that
was live when the daemon was last seen alive has ``GRACE`` from the start on, in which its holder can come back.

*Ages* (``ages``) count a leap only once the clock has stood by it for ``STEADY`` of the time since: a clock that is two days
ahead when the daemon starts must not make history two days older. And nothing is older than it is shown to be.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec

SECOND = 1_000_000
MOST_COUNTED = 10 * SECOND
"""Of the time between two lives of a daemon, what counts for a lease."""
GRACE = 5 * SECOND
STEADY = 3600 * SECOND
MOST_EPOCHS = 500
_FAR = 2**62
"""A moment, and a time, after all others."""


class Epoch(NamedTuple):
    """From a moment on. See the module."""

    start: int
    offset: int
    leap: int


class Timeline:
    """Immutable; see the module."""

    def __init__(self, epochs: Sequence[Epoch] = (Epoch(0, 0, 0),)) -> None:
        """Take epochs in order; the first begins at 0."""
        self.epochs = tuple(epochs)
        self._starts = [epoch.start for epoch in self.epochs]
        backwards = self.epochs[::-1]
        self._lowest = list(accumulate((epoch.offset for epoch in backwards), min))[::-1]
        """The lowest offset from an epoch on."""
        walls = [_FAR, *(epoch.start + epoch.offset for epoch in backwards)]
        self._later = list(accumulate(walls, min))[-2::-1]
        """The earliest time at which a later epoch began."""
        self._reached = self._reaches()
        leaps = list(accumulate(epoch.leap for epoch in self.epochs))
        self._seen = [epoch.start - leapt for epoch, leapt in zip(self.epochs, leaps, strict=True)]
        """Where each began on the axis of the time that was lived through, without leaps."""
        self._levels = [epoch.offset + leapt for epoch, leapt in zip(self.epochs, leaps, strict=True)]
        """By how much the wall clock was ahead of that axis."""

    @classmethod
    def decoded(cls, data: bytes) -> "Timeline":
        """Read what ``encoded`` has made."""
        return cls(msgspec.msgpack.decode(data, type=tuple[Epoch, ...]))

    def encoded(self) -> bytes:
        """Return the epochs as bytes."""
        return msgspec.msgpack.encode(self.epochs)

    def with_epoch(self, epoch: Epoch) -> "Timeline":
        """Return the timeline with one more epoch; of too many, the one whose absence changes least is dropped."""
        epochs = [*self.epochs, epoch]
        if len(epochs) > MOST_EPOCHS:
            costs = [abs(after.offset - before.offset) + after.leap for before, after in pairwise(epochs)]
            del epochs[1 + costs.index(min(costs[: MOST_EPOCHS // 2]))]
        return Timeline(epochs)

    def without_last(self) -> "Timeline":
        """Return the timeline as before its last epoch."""
        return Timeline(self.epochs[:-1])

    # What is shown.

    def shown(self, moment: int) -> int:
        """Return the time of the wall at a moment, as far as is known by now."""
        index = max(bisect_right(self._starts, moment) - 1, 0)
        wall = moment + self.epochs[index].offset
        if wall <= self._later[index]:
            return wall
        return max(moment + self._lowest[index], self._reached[index])

    def moment(self, wall: int) -> int:
        """Return the last moment that is shown at or before a time; -1 where there is none."""
        return bisect_right(range(_FAR), wall, key=self.shown) - 1

    def _reaches(self) -> list[int]:
        """Return for each epoch up to where time was shown when its clock was first contradicted by a later one."""
        reached: list[int] = []
        so_far = -_FAR
        for index, epoch in enumerate(self.epochs):
            later = self._later[index]
            if epoch.start + epoch.offset <= later:
                end = self._starts[index + 1] - 1 if index + 1 < len(self.epochs) else _FAR
                so_far = max(so_far, min(end + epoch.offset, later))
            reached.append(so_far)
        return reached

    # Leases.

    def lease_end(self, expires_at: int, reckoned_at: int) -> int:
        """Return when a lease ends that was said to end at a moment, when that was said at another one."""
        alive, started = False, 0
        for epoch in self.epochs[bisect_right(self._starts, reckoned_at) :]:
            if epoch.leap:
                alive = expires_at > epoch.start - epoch.leap
                expires_at += max(0, epoch.leap - MOST_COUNTED)
                started = epoch.start
        return max(expires_at, started + GRACE) if alive else expires_at

    # Ages.

    def ages(self, now: int) -> "Ages":
        """Return what tells how old things are at a moment."""
        return Ages(self, now)

    def uncounted(self, now: int) -> list[int]:
        """Return for each epoch how much of its leap does not count as time that has passed, as far as is known by now."""
        known = bisect_right(self._starts, now)
        seen_now = now - (self.epochs[known - 1].start - self._seen[known - 1]) if known else now
        found = []
        for index, epoch in enumerate(self.epochs[:known]):
            begun = self._seen[index]
            if not epoch.leap or begun + STEADY > seen_now:
                found.append(epoch.leap)
                continue
            before = self._levels[max(bisect_right(self._seen, begun - STEADY, hi=index) - 1, 0) : index]
            after = self._levels[index : bisect_right(self._seen, begun + STEADY)]
            counted = min(after) - max(before, default=0)
            found.append(epoch.leap - min(max(counted, 0), epoch.leap))
        return found


class Ages:
    """Tells how old things are at one moment. Called with the moment of a thing it gives its age, in microseconds."""

    def __init__(self, timeline: Timeline, now: int) -> None:
        """See ``Timeline.ages``."""
        self._timeline = timeline
        self._now = now
        self._shown = timeline.shown(now)
        uncounted = timeline.uncounted(now)
        self._starts = [epoch.start for epoch in timeline.epochs[: len(uncounted)]]
        self._ends = [*(epoch.start - epoch.leap for epoch in timeline.epochs[1 : len(uncounted)]), _FAR]
        """Up to where time was lived through in each epoch."""
        self._after = [*list(accumulate(uncounted[::-1]))[::-1], 0]
        """What does not count from an epoch on."""

    def __call__(self, moment: int) -> int:
        """Return an age: the time since then that is known to have passed, and no more than is shown to have passed."""
        return min(self.known(moment), self._shown - self._timeline.shown(moment))

    def known(self, moment: int) -> int:
        """Return the time since a moment that is known to have passed. It never becomes less."""
        index = bisect_right(self._starts, moment)
        return self._now - min(moment, self._ends[max(index - 1, 0)]) - self._after[index]

    def before(self, length: int) -> int:
        """Return the last moment since which so much time is known to have passed."""
        return bisect_right(range(self._now + 1), -length, key=lambda moment: -self.known(moment)) - 1
