"""The index of the places of a log, held against its log.

A place that is missing hides a revision from the history of a path. Both are read once, from one end to the other, and in
another order each: what is compared is how many places there are, and the sum of their hashes.

The index has everything above the floor of what is kept, up to where it ends. It may have more: what was indexed before the
floor rose, and what was indexed since the comparison began. That names a revision too many, and does no harm.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from lastgood_daemon.authority.records import kept_of
from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.engine.history import Step
from lastgood_daemon.engine.places import places_of
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, Reading
from lastgood_daemon.store.upkeep import Place

PAGE = 10_000


class Summed:
    """How many places there are between two revisions, and what they come to."""

    def __init__(self, after: int, until: int) -> None:
        self._after = after
        self._until = until
        self.count = 0
        self.total = 0

    def add(self, places: Iterable[Place]) -> None:
        """Count in what is between the two revisions."""
        for place in places:
            if self._after < place.revision <= self._until:
                self.count += 1
                self.total += hash(place)  # of numbers: the same in every process


class IndexCheck:
    """See the module. Of one log, whose steps it is shown (``see``) while the log is read."""

    def __init__(self, log: LogId, floor: int, number: int, until: int) -> None:
        """Use ``begin``."""
        self._log = log
        self._floor = floor
        self._number = number
        self._until = until
        self._logged = Summed(floor, until)

    @classmethod
    async def begin(cls, reading: Reading, log: LogId) -> "IndexCheck":
        """Look at how far the index is. To be called before it is looked up where the log ends."""
        number, _ = await reading.list_places(log, None, 0)
        if not number:  # there is none: so it is with most logs
            return cls(log, _NOTHING, number, 0)
        floor = await _floor(reading, log)
        until = await reading.indexed(log)
        return cls(log, floor, number, until)

    def see(self, steps: Sequence[Step]) -> bool:
        """Take in some steps of the log, in a thread."""
        for step in steps:
            revision = step.after.revision
            if self._floor < revision <= self._until:
                self._logged.add(Place(*place, revision) for place in places_of(step.entry.changes()))
        return False

    async def end(self, reading: Reading, head: int, findings: Findings) -> None:
        """Compare, when all of the log has been seen up to its head."""
        if not self._number:
            return
        if self._until <= head and await self._agrees(reading):
            return
        number, _ = await reading.list_places(self._log, None, 0)
        if number != self._number or await _floor(reading, self._log) != self._floor:
            return  # it was thrown away meanwhile, with what was compacted or with the log
        findings.indexes.append(self._log)
        problem = (
            "the index of its paths is not what its log says: histories may lack revisions. The log is whole: a daemon that"
            " is asked to verify makes another index of it"
        )
        findings.add(f"state {self._log.state_id!r}", problem)

    async def _agrees(self, reading: Reading) -> bool:
        found = Summed(self._floor, self._until)
        last: Place | None = None
        while True:
            try:
                _, page = await reading.list_places(self._log, last, PAGE)
            except CorruptRecordError:
                return False
            if not page:
                return (found.count, found.total) == (self._logged.count, self._logged.total)
            if not await asyncio.to_thread(_rises, [page[0] if last is None else last, *page[last is None :]]):
                return False
            await asyncio.to_thread(found.add, page)
            last = page[-1]


def _rises(places: Sequence[Place]) -> bool:
    """Whether each is above the one before. A damaged one that is not would be read again and again."""
    return all(before < after for before, after in pairwise(places))


async def _floor(reading: Reading, log: LogId) -> int:
    """Give the revision above which there is something to list. Where that is damaged nothing is compared: it is named."""
    try:
        return (await kept_of(reading, log)).floor.revision
    except (CorruptRecordError, msgspec.DecodeError):
        return _NOTHING


_NOTHING = 2**63 - 1
