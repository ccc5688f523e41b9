"""What a commit is going to write, decided before anything is written.

``Plan`` is told the units in order. Each is held against the file *and* against what the units before it will have
done; one that does not fit leaves no trace. What remains is the net effect of all that fit, so that each table gets one
statement with many rows. A worked example, with the log ``L`` at revision 4 in the file::

    unit 1: append to L, expects 4, rows 5 6     fits
    unit 2: append to L, expects 5, row 6        Moved: L is at 6 by then
    unit 3: append to L, expects 6, row 7        fits
    net effect: rows 5 6 7 of L, head 7
"""

from collections.abc import Callable
from typing import NamedTuple

from lastgood_daemon.store.protocol import (
    Append,
    Committed,
    LogId,
    LogRow,
    Moved,
    Outcome,
    RecordKey,
    Rename,
    Rewrite,
    Unit,
)

_COMMITTED = Committed()


class StoredLog(NamedTuple):
    """A log as it is in the file: its number, the revision that it ends at, and where it begins."""

    number: int
    head: int
    floor: int = 0
    floor_chain: bytes = b""


class Written(NamedTuple):
    """A record as it will be: ``value=None`` (and version 0) is deleted."""

    value: bytes | None
    version: int


class Plan:
    """The net effect of the units that fit."""

    def __init__(
        self,
        stored_log: Callable[[LogId], StoredLog | None],
        stored_version: Callable[[RecordKey], int],
        stored_chain: Callable[[int, int], bytes | None],
        stored_images: Callable[[int], set[int]],
    ) -> None:
        """Plan against what these functions say is in the file.

        Args:
            stored_log: a log.
            stored_version: the version of a record; 0: there is none.
            stored_chain: the chain of a revision of a log (its number); None: there is no such row.
            stored_images: the revisions of which there are images of a log.
        """
        self._stored_log = stored_log
        self._stored_version = stored_version
        self._stored_chain = stored_chain
        self._stored_images = stored_images
        self._heads: dict[LogId, int] = {}
        self.stored: dict[LogId, StoredLog] = {}
        """Of the logs met so far, those that are in the file and stay there."""
        self.rows: dict[LogId, list[LogRow]] = {}
        """Rows to add to each log, in order; never empty."""
        self.dropped: list[int] = []
        """Numbers of the logs that leave the file, before anything is added."""
        self.renamed: dict[int, LogId] = {}
        """New names of logs, by their numbers; after that, and before anything is added."""
        self.records: dict[RecordKey, Written] = {}
        self.rewrites: list[tuple[int, Rewrite]] = []
        """With the numbers of their logs."""

    def add(self, unit: Unit) -> Outcome:
        """Take in a unit if all that it expects holds.

        Raises:
            ValueError: the revisions of an append do not follow on its expected head (a mistake of the caller).
        """
        heads = self._heads_after(unit)
        if isinstance(heads, Moved):
            return heads
        records: dict[RecordKey, Written] = {}
        for key, value, expected in unit.writes:
            known = records.get(key) or self.records.get(key)
            version = known.version if known else self._stored_version(key)
            if version != expected:
                return Moved(f"record {key} has version {version}, not {expected}")
            records[key] = Written(value, 0 if value is None else version + 1)
        numbers = [self._number(rewrite) for rewrite in unit.rewrites]
        if None in numbers:
            return Moved("a log is not what was rewritten")
        self._heads.update(heads)
        self.rewrites.extend((number, each) for number, each in zip(numbers, unit.rewrites, strict=True) if number)
        for rename in unit.renames:
            self._rename(rename)
        for append in unit.appends:
            if append.rows:
                self.rows.setdefault(append.log, []).extend(append.rows)
        self.records.update(records)
        for log in unit.drops:
            self._drop(log)
        return _COMMITTED

    @property
    def writes_nothing(self) -> bool:
        """Whether the file can stay as it is."""
        return not (self.rows or self.records or self.dropped or self.renamed or self.rewrites)

    @property
    def notes_time(self) -> bool:
        """Whether something in the file will have the time of these writes."""
        return bool(self.rows) or any(record.value is not None for record in self.records.values())

    def _number(self, rewrite: Rewrite) -> int | None:
        """Give the number of a log that is to be rewritten; nothing where it is not what was read."""
        stored = self._stored_log(rewrite.log)
        if stored is None:
            return None
        number, images = stored.number, {image.revision for image in rewrite.images}
        there = images <= self._stored_images(number) and (not stored.floor or stored.floor in images)
        same = there and all(self._stored_chain(number, row.revision) == row.chain for row in rewrite.rows)
        return number if same else None

    def _heads_after(self, unit: Unit) -> dict[LogId, int] | Moved:
        """Give where the logs that a unit renames and appends to will end, if all that it expects of them holds."""
        heads: dict[LogId, int] = {}
        for rename in unit.renames:
            head = self._head(rename.log)
            if rename.log not in self.stored or rename.log in self.rows or self._head(rename.to):
                return Moved(f"log {rename.log} cannot become {rename.to}")
            heads |= {rename.log: 0, rename.to: head}
        for append in unit.appends:
            _check_revisions(append)
            head = heads[append.log] if append.log in heads else self._head(append.log)
            if head != append.expected_head:
                return Moved(f"log {append.log} ends at {head}, not at {append.expected_head}")
            heads[append.log] = append.rows[-1].revision if append.rows else head
        return heads

    def _head(self, log: LogId) -> int:
        head = self._heads.get(log)
        if head is None:
            stored = self._stored_log(log)
            if stored is not None:
                self.stored[log] = stored
            head = self._heads[log] = stored.head if stored else 0
        return head

    def _rename(self, rename: Rename) -> None:
        stored = self.stored[rename.to] = self.stored.pop(rename.log)
        self.renamed[stored.number] = rename.to

    def _drop(self, log: LogId) -> None:
        self._head(log)
        self.rows.pop(log, None)
        self._heads[log] = 0
        stored = self.stored.pop(log, None)
        if stored is not None:
            self.dropped.append(stored.number)
            self.renamed.pop(stored.number, None)


def _check_revisions(append: Append) -> None:
    before = append.expected_head
    for row in append.rows:
        if row.revision != before + 1 and not (append.squashed and row.revision > before):
            message = f"an append to {append.log} has revision {row.revision} where {before + 1} belongs"
            raise ValueError(message)
        before = row.revision
