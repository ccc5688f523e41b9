"""Redacting: finding a text in all that is kept of a state, and having it replaced there for good.

    clear       what was let go of, and copies that nobody needs, go: nobody would look for it there
    prepare     the log is read, from its floor on, and what has the text in it is rewritten: in memory, off the event loop
    at rest     nothing else is committed: what has been written meanwhile is read, also in new copies; and
                the present tree is redacted
    commit      rows, images, records and a revision that says so, in one transaction (``commands/redaction.py``)
    scrub       what SQLite still has of the old in its file and its WAL goes, too

Nothing is kept of the text itself. While it is at work no image is written and no log compacted, for what these have read
before would bring the text back. Cut off before the commit, nothing has happened; after it, asking again scrubs.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from lastgood_daemon.authority.background import Background
from lastgood_daemon.authority.commands.redaction import Redact, RedactedLog
from lastgood_daemon.authority.committer import Committer
from lastgood_daemon.authority.housekeeping import Housekeeper
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.outcomes import Redacted, Refused
from lastgood_daemon.authority.replay import PAGE
from lastgood_daemon.authority.scanning import scan
from lastgood_daemon.authority.sessions import Session
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.authority.world import World
from lastgood_daemon.engine.errors import EndedError, NotRedactableError
from lastgood_daemon.engine.image import DamagedImageError, decode_image, encode_image
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.rewriting import redacted_tree, rewritten_row
from lastgood_daemon.engine.state import LEAST_BYTES, State
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow, Record, Rewrite, Store, StoreFullError
from lastgood_daemon.store.upkeep import Image


class Wanted(NamedTuple):
    """What is to be redacted, and who asks for it."""

    state: StateRef
    author: Author
    text: str
    replacement: str
    size: int


class _Scanned:
    """What was found in a log, as far as it was read."""

    def __init__(self, log: LogId, floor: int) -> None:
        self.log = log
        self.rows: list[LogRow] = []
        self.images: list[Image] = []
        self.found = False
        self.grown = 0
        self._floor = floor
        self._until = 0

    async def read_images(self, store: Store, redactor: Redactor) -> None:
        """Redact the images that are the truth, or part of it: those up to the floor of what is kept."""
        for mark in await store.list_images(self.log):
            if mark.revision > self._floor:
                continue
            image = await store.image(self.log, mark.revision)
            if image is None and not (await store.head(self.log)).revision:
                return  # the state has been deleted meanwhile
            if image is None or image.revision != mark.revision:
                message = f"state {self.log.state_id!r}: the image of revision {mark.revision} has gone"
                raise CorruptRecordError(message)
            after = await asyncio.to_thread(_redacted_image, image, redactor)
            self.found = self.found or after is not image
            self.images.append(after)

    async def read_rows(self, store: Store, redactor: Redactor) -> None:
        """Redact the rows that there are after those that were read."""
        while rows := await store.read_log(self.log, self._until, PAGE):
            await asyncio.to_thread(self._take, rows, redactor)
            self._until = rows[-1].revision

    def _take(self, rows: Sequence[LogRow], redactor: Redactor) -> None:
        for row in rows:
            try:
                entry = rewritten_row(row.revision, row.entry, redactor)
            except msgspec.DecodeError as error:
                message = f"state {self.log.state_id!r}: revision {row.revision} cannot be read: {error}"
                raise CorruptRecordError(message) from error
            if entry is not None:
                self.rows.append(LogRow(row.revision, entry, row.chain))
                if row.revision > self._floor:
                    self.grown += max(len(entry), LEAST_BYTES) - max(len(row.entry), LEAST_BYTES)


def _redacted_image(image: Image, redactor: Redactor) -> Image:
    try:
        decoded = decode_image(image.data)
        tree = redacted_tree(decoded.tree, redactor).tree
        if not redactor.is_in(image.data):
            return image
        return Image(image.revision, encode_image(decoded._replace(tree=tree)))
    except DamagedImageError as error:
        raise CorruptRecordError(str(error)) from error


class RedactionDesk:
    """See the module."""

    def __init__(
        self,
        store: Store,
        world: World,
        loader: Loader,
        committer: Committer,
        background: Background,
        housekeeper: Housekeeper,
    ) -> None:
        self._store = store
        self._world = world
        self._loader = loader
        self._committer = committer
        self._background = background
        self._housekeeper = housekeeper

    async def redact(self, wanted: Wanted) -> Redacted:
        """Take a text out of all that is kept of a state.

        Raises:
            NotRedactableError: it is where it cannot be replaced; nothing was done.
            EndedError: the disk is full, the daemon ends, or another process reads the file.
        """
        async with self._background.turn, self._housekeeper.compacting:
            while True:
                outcome = await self._attempt(wanted)
                if isinstance(outcome, Refused):
                    raise outcome.error()
                if isinstance(outcome, Redacted):
                    break
            await self._scrub()
            return outcome

    async def _attempt(self, wanted: Wanted) -> object:
        redactor = Redactor(wanted.text, wanted.replacement)
        if redactor.has(wanted.state.state_id):
            where = "the id of the state"
            raise NotRedactableError(where)
        await self._clear()
        found = [await self._scan(state, redactor) for state in await self._states(wanted.state)]
        scanned = {each.log: each for each in found}
        sessions = {owned.owner async for owned in scan(self._store, "session") if _may_have(owned.records(), redactor)}

        async def prepare() -> Redact:
            logs, seen = [], []
            for state in await self._states(wanted.state, scanned):  # copies may have come meanwhile, and gone
                known = scanned.get(LogId(state.state_id, state.incarnation))
                each = known or await self._scan(state, redactor)
                await each.read_rows(self._store, redactor)
                tree = await asyncio.to_thread(redacted_tree, state.tree, redactor)
                seen.append((each.log, state.revision))
                if each.rows or each.found:
                    rewrite = Rewrite(each.log, each.rows, each.images)
                    logs.append(RedactedLog(state.revision, rewrite, tree, each.grown))
            redactor.require_apart()
            recent = {name for name, session in self._world.sessions.items() if _is_answered(session, redactor)}
            return Redact(wanted.state, wanted.author, redactor, logs, seen, sorted(sessions | recent), wanted.size)

        return await self._committer.alone(prepare)

    async def _states(self, ref: StateRef, known: Iterable[LogId] = ()) -> list[State]:
        """Give the state, and the copies that were made for checkpoints of its workflow; and those known that are there."""
        state = await self._loader.ask(lambda reader: find_state(reader, ref))
        workflow: Workflow = await self._loader.ask(lambda reader: reader.workflow(ref.state_id))
        found = {state.state_id: state}
        points = (checkpoint.point for checkpoint in workflow.in_order())
        for name in (*(point.state_id for point in points), *(log.state_id for log in known)):
            if name not in found:
                other = await self._state(name)
                if other.about.hidden:
                    found[name] = other
        return list(found.values())

    async def _state(self, state_id: str) -> State:
        return await self._loader.ask(lambda reader: reader.state(state_id))

    async def _scan(self, state: State, redactor: Redactor) -> _Scanned:
        scanned = _Scanned(LogId(state.state_id, state.incarnation), state.kept.floor.revision)
        await scanned.read_images(self._store, redactor)
        await scanned.read_rows(self._store, redactor)
        return scanned

    async def _clear(self) -> None:
        await self._housekeeper.drop_copies()
        try:
            while await self._store.sweep():
                pass
        except StoreFullError as error:
            reason = "OVERLOADED"
            raise EndedError(reason, f"the disk is full; nothing was redacted: {error}") from error

    async def _scrub(self) -> None:
        again = "everything was redacted, but not yet wiped off the disk; redact again"
        reason = "OVERLOADED"
        try:
            done = await self._store.scrub()
        except StoreFullError as error:
            raise EndedError(reason, f"{again} when there is room: {error}") from error
        if not done:
            raise EndedError(reason, f"{again} when no other process reads the daemon's database")


def _is_answered(session: Session, redactor: Redactor) -> bool:
    return any(redactor.is_in(answer) for _, answer in session.answers())


def _may_have(records: Sequence[Record], redactor: Redactor) -> bool:
    return any(redactor.is_in(record.value) for record in records)
