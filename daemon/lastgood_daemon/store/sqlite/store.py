"""The store: two connections, each on a thread of its own.

One connection writes, so that commits come one after the other and an fsync never stops the event loop; the other
reads, so that reading never waits for an fsync. A read that starts after a commit has returned sees it.

The WAL is brought into the main file after a commit that leaves it long, when that commit's answer is out already.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import apsw

from lastgood_daemon.store.protocol import (
    Head,
    LogId,
    LogRow,
    Outcome,
    Record,
    RecordKey,
    StoreBrokenError,
    StoreFullError,
    Unit,
)
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite import reading, schema, writing
from lastgood_daemon.store.sqlite.clock import Clock
from lastgood_daemon.store.sqlite.errors import ForeignFileError
from lastgood_daemon.store.sqlite.faults import translated
from lastgood_daemon.store.sqlite.lane import Fault, Lane

_CHECKPOINT_PAGES = 1000  # of 4 KiB, in the WAL


class SqliteStore:
    """Durable storage in one file. See ``store.protocol.Store`` for what the methods promise."""

    def __init__(self, writer: apsw.Connection, reader: apsw.Connection, identity: schema.Identity) -> None:
        """Use ``open``."""
        self._wal_pages = 0
        writer.set_wal_hook(self._note_wal_pages)
        fault = Fault()
        self._writer = Lane(writer, "writer", fault)
        self._reader = Lane(reader, "reader", fault)
        self._daemon_id = identity.daemon_id
        self._clock = Clock(identity.latest)
        self._leases_since = self._clock.now()
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, or make it. Blocks: to be called before there is anyone to serve.

        Raises:
            StoreOpenError: it must not be opened; a subclass (``errors.py``) says why and what to do.
            StoreBrokenError, StoreFullError: the storage failed underneath.
        """
        opening.check_library()
        if path.exists() and not path.is_file():
            raise ForeignFileError(path, "it is not a regular file")
        opening.make_private(path)
        connections: list[apsw.Connection] = []
        try:
            connections.append(writer := opening.connect(path))
            empty = schema.is_empty(writer, path)
            if empty:
                opening.configure_new_file(writer)
            opening.configure_writer(writer)
            if empty:
                schema.make(writer)
            identity = schema.identify(writer, path)
            connections.append(reader := opening.connect(path))
            opening.configure_reader(reader)
        except BaseException as error:
            outward = translated(error, connections[0] if connections else None)
            for each in connections:
                opening.close(each, failed=isinstance(outward, StoreBrokenError))
            if outward is error:
                raise
            raise outward from error
        return cls(writer, reader, identity)

    @property
    def daemon_id(self) -> str:
        """A UUID, made with the file."""
        return self._daemon_id

    @property
    def leases_since(self) -> int:
        """When the file was opened: nobody could renew a lease while it was closed."""
        return self._leases_since

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC, not below any time in the file. From the event loop's thread."""
        return self._clock.now()

    async def commit(self, units: Sequence[Unit]) -> list[Outcome]:
        """Write the units durably, in one transaction. Once it has begun, cancelling does not stop it."""
        self._refuse_when_closed()
        outcomes = await self._writer.run(writing.commit, units, self.now())
        if self._wal_pages >= _CHECKPOINT_PAGES and self._closing is None:
            self._writer.later(_checkpoint)
        return outcomes

    async def expire(self, kind: str, before: int) -> int:
        """Delete old records of a kind; how many."""
        self._refuse_when_closed()
        return await self._writer.run(writing.expire, kind, before)

    async def head(self, log: LogId) -> Head:
        """Where a log ends."""
        self._refuse_when_closed()
        return await self._reader.run(reading.head, log)

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        """Rows above a revision, at most ``limit`` and 4 MiB of them."""
        self._refuse_when_closed()
        return await self._reader.run(reading.read_log, log, after, limit)

    async def record(self, key: RecordKey) -> Record | None:
        """One record."""
        self._refuse_when_closed()
        return await self._reader.run(reading.record, key)

    async def records(self, kind: str, owner: str) -> list[Record]:
        """All records of a kind and owner."""
        self._refuse_when_closed()
        return await self._reader.run(reading.records, kind, owner)

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record]:
        """A page of the records of a kind; its last owner comes complete, even beyond ``limit``."""
        self._refuse_when_closed()
        return await self._reader.run(reading.list_records, kind, after_owner, limit)

    async def close(self) -> None:
        """Finish what is under way, bring the WAL into the main file, end the threads. Idempotent.

        Raises:
            StoreBrokenError: the storage failed while doing so; everything is let go of all the same.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await self._reader.close()
        finally:
            with contextlib.suppress(StoreFullError):  # the WAL stays behind, and is safe there
                await self._writer.close(_checkpoint_all)

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            message = "the store is closed"
            raise StoreBrokenError(message)

    def _note_wal_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _checkpoint(connection: apsw.Connection) -> None:
    """Copy what is in the WAL into the main file, without waiting for a reader."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _checkpoint_all(connection: apsw.Connection) -> None:
    """The same for all of it, and empty the WAL; another process that reads may leave one behind."""
    with contextlib.suppress(apsw.BusyError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
