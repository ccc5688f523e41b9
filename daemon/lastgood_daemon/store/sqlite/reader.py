"""Reading a store: a connection on a thread of its own, so that no read ever waits for an fsync.

The store has one. Another one, beside it, is for whoever reads all of it: that keeps nobody waiting, and a malformed page
that it comes upon does not end the daemon. It also reads a folder without a daemon, and leaves that as it is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import apsw

from lastgood_daemon.store.protocol import Damaged, Head, LogId, LogRow, Record, RecordKey, StoreBrokenError
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite import reading, schema
from lastgood_daemon.store.sqlite.errors import ForeignFileError
from lastgood_daemon.store.sqlite.faults import translated
from lastgood_daemon.store.sqlite.lane import Fault, Lane, PassingFault


class SqliteReader:
    """See ``store.protocol.Reading`` for what the methods promise."""

    def __init__(self, connection: apsw.Connection, fault: Fault) -> None:
        """Take a connection, which nobody else is to use from now on."""
        self._reader = Lane(connection, "reader", fault)
        self._closing: asyncio.Future[None] | None = None

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

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record | Damaged]:
        """A page of the records of a kind; its last owner comes complete, even beyond ``limit``."""
        self._refuse_when_closed()
        return await self._reader.run(reading.list_records, kind, after_owner, limit)

    async def kinds(self) -> list[str]:
        """The kinds of which there are records."""
        self._refuse_when_closed()
        return await self._reader.run(reading.kinds)

    async def list_logs(self, after: LogId | None, limit: int) -> list[tuple[LogId, Head]]:
        """A page of the logs."""
        self._refuse_when_closed()
        return await self._reader.run(reading.list_logs, after, limit)

    async def check(self) -> list[str]:
        """What SQLite finds wrong with the file; one read of all of it, during which the WAL grows."""
        self._refuse_when_closed()
        return await self._reader.run(reading.check)

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            message = "the store is closed"
            raise StoreBrokenError(message)


@contextlib.asynccontextmanager
async def aside(path: Path) -> AsyncIterator[SqliteReader]:
    """Read a file beside whoever has it, or one that nobody has.

    Raises:
        StoreOpenError: it is none of ours; a subclass says why.
        StoreBrokenError: it is too damaged to be opened.
    """
    connection = await asyncio.to_thread(_open, path)
    reader = SqliteReader(connection, PassingFault())
    try:
        yield reader
    finally:
        await reader._reader.close()  # noqa: SLF001 - its own class


def _open(path: Path) -> apsw.Connection:
    opening.check_library()
    if not path.is_file():
        raise ForeignFileError(path, "there is no such file")
    connection: apsw.Connection | None = None
    try:
        # What a killed daemon has left in the WAL stays there, for the next daemon.
        wal = path.with_name(f"{path.name}-wal")
        left = wal.exists() and wal.stat().st_size > 0
        connection = opening.connect(path)
        if left:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if schema.is_empty(connection, path):
            raise ForeignFileError(path, "it is empty")  # noqa: TRY301 - closed below, like all that goes wrong
        opening.configure_aside(connection)
        schema.identify(connection, path)
    except BaseException as error:
        outward = translated(error, connection)
        if connection is not None:
            connection.close(force=True)
        if outward is error:
            raise
        raise outward from error
    return connection
