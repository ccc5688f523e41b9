"""What the daemon asks of durable storage.

The store keeps two kinds of things and knows the meaning of neither:

* **logs**: of each life of each state, the changes by revision, 1, 2, 3, … without gaps;
* **records**: small values under (kind, owner, key), each with a version that counts its writes: snapshots,
  checkpoints, workflows, sessions, and what there is to say about a state besides its content.

There is one verb that writes them, ``commit``. It takes units, and of each unit all or nothing happens; a unit whose
expectations do not hold comes back as ``Moved`` and leaves the others alone. When ``commit`` returns, what it says is
``Committed`` survives a power cut.

How it fails: ``StoreFullError`` says that nothing of the call was written and that later calls may work.
``StoreBrokenError`` says that it is unknown what was written: the daemon must stop serving and be started again,
because a failed fsync is not "not written". ``CorruptRecordError`` names a record that does not match its checksum.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from lastgood_daemon.store.log import ChainedRow as ChainedRow  # noqa: PLC0414 - part of what the protocol speaks of
from lastgood_daemon.store.log import Head as Head  # noqa: PLC0414
from lastgood_daemon.store.log import LogId as LogId  # noqa: PLC0414
from lastgood_daemon.store.log import LogRow as LogRow  # noqa: PLC0414
from lastgood_daemon.store.timeline import Timeline
from lastgood_daemon.store.upkeep import Image, Upkeep, UpkeepReading


class Append(NamedTuple):
    """Rows to put at the end of a log, which must end at ``expected_head`` (0: does not exist). No rows: only that."""

    log: LogId
    expected_head: int
    rows: Sequence[LogRow]
    squashed: bool = False
    """Whether rows may stand for those before them, too, so that revisions are left out."""


class Rename(NamedTuple):
    """A log to be known by another name from now on, which no log has."""

    log: LogId
    to: LogId


class RecordKey(NamedTuple):
    """The name of a record. ``owner`` groups the records that are read together."""

    kind: str
    owner: str
    key: str


class Record(NamedTuple):
    """A record as read."""

    key: RecordKey
    value: bytes
    version: int


class Damaged(NamedTuple):
    """A record that does not match its checksum: its name is known, from where it stands, and nothing else of it."""

    key: RecordKey
    problem: str


class RecordWrite(NamedTuple):
    """A record to write (or with ``value=None`` to delete), whose version must be ``expected_version`` (0: absent)."""

    key: RecordKey
    value: bytes | None
    expected_version: int


class Rewrite(NamedTuple):
    """Rows of a log to put in the place of those with the same revision, which must have the same chain.

    All images of the log go; these are put instead, and must be of revisions of which there are images. One of them is at
    the floor, where there is one.
    """

    log: LogId
    rows: Sequence[LogRow]
    images: Sequence[Image]


@dataclass(frozen=True, slots=True)
class Unit:
    """What must happen together or not at all."""

    appends: Sequence[Append] = ()
    writes: Sequence[RecordWrite] = ()
    drops: Sequence[LogId] = ()
    """Logs to delete with all their rows, after the appends."""
    rewrites: Sequence[Rewrite] = ()
    renames: Sequence[Rename] = ()
    """Before the appends."""


class Committed(NamedTuple):
    """The unit is durable."""


class Moved(NamedTuple):
    """An expectation of the unit did not hold; nothing of it was written."""

    what: str
    """Which one, for the log of the daemon."""


Outcome = Committed | Moved


class StoreFullError(Exception):
    """There is no room. Nothing of the call was written; later calls may work."""


class StoreBrokenError(Exception):
    """The storage failed underneath. What of the call was written is unknown; nothing more can be done here."""


class CorruptRecordError(Exception):
    """A record does not match its checksum."""


class DamagedPageError(CorruptRecordError):
    """A page of the file that a call needs cannot be read. Nothing of the call was written; other calls may go on."""


class BackupRefusedError(Exception):
    """A backup cannot be made where it was asked for; the message says why. Nothing is left behind there."""


class BackupEndedError(Exception):
    """A backup was ended before it was complete, because the daemon ends. Nothing is left behind of it."""


class Reading(UpkeepReading, Protocol):
    """What can be read. All methods may be called concurrently from one event loop."""

    async def head(self, log: LogId) -> Head:
        """Where a log ends."""
        ...

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        """Rows with a revision above ``after``, in order, at most ``limit`` (fewer where they are large).

        An empty list: there are no more.
        """
        ...

    async def read_revisions(self, log: LogId, revisions: Sequence[int]) -> list[ChainedRow]:
        """Rows of these revisions, in the order given. Fewer where they are large; those that are gone are left out."""
        ...

    async def record(self, key: RecordKey) -> Record | None:
        """One record."""
        ...

    async def records(self, kind: str, owner: str) -> list[Record]:
        """All records of a kind and owner, in the order of their keys."""
        ...

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record | Damaged]:
        """Records of a kind with an owner above ``after_owner`` (by code point), in the order of owners and keys.

        At most ``limit``, but the last owner comes complete, so that the next page starts after it. One that is damaged is
        listed as such, so that it does not hide the others.
        """
        ...

    async def kinds(self) -> list[str]:
        """The kinds of which there are records."""
        ...

    async def list_logs(self, after: LogId | None, limit: int) -> list[tuple[LogId, Head]]:
        """Logs after one, in the order of states (by code point) and their lives, at most ``limit``."""
        ...

    async def check(self) -> list[str]:
        """What is wrong with the storage itself, beneath logs and records, in words. Reads all of it."""
        ...


class Store(Reading, Upkeep, Protocol):
    """Durable storage. What it keeps besides the truth is in ``upkeep``.

    All methods may be called concurrently from one event loop, ``commit`` one at a time.
    """

    @property
    def daemon_id(self) -> str:
        """Identity of the store, made once with it. Its backups keep it."""
        ...

    @property
    def copy_id(self) -> str:
        """Identity of this copy of the store: the ``daemon_id``, and in each backup and each other copy another one."""
        ...

    @property
    def timeline(self) -> Timeline:
        """How the moments of this store go together with the clock on the wall, as far as is known by now."""
        ...

    def now(self) -> int:
        """The moment, in microseconds on the store's timeline. Never goes backwards, whatever clocks are set to."""
        ...

    def beat(self) -> None:
        """Look at the clocks. A store that is not looked at four times a second takes that for a time it was not there."""
        ...

    async def keep_time(self) -> None:
        """Note durably how far time has come, as every commit does."""
        ...

    def check_presence(self, *, whole: bool) -> None:
        """Raise StoreBrokenError where what was written is no longer where it would be found. Waits for nothing.

        Not ``whole``: where that is found out at once.
        """
        ...

    async def commit(self, units: Sequence[Unit]) -> list[Outcome]:
        """Write the units durably, in one go and in order (one may build on those before it); an outcome for each."""
        ...

    def aside(self) -> AbstractAsyncContextManager[Reading]:
        """Something to read all of the store with: it keeps nobody waiting, and what breaks there breaks nothing here."""
        ...

    async def backup(self, folder: Path) -> int:
        """Make a folder that holds a copy of the store as it is at one moment before this returns; how many bytes.

        Everything that was committed before the call is in it. It appears whole or not at all, and is durable.

        Raises:
            BackupRefusedError: it cannot be made there.
            StoreFullError: there is no room for it there.
            BackupEndedError: ``end_backups`` was called.
        """
        ...

    def end_backups(self) -> None:
        """End the backups that are being made, and refuse further ones."""
        ...

    async def free_bytes(self) -> int:
        """How much of the file is free."""
        ...

    async def empty_wal(self) -> None:
        """Bring what was written last into the file, which takes its new size then, as far as no reader is in the way."""
        ...

    async def give_back(self) -> int:
        """Shrink the file by some of what is free in it; how many bytes. 0: there is nothing more to give back."""
        ...

    async def scrub(self) -> bool:
        """Leave nothing on disk of what was deleted or replaced; whether that was possible.

        It rewrites the whole file, and commits wait for that. Not possible while another process reads the file.
        """
        ...

    async def expire(self, kind: str, before: int) -> int:
        """Delete the records of owners of whom all of the kind were last written before a time (microseconds).

        Returns how many owners those are.
        """
        ...

    async def close(self) -> None:
        """Bring everything into the main file and let go of it."""
        ...
