"""The store: two connections, each on a thread of its own.

One connection writes, so that commits come one after the other and an fsync never stops the event loop; the other
reads, so that reading never waits for an fsync. A read that starts after a commit has returned sees it.

The WAL is brought into the main file after a commit that leaves it long, when that commit's answer is out already.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

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
from lastgood_daemon.store.sqlite import compacting, images, places, reading, schema, writing
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite.clock import Clock
from lastgood_daemon.store.sqlite.errors import ForeignFileError
from lastgood_daemon.store.sqlite.faults import translated
from lastgood_daemon.store.sqlite.lane import Fault, Lane
from lastgood_daemon.store.upkeep import Image, ImageMark, Place

P = ParamSpec("P")
T = TypeVar("T")

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
        self._imaging = asyncio.Lock()
        """One image at a time: what is there of one that is being written is no leftover of a crash."""
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
            schema.upgrade(writer)
            identity = schema.identify(writer, path)
            connections.append(reader := opening.connect(path))
            opening.configure_reader(reader)
        except BaseException as error:
            outward = translated(error, connections[0] if connections else None)
            for each in connections:
                each.close(force=True)
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
        return await self._write(writing.commit, units, self.now())

    async def expire(self, kind: str, before: int) -> int:
        """Delete old records of a kind; how many."""
        return await self._write(writing.expire, kind, before)

    async def give_back(self) -> int:
        """Shrink the file by at most a MiB of what is free in it; how many bytes."""
        return await self._write(writing.give_back)

    async def head(self, log: LogId) -> Head:
        """Where a log ends."""
        return await self._read(reading.head, log)

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        """Rows above a revision, at most ``limit`` and 4 MiB of them."""
        return await self._read(reading.read_log, log, after, limit)

    async def record(self, key: RecordKey) -> Record | None:
        """One record."""
        return await self._read(reading.record, key)

    async def records(self, kind: str, owner: str) -> list[Record]:
        """All records of a kind and owner."""
        return await self._read(reading.records, kind, owner)

    async def list_records(self, kind: str, after_owner: str, limit: int) -> list[Record]:
        """A page of the records of a kind; its last owner comes complete, even beyond ``limit``."""
        return await self._read(reading.list_records, kind, after_owner, limit)

    # Upkeep.

    async def put_image(self, log: LogId, image: Image) -> None:
        """Write an image piece by piece; other commits go on in between."""
        pieces = await asyncio.to_thread(images.pieces_of, image)
        async with self._imaging:
            await self._write(images.clear_incomplete, log)
            for piece in reversed(range(len(pieces))):
                if not await self._write(images.put_piece, log, image.revision, pieces, piece):
                    return

    async def image(self, log: LogId, at_most: int) -> Image | None:
        """The newest image at or below a revision."""
        return await self._read(images.newest, log, at_most)

    async def list_images(self, log: LogId) -> list[ImageMark]:
        """Which images there are."""
        return await self._read(images.marks, log)

    async def drop_image(self, log: LogId, revision: int) -> None:
        """Forget an image."""
        await self._write(images.drop, log, revision)

    async def squash(self, log: LogId, after: int, row: LogRow) -> None:
        """Replace rows by one."""
        await self._write(compacting.squash, log, after, row)

    async def raise_floor(self, log: LogId, revision: int) -> None:
        """Let go of the rows up to a revision."""
        await self._write(compacting.raise_floor, log, revision)

    async def sweep(self) -> bool:
        """Remove some of what has been let go of."""
        return await self._write(compacting.sweep)

    async def indexed(self, log: LogId) -> int:
        """Up to where a log is indexed."""
        return await self._read(places.indexed, log)

    async def add_places(self, log: LogId, until: int, places_: Sequence[Place]) -> None:
        """Index some more revisions of a log."""
        await self._write(places.add, log, until, places_)

    async def find_places(
        self, log: LogId, places_: Sequence[tuple[int, bool]], after: int, before: int, limit: int, *, newest_first: bool
    ) -> list[int]:
        """Indexed revisions about any of these places."""
        return await self._read(places.find, log, places_, after, before, limit, newest_first=newest_first)

    async def list_owners(self, kind: str, after_owner: str, limit: int) -> list[str]:
        """A page of the owners of a kind."""
        return await self._read(reading.list_owners, kind, after_owner, limit)

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

    async def _write(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse_when_closed()
        done = await self._writer.run(function, *args, **kwargs)
        if self._wal_pages >= _CHECKPOINT_PAGES and self._closing is None:
            self._writer.later(_checkpoint)
        return done

    async def _read(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse_when_closed()
        return await self._reader.run(function, *args, **kwargs)

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
