"""Reading a store: a connection on a thread of its own, so that no read ever waits for an fsync.

The store has one. Another one, beside it, is for whoever reads all of it: that keeps nobody waiting, and a malformed page
that it comes upon does not end the daemon. Yet another reads a file that no daemon has, and leaves that as it is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from lastgood_daemon.store.protocol import (
    ChainedRow,
    Damaged,
    DamagedPageError,
    Head,
    LogId,
    LogRow,
    Record,
    RecordKey,
    StoreBrokenError,
)
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite import copies, images, places, reading, schema
from lastgood_daemon.store.sqlite.errors import LOSSES, ForeignFileError, OldFormatError, StoreOpenError
from lastgood_daemon.store.sqlite.faults import refused, translated
from lastgood_daemon.store.sqlite.lane import Fault, Lane, PassingFault
from lastgood_daemon.store.sqlite.presence import refuse_loss
from lastgood_daemon.store.upkeep import Image, ImageMark, Place

P = ParamSpec("P")
T = TypeVar("T")


class SqliteReader:
    """See ``store.protocol.Reading`` for what the methods promise."""

    def __init__(self, connection: apsw.Connection, fault: Fault) -> None:
        """Take a connection, which nobody else is to use from now on."""
        self._reader = Lane(connection, "reader", fault)
        self._closing: asyncio.Future[None] | None = None

    async def head(self, log: LogId) -> Head:
        """Where a log ends."""
        return await self._read(reading.head, log)

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        """Rows above a revision, at most ``limit`` and 4 MiB of them."""
        return await self._read(reading.read_log, log, after, limit)

    async def read_revisions(self, log: LogId, revisions: Sequence[int]) -> list[ChainedRow]:
        """Rows of these revisions, at most 4 MiB of them."""
        return await self._read(reading.read_revisions, log, revisions)

    async def record(self, key: RecordKey) -> Record | None:
        """One record."""
        return await self._read(reading.record, key)

    async def records(self, kind: str, owner: str) -> list[Record]:
        """All records of a kind and owner."""
        return await self._read(reading.records, kind, owner)

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record | Damaged]:
        """A page of the records of a kind; its last owner comes complete, even beyond ``limit``."""
        return await self._read(reading.list_records, kind, after_owner, limit)

    async def kinds(self) -> list[str]:
        """The kinds of which there are records."""
        return await self._read(reading.kinds)

    async def list_logs(self, after: LogId | None, limit: int) -> list[tuple[LogId, Head]]:
        """A page of the logs."""
        return await self._read(reading.list_logs, after, limit)

    async def check(self) -> list[str]:
        """What SQLite finds wrong with the file; one read of all of it, during which the WAL grows."""
        return await self._read(reading.check)

    async def image(self, log: LogId, at_most: int) -> Image | None:
        """The newest image at or below a revision."""
        return await self._read(images.newest, log, at_most)

    async def list_images(self, log: LogId) -> list[ImageMark]:
        """Which images there are."""
        return await self._read(images.marks, log)

    async def indexed(self, log: LogId) -> int:
        """Up to where a log is indexed."""
        return await self._read(places.indexed, log)

    async def find_places(
        self, log: LogId, places_: Sequence[tuple[int, bool]], after: int, before: int, limit: int, *, newest_first: bool
    ) -> list[int]:
        """Indexed revisions about any of these places."""
        return await self._read(places.find, log, places_, after, before, limit, newest_first=newest_first)

    async def list_places(self, log: LogId, after: Place | None, limit: int) -> tuple[int, list[Place]]:
        """Some of the rows of an index."""
        return await self._read(places.page, log, after, limit)

    async def _read(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse_when_closed()
        try:
            return await self._reader.run(function, *args, **kwargs)
        except DamagedPageError as error:
            message = f"{_subject(args)}: {error}"
            raise DamagedPageError(message) from error

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            message = "the store is closed"
            raise StoreBrokenError(message)


def _subject(asked: Sequence[object]) -> str:
    """Name what was asked for."""
    match asked:
        case (LogId(state_id), *_):
            return f"state {state_id!r}"
        case (RecordKey(kind, owner, key),):
            return f"the record kind={kind!r} owner={owner!r} key={key!r}"
        case (str(kind), str(owner)):
            return f"the records kind={kind!r} owner={owner!r}"
        case _:
            return "the storage"


def aside(path: Path) -> AbstractAsyncContextManager[SqliteReader]:
    """Read a file beside whoever has it.

    Raises:
        StoreOpenError: it is none of ours; a subclass says why.
        StoreBrokenError: it is too damaged to be opened.
    """
    return _reading(path, opening.connect)


def resting(path: Path) -> AbstractAsyncContextManager[SqliteReader]:
    """Read a file that nobody has, and leave it and its folder as they are. Raises as ``aside`` does."""
    if path.exists():
        schema.require_write_version(path)
    return _reading(path, opening.connect_resting)


def loss_of(path: Path) -> StoreOpenError | None:
    """Return why a daemon would refuse a file that nobody has, where something of it was lost; None where nothing was."""
    try:
        refuse_loss(path)
        copies.refuse_foreign_wal(path)
        connection = _open(path, opening.connect_resting)
        try:
            copies.refuse_lost_writes(connection, path, schema.identify(connection, path))
        finally:
            connection.close(force=True)
    except LOSSES as error:
        return error
    except (StoreOpenError, StoreBrokenError):
        pass  # which whoever reads it is told, too
    return None


@contextlib.asynccontextmanager
async def _reading(path: Path, connect: Callable[[Path], apsw.Connection]) -> AsyncIterator[SqliteReader]:
    connection = await asyncio.to_thread(_open, path, connect)
    reader = SqliteReader(connection, PassingFault())
    try:
        yield reader
    finally:
        await reader._reader.close()  # noqa: SLF001 - its own class


def _open(path: Path, connect: Callable[[Path], apsw.Connection]) -> apsw.Connection:
    opening.check_library()
    if not path.is_file():
        raise ForeignFileError(path, "there is no such file")
    connection: apsw.Connection | None = None
    try:
        connection = connect(path)
        if schema.is_empty(connection, path):
            raise ForeignFileError(path, "it is empty")  # noqa: TRY301 - closed below, like all that goes wrong
        if (found := schema.format_of(connection)) < schema.FORMAT:
            raise OldFormatError(path, found, schema.FORMAT)  # noqa: TRY301
        opening.configure_aside(connection)
        schema.identify(connection, path)
    except BaseException as error:
        # To look into the file otherwise than by SQLite would drop the locks of a daemon that has it in this process.
        outward = refused(error, connection, path) if connect is opening.connect_resting else translated(error, connection)
        if connection is not None:
            connection.close(force=True)
        if outward is error:
            raise
        raise outward from error
    return connection
