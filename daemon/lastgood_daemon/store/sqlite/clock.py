"""The clock of a store: where on its timeline it is now. See ``store.timeline`` for what that means.

Within a life it goes by a clock that cannot be set, and counts what was lived through. A gap of more than ``PAUSE`` between
two looks is a time in which this process stood still (SIGSTOP, a suspended machine): nobody could renew a lease meanwhile,
so it counts as one beat. So does what a write to the disk takes beyond ``PAUSE``, since renewals wait behind it.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lastgood_daemon.store.timeline import SECOND, Epoch, Timeline

BEAT = SECOND // 4
"""How often somebody looks at least."""
PAUSE = SECOND
TOLERANCE = SECOND // 10
"""By how much the wall clock may go another way before that is an epoch."""
_NOISE = SECOND // 200

_RUNNING = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def running() -> int:
    """Return microseconds by a clock that goes on whatever the clock on the wall is set to."""
    return time.clock_gettime_ns(_RUNNING) // 1000


def wall() -> int:
    """Return microseconds since 1970-01-01 UTC, as the machine's clock has it."""
    return time.time_ns() // 1000


def _both() -> tuple[int, int, bool]:
    """Read both clocks: the wall, the running one no earlier, and whether they were read close enough to be compared."""
    for _ in range(5):
        before, shown, after = running(), wall(), running()
        if after - before <= _NOISE:
            break
    return shown, after, after - before <= _NOISE


class Clock:
    """See the module. To be used from one thread."""

    def __init__(self, latest: int, timeline: Timeline | None) -> None:
        """Go on from the latest moment in the file (0: it is new), and its timeline."""
        self.timeline = timeline or Timeline()
        self._saved: Timeline | None = self.timeline
        self._limits: list[int] = []
        shown, self._last, _ = _both()
        if not latest:
            self._now = max(shown, 1)
            return
        offset = self.timeline.epochs[-1].offset
        leap = max(shown - latest - min(offset, 0), 1)
        self._now = latest + leap
        self.timeline = self.timeline.with_epoch(Epoch(self._now, shown - self._now, leap))

    def now(self) -> int:
        """Return the moment. Never less than before."""
        seen = running()
        passed, self._last = seen - self._last, seen
        if passed > PAUSE:
            passed = BEAT
            self.compare()
        self._now = max(self._now, min([self._now + passed, *self._limits]))
        return self._now

    def beat(self) -> None:
        """Look at both clocks; to be called every ``BEAT``."""
        self.now()
        self.compare()

    def compare(self) -> None:
        """Begin an epoch where the wall clock has gone another way than this one."""
        shown, seen, is_exact = _both()
        epochs = self.timeline.epochs
        offset = shown - self._now - (0 if self._limits else seen - self._last)
        if not is_exact or abs(offset - epochs[-1].offset) <= TOLERANCE:
            return
        if not self.is_saved and not epochs[-1].leap:  # nothing was written in it
            self.timeline = self.timeline.without_last()
        self._now += 1
        self.timeline = self.timeline.with_epoch(Epoch(self._now, offset - 1, 0))

    @property
    def is_saved(self) -> bool:
        """Whether the file has the whole timeline."""
        return self._saved is self.timeline

    @contextmanager
    def saving(self) -> Iterator[bytes]:
        """Note that the file has the timeline from now on, unless that fails; yields what to write."""
        self._saved = self.timeline
        try:
            yield self.timeline.encoded()
        except BaseException:
            self._saved = None
            raise

    def forgo(self) -> None:
        """Take the timeline for saved: it cannot be, and is not to be tried at every commit."""
        self._saved = self.timeline

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count no more than ``PAUSE`` for what is done meanwhile."""
        limit = self.now() + PAUSE
        self._limits.append(limit)
        try:
            yield
        finally:
            self.now()
            self._limits.remove(limit)
