"""The store: two connections, each on a thread of its own.

One connection writes, so that commits come one after the other and an fsync never stops the event loop; the other
reads, so that reading never waits for an fsync. A read that starts after a commit has returned sees it.

The WAL is brought into the main file after a commit that leaves it long, when that commit's answer is out already.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import apsw

from lastgood_daemon.store.protocol import (
    BackupEndedError,
    CorruptRecordError,
    DamagedPageError,
    LogId,
    LogRow,
    Outcome,
    StoreBrokenError,
    StoreFullError,
    Unit,
)
from lastgood_daemon.store.sqlite import compacting, copies, images, places, reading, schema, writing
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite.backup import Backup, remove_cut_off
from lastgood_daemon.store.sqlite.clock import Clock
from lastgood_daemon.store.sqlite.faults import refused, translated
from lastgood_daemon.store.sqlite.lane import Fault, Lane
from lastgood_daemon.store.sqlite.marks import Mark
from lastgood_daemon.store.sqlite.presence import Presence, has_content, refuse_loss
from lastgood_daemon.store.sqlite.reader import SqliteReader, aside
from lastgood_daemon.store.timeline import Timeline
from lastgood_daemon.store.upkeep import Image, Place

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_CHECKPOINT_PAGES = 1000  # of 4 KiB, in the WAL
_READERS_TIMEOUT = 100  # milliseconds


class SqliteStore(SqliteReader):
    """Durable storage in one file. See ``store.protocol.Store`` for what the methods promise."""

    def __init__(
        self,
        path: Path,
        writer: apsw.Connection,
        reader: apsw.Connection,
        identity: schema.Identity,
        clock: Clock,
        mark: Mark,
        presence: Presence,
    ) -> None:
        """Use ``open``."""
        self._fault = fault = Fault()
        super().__init__(reader, fault)
        self._path = path
        self._wal_pages = 0
        writer.set_wal_hook(self._note_wal_pages)
        self._writer = Lane(writer, "writer", fault)
        self._copying = asyncio.Lock()
        self._ends_backups = False
        self._copier = ThreadPoolExecutor(1, "lastgood-store-copy")
        self._identity = identity
        self._presence = presence
        self._mark = mark
        self._clock = clock
        self._imaging = asyncio.Lock()
        """One image at a time: what is there of one that is being written is no leftover of a crash."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, or make it. Blocks: to be called before there is anyone to serve.

        Raises:
            StoreOpenError: it must not be opened; a subclass (``errors.py``) says why and what to do.
            StoreBrokenError, StoreFullError: the storage failed underneath.
        """
        opening.check_library()
        refuse_loss(path)
        copies.refuse_foreign_wal(path)
        remove_cut_off(path)
        opening.make_missing(path)
        schema.require_write_version(path)
        has_wal = has_content(Path(f"{path}-wal"))
        connections: list[apsw.Connection] = []
        try:
            connections.append(writer := opening.connect(path))
            empty = schema.is_empty(writer, path)
            opening.make_private(path)  # it is ours
            if empty:
                copies.refuse_emptied(path)
                opening.configure_new_file(writer)
            opening.configure_writer(writer)
            if empty:
                schema.make(writer)
            schema.upgrade(writer, path)
            identity = schema.identify(writer, path)
            copies.refuse_lost_writes(writer, path, identity)
            connections.append(reader := opening.connect(path))
            opening.configure_reader(reader)
            clock = _clock_of(writer, identity.latest)
            # What follows writes: a file that cannot be read is left as it is.
            copy_id, mark = copies.recognize(writer, path)
            _note_start(writer, clock)
            is_settled = _settle(writer)
            if is_settled:
                mark.settle()
        except BaseException as error:
            outward = refused(error, connections[0] if connections else None, path)
            for each in connections:
                opening.close(each, failed=has_wal or isinstance(outward, (StoreBrokenError, StoreFullError)))
            if outward is error:
                raise
            raise outward from error
        names = {mark.nonce, None}  # what cannot be read is damaged, and refused where it is needed
        presence = Presence(path, lambda: not is_settled or copies.noted_alone(path) in names)
        return cls(path, writer, reader, identity._replace(copy_id=copy_id), clock, mark, presence)

    @property
    def daemon_id(self) -> str:
        """A UUID, made with the file."""
        return self._identity.daemon_id

    @property
    def copy_id(self) -> str:
        """The same, or in a copy a UUID made when that was opened first."""
        return self._identity.copy_id

    @property
    def timeline(self) -> Timeline:
        """How the moments of the store go together with the clock on the wall."""
        return self._clock.timeline

    def now(self) -> int:
        """Return the moment, not below any in the file. From the event loop's thread."""
        return self._clock.now()

    def check_presence(self, *, whole: bool) -> None:
        """Raise StoreBrokenError where the files, or the database alone, are no longer under their names."""
        self._presence.check(whole=whole)

    def beat(self) -> None:
        """Look at the clocks."""
        self._clock.beat()

    async def keep_time(self) -> None:
        """Write down how far time has come."""
        try:
            with self._clock.saving() as data:
                await self._write(writing.put_timeline, data, self.now())
        except DamagedPageError as error:
            _forgo(self._clock, error)

    async def commit(self, units: Sequence[Unit]) -> list[Outcome]:
        """Write the units durably, in one transaction. Once it has begun, cancelling does not stop it."""
        try:
            if not self._clock.is_saved:
                await self.keep_time()
            return await self._write(writing.commit, units, self.now(), self._mark.reach)
        except DamagedPageError as error:
            await self._probe()
            touched = sorted({append.log.state_id for unit in units for append in unit.appends})
            what = f"state {', '.join(map(repr, touched[:3]))}" if touched else "the storage"
            message = f"{what}: {error}; nothing was written"
            raise DamagedPageError(message) from error

    async def _probe(self) -> None:
        """Go on after damage only where others can still write."""
        try:
            await self._write(writing.probe)
        except DamagedPageError as error:
            message = f"the storage failed underneath: no commit goes on: {error}"
            self._fault.message = message
            raise StoreBrokenError(message) from error

    async def expire(self, kind: str, before: int) -> int:
        """Delete the records of a kind of which the owner has no newer one; of how many owners."""
        return await self._write(writing.expire, kind, before, self._mark.reach)

    async def free_bytes(self) -> int:
        """How much of the file is free."""
        return await self._write(writing.free_bytes)

    async def empty_wal(self) -> None:
        """Bring the WAL into the main file; a reader that needs it longer than a moment leaves that for later."""
        await self._write(self._writing(_empty_wal))

    async def give_back(self) -> int:
        """Shrink the file by at most a MiB of what is free in it; how many bytes."""
        return await self._write(writing.give_back)

    async def scrub(self) -> bool:
        """Make the file anew, and empty the WAL."""
        return await self._write(self._writing(writing.scrub))

    # Upkeep.

    async def put_image(self, log: LogId, image: Image) -> None:
        """Write an image piece by piece, unless there is one of that revision; other commits go on in between."""
        pieces = await asyncio.to_thread(images.pieces_of, image)
        async with self._imaging:
            if not await self._write(images.make_room, log, image.revision):
                return
            for piece in reversed(range(len(pieces))):
                if not await self._write(images.put_piece, log, image.revision, pieces, piece):
                    return

    async def squash(self, log: LogId, after: int, row: LogRow) -> None:
        """Replace rows by one."""
        await self._write(compacting.squash, log, after, row)

    async def raise_floor(self, log: LogId, revision: int) -> None:
        """Let go of the rows up to a revision."""
        await self._write(compacting.raise_floor, log, revision)

    async def sweep(self) -> bool:
        """Remove some of what has been let go of."""
        return await self._write(compacting.sweep)

    async def add_places(self, log: LogId, after: int, until: int, places_: Sequence[Place]) -> None:
        """Index some more revisions of a log."""
        for begin in range(0, max(len(places_), 1), places.AT_A_TIME):
            end = begin + places.AT_A_TIME
            await self._write(places.add, log, after, until if end >= len(places_) else after, places_[begin:end])

    async def forget_index(self, log: LogId) -> None:
        """Throw the index of a log away."""
        await self._write(places.forget, log)

    def aside(self) -> AbstractAsyncContextManager[SqliteReader]:
        """Something to read all of it with, on a connection and a thread of its own."""
        return aside(self._path)

    async def backup(self, folder: Path) -> int:
        """Make a copy, page by page between the commits (``backup.py``). One at a time; ends early when this is closed."""
        async with self._copying:
            self._refuse_when_ending()
            loop = asyncio.get_running_loop()
            copy = await loop.run_in_executor(self._copier, Backup, folder, self._path)
            try:
                try:
                    while not await self._writer.run(copy.step):
                        self._refuse_when_ending()
                finally:
                    await self._writer.run(copy.end)
                return await loop.run_in_executor(self._copier, copy.publish)
            finally:
                await loop.run_in_executor(self._copier, copy.remove)

    def end_backups(self) -> None:
        """End the backups that are being made, and refuse further ones."""
        self._ends_backups = True

    def _refuse_when_ending(self) -> None:
        if self._ends_backups or self._closing is not None:
            message = "the daemon ends, and with it the backup; nothing is left of it"
            raise BackupEndedError(message)

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
            async with self._copying:  # a backup sees that this is closing, and ends
                self._copier.shutdown()
                await self._reader.close()
        finally:
            with contextlib.suppress(StoreFullError):  # the WAL stays behind, and is safe there
                await self._writer.close(self._writing(_checkpoint_all))
            self._mark.close()

    async def _write(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse_when_closed()

        def write(connection: apsw.Connection) -> T:
            done = function(connection, *args, **kwargs)
            self._presence.check()  # before anything is acknowledged: SQLite writes into unlinked files, too
            return done

        with self._clock.writing():
            done = await self._writer.run(write)
        if self._wal_pages >= _CHECKPOINT_PAGES and self._closing is None:
            self._writer.later(self._writing(_checkpoint))
        return done

    def _writing(self, function: Callable[[apsw.Connection], T]) -> Callable[[apsw.Connection], T]:
        """Have a function that writes into the database itself be known to do so."""

        def write(connection: apsw.Connection) -> T:
            with self._presence.writing():
                return function(connection)

        return write

    def _note_wal_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _clock_of(writer: apsw.Connection, latest: int) -> Clock:
    """Return a clock that goes on from where the file has come to."""
    try:
        found = reading.record(writer, writing.TIMELINE)
    except CorruptRecordError:
        found = None  # then times are shown as they were stored; ``verify`` tells of it
    except apsw.CorruptError:
        found = None  # likewise
    return Clock(latest, None if found is None else Timeline.decoded(found.value))


def _note_start(writer: apsw.Connection, clock: Clock) -> None:
    """Write down that there was this start, so that time goes on however often a daemon starts."""
    try:
        with contextlib.suppress(apsw.FullError), clock.saving() as data:
            writing.put_timeline(writer, data, clock.now())
    except apsw.CorruptError as error:
        _forgo(clock, error)


def _forgo(clock: Clock, error: Exception) -> None:
    """Go on without writing down the time: nobody is to be refused for that."""
    clock.forgo()
    log.error("how far time has come cannot be written down: %s", error)


def _settle(writer: apsw.Connection) -> bool:
    """Bring the new mark into the database itself, which tells by it that it is this one; whether that was possible.

    Without room on the disk it stays in the WAL.
    """
    try:
        written, brought = writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error as error:
        if isinstance(translated(error, writer), StoreFullError):
            return False
        raise
    return written == brought


def _checkpoint(connection: apsw.Connection) -> None:
    """Copy what is in the WAL into the main file, without waiting for a reader."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _empty_wal(connection: apsw.Connection) -> None:
    """Bring the WAL into the main file and empty it, while commits wait; readers are waited for only for a moment."""
    connection.set_busy_timeout(_READERS_TIMEOUT)
    try:
        _checkpoint_all(connection)
    finally:
        connection.set_busy_timeout(opening.BUSY_TIMEOUT)


def _checkpoint_all(connection: apsw.Connection) -> None:
    """The same for all of it, and empty the WAL; another process that reads may leave one behind."""
    with contextlib.suppress(apsw.BusyError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
