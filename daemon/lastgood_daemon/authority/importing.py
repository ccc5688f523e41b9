"""Bringing in a state with its history, from the lines of an export.

What comes is checked and stored at once, as a hidden state with a name of its own; so an import of any size holds up nobody.
When the last line has come, one command gives that state the name that it is to have: until then nobody sees anything of it.

An import ends with the daemon, and is given up when no piece of it comes for a while. What one that was cut off has left
behind is dropped at once, or by the next round of housekeeping, like a copy of a state that no checkpoint refers to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.importing import Collect, Publish
from lastgood_daemon.authority.commands.retention import DropCopy
from lastgood_daemon.authority.compaction import follow
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.memory import BUDGET
from lastgood_daemon.authority.outcomes import Outcome, Refused, Written
from lastgood_daemon.authority.unfinished import UnfinishedLine
from lastgood_daemon.engine.errors import InvalidArgumentError, RefusedError, StateExistsError
from lastgood_daemon.engine.image import Image, encode_image
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.portable.intake import Intake
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.store import upkeep
from lastgood_daemon.store.protocol import LogId, LogRow, Store

MAX_IMPORTS = 16
"""At a time."""
IDLE_SECONDS = 30.0
"""After which an import that does not go on is given up."""
PRESSED_SECONDS = 3.0
"""The same, while all that are under way have taken in more than the memory budget."""
STEP_LINES = 500
STEP_BYTES = 512 * 1024
"""Of lines that are read, and stored, at a time."""


class Piece(NamedTuple):
    """A part of the text, and where in it that begins."""

    offset: int
    data: bytes
    last: bool


class _Import:
    """One that is under way."""

    def __init__(self, import_id: str, now: int, folder: Path | None) -> None:
        self.import_id = import_id
        self.touch()
        about = About(born=True, hidden=True, created_at=now)
        self.collecting = State(f"import-{uuid4().hex}", about)
        self.intake = Intake(self.collecting)
        self.lock = asyncio.Lock()
        self.received = 0
        self.rest = UnfinishedLine(folder)
        self.stored = False
        self.failed: RefusedError | None = None
        self.published: Point | None = None

    @property
    def state_id(self) -> str:
        return self.collecting.state_id

    def touch(self) -> None:
        """Note that it goes on."""
        self.touched = asyncio.get_running_loop().time()

    def has_stood_still(self, seconds: float) -> bool:
        """Whether it has not gone on for so long."""
        return not self.lock.locked() and asyncio.get_running_loop().time() - self.touched >= seconds

    def lines_with(self, piece: Piece) -> list[bytes]:
        """Give the lines that a piece completes; keeps what is left of it. It may go to the disk: work for a thread.

        Raises:
            RefusedError: the line is too large, for the format or for the disk.
        """
        self.received += len(piece.data)
        *ends, begun = piece.data.split(b"\n")
        lines = [self.rest.ended(ends[0]), *ends[1:]] if ends else []
        self.rest.add(begun)
        if piece.last:
            lines.append(self.rest.ended(b""))
        return lines


class Importer:
    """See the module."""

    def __init__(
        self,
        store: Store,
        loader: Loader,
        hand_in: Callable[[Command], Awaitable[Outcome]],
        budget: int = BUDGET,
        folder: Path | None = None,
    ) -> None:
        """Make one that keeps to a budget of bytes, and puts what is too large for memory into a folder, without a name."""
        self._store = store
        self._budget = budget
        self._folder = folder
        self._watching: asyncio.Task[None] | None = None
        self._loader = loader
        self._hand_in = hand_in
        self._under_way: dict[str, _Import] = {}

    def holds(self, state_id: str) -> bool:
        """Whether a state is one that an import is about to become."""
        return any(each.state_id == state_id and not each.has_stood_still(IDLE_SECONDS) for each in self._under_way.values())

    async def take(self, state_id: str, import_id: str, piece: Piece, author: Author) -> Point | None:
        """Take in a piece of the text; with the last one, gives the present revision of the state that has come of it.

        A piece that has come before changes nothing.

        Raises:
            RefusedError: something is wrong with it, or with the import; then nothing of it is left.
        """
        known = await self._loader.ask(lambda reader: reader.state(state_id))
        if known.about.imported == import_id:
            return known.point()
        found = self._under_way.get(import_id)
        if found is None:
            if piece.offset:
                raise _cut_off()
            if known.about.born or known.snapshots:
                raise StateExistsError(state_id)
            found = await self._begin(import_id)
        async with found.lock:
            if found.failed is not None:
                raise found.failed
            if found.published is not None:
                return found.published
            found.touch()
            try:
                await self._take(found, piece)
                return await self._publish(found, state_id, author) if piece.last else None
            except RefusedError as refusal:
                await self._fail(found, refusal)
                raise
            except BaseException:
                self._under_way.pop(import_id, None)
                found.rest.close()
                raise

    async def _begin(self, import_id: str) -> _Import:
        await self._give_up_idle()
        if import_id not in self._under_way:
            if len(self._under_way) >= MAX_IMPORTS:
                text = f"{MAX_IMPORTS} imports are under way already; nothing was written, try again when one has ended"
                raise Refused("OVERLOADED", text).error()
            self._under_way[import_id] = _Import(import_id, self._store.now(), self._folder)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch())
        return self._under_way[import_id]

    async def _watch(self) -> None:
        """Give up what does not go on, while anything is under way."""
        while self._under_way:
            await asyncio.sleep(min(PRESSED_SECONDS, IDLE_SECONDS / 4))
            await self._give_up_idle()

    async def _give_up_idle(self) -> None:
        seconds = PRESSED_SECONDS if sum(each.received for each in self._under_way.values()) > self._budget else IDLE_SECONDS
        for each in [each for each in self._under_way.values() if each.has_stood_still(seconds)]:
            await self._fail(each, _cut_off())

    async def _take(self, found: _Import, piece: Piece) -> None:
        if piece.offset + len(piece.data) <= found.received and not piece.last:
            return
        if piece.offset != found.received:
            field = "offset"
            raise InvalidArgumentError(field, f"must be {found.received}, where the import stands, got {piece.offset}")
        lines = await asyncio.to_thread(found.lines_with, piece)
        while lines:
            before, whole = found.intake.state.chain, found.intake.kept.floor.revision
            read, rows = await asyncio.to_thread(_read, found.intake, lines)
            del lines[:read]
            await self._collect(found, before, rows)
            if found.intake.kept.floor.revision != whole:
                await self._keep_content(found)

    async def _collect(self, found: _Import, before: bytes, rows: Sequence[LogRow]) -> None:
        if rows:
            found.stored = True
            size = sum(len(row.entry) for row in rows)
            await self._done(Collect(before, rows, found.intake.state, size))

    async def _keep_content(self, found: _Import) -> None:
        """Have an image of the content at the floor, as later revisions need it, and the log as after a compaction."""
        state = found.intake.state
        data = await asyncio.to_thread(encode_image, Image(state.tree, state.chain, state.log_bytes))
        log = LogId(state.state_id, state.incarnation)
        await self._store.put_image(log, upkeep.Image(state.revision, data))
        await follow(self._store, log, found.intake.kept)

    async def _publish(self, found: _Import, state_id: str, author: Author) -> Point:
        intake = found.intake
        header = intake.finish()
        collected = intake.state if found.stored else replace(intake.state, about=About())
        snapshots = tuple(intake.snapshots)
        size = sum(len(taken.metadata or b"") for taken in snapshots)
        command = Publish(
            state_id, found.import_id, author, collected, header.created_at, header.origin, intake.kept, snapshots, size
        )
        written = await self._done(command)
        if not isinstance(written, Written):
            raise TypeError(written)
        found.published = written.point
        found.rest.close()
        self._under_way.pop(found.import_id, None)
        return written.point

    async def _fail(self, found: _Import, refusal: RefusedError) -> None:
        found.failed = refusal
        self._under_way.pop(found.import_id, None)
        found.rest.close()
        if found.stored:
            await self._hand_in(DropCopy(found.state_id, _ALWAYS))

    async def _done(self, command: Command) -> Outcome:
        outcome = await self._hand_in(command)
        if isinstance(outcome, Refused):
            raise outcome.error()
        return outcome


_ALWAYS = 2**62
"""A time that everything was made before."""


def _read(intake: Intake, lines: Sequence[bytes]) -> tuple[int, list[LogRow]]:
    """Read some of the lines: how many, and the rows that they make. A content at the floor is the last of its rows."""
    rows: list[LogRow] = []
    size = 0
    for read, line in enumerate(lines, 1):
        floor = intake.kept.floor.revision
        made = intake.take(line)
        if made is not None:
            rows.append(LogRow(*made))
        size += len(line)
        if size >= STEP_BYTES or read == STEP_LINES or intake.kept.floor.revision != floor:
            return read, rows
    return len(lines), rows


def _cut_off() -> RefusedError:
    field = "import_id"
    why = f"it was cut off by a restart of the daemon, or because no piece came for {IDLE_SECONDS:g} s"
    return InvalidArgumentError(field, f"must be that of an import under way: {why}; nothing of it is kept, begin again")
