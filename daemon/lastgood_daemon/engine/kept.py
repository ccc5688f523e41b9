"""Which revisions of a state there still are.

All from the **floor** on, and below it those that were pinned when the state was compacted:

    snapshot at 12, checkpoint at 40, the newest 100 of 1,000 are kept      floor 900, between (12, 40)
    get(at=900)    as before              get(at=40)    as before           get(at=0)    the empty state, always
    get(at=41)     RevisionUnavailableError: oldest 12, nearest 40

What is to be had is decided by this record alone. The rows of the log follow it in the background: an image of the oldest
revision kept, one squashed delta from each to the next, and the log as it was from the floor on.
"""

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from lastgood_daemon.engine.log import Entry


class KeptAt(msgspec.Struct, frozen=True, array_like=True):
    """A revision that was kept, and when it was made."""

    revision: int
    timestamp: int


NOTHING_GONE = KeptAt(0, 0)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """See the module."""

    floor: KeptAt = NOTHING_GONE
    between: tuple[KeptAt, ...] = ()
    """Below the floor, in order."""
    entry: Entry | None = None
    """What made the floor, in short (``engine/history.py``). Its row is gone: the log begins after it."""

    @property
    def oldest(self) -> int:
        """The oldest revision there is, but for 0."""
        return (*self.between, self.floor)[0].revision

    def has(self, revision: int) -> bool:
        """Whether a revision that has been reached is still there."""
        return revision >= self.floor.revision or revision == 0 or revision in self._revisions()

    def nearest(self, revision: int) -> int:
        """Give the revision there is that is nearest to one that is not; the earlier of two."""
        return min((*self._revisions(), self.floor.revision), key=lambda kept: (abs(kept - revision), kept))

    def nearest_in_time(self, time: int) -> int:
        """Give the revision there is that was made nearest to a time below the floor."""
        return min((*self.between, self.floor), key=lambda kept: abs(kept.timestamp - time)).revision

    def at(self, time: int) -> int | None:
        """Give the last revision made at or before a time below the floor; nothing where that cannot be told any more."""
        kept = (NOTHING_GONE, *self.between, self.floor)
        for earlier, later in pairwise(kept):
            if earlier.timestamp <= time < later.timestamp:
                return earlier.revision if later.revision == earlier.revision + 1 else None
        return None

    def after(self, floor: KeptAt, pins: Iterable[KeptAt], entry: Entry | None) -> "Kept":
        """Return what is kept when the floor rises, made by this entry, and only these pins stay below it."""
        below = sorted({pin.revision: pin for pin in pins if 0 < pin.revision < floor.revision}.values(), key=_revision)
        return Kept(floor, tuple(below), self.entry if floor == self.floor else entry)

    def _revisions(self) -> set[int]:
        return {kept.revision for kept in self.between}


def _revision(kept: KeptAt) -> int:
    return kept.revision
