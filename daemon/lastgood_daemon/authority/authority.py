"""The authoritative state as the edge sees it: something to ask, and something to submit commands to."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from lastgood_daemon.authority.background import Background
from lastgood_daemon.authority.committer import Committer
from lastgood_daemon.authority.history import HistoryQuestion, history
from lastgood_daemon.authority.housekeeping import Housekeeper
from lastgood_daemon.authority.importing import Importer
from lastgood_daemon.authority.indexing import Indexing
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.memory import BUDGET
from lastgood_daemon.authority.pulse import beat
from lastgood_daemon.authority.redaction import RedactionDesk
from lastgood_daemon.authority.session_records import session_of
from lastgood_daemon.authority.sessions import LIFETIME, is_of, may_have_expired, new_session_id
from lastgood_daemon.authority.space import LEAST_AFTER_DELETION, reclaim
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.verify import Findings, verify
from lastgood_daemon.authority.world import NotLoadedError, Reader, World, asked
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.engine.workflow import Progress
from lastgood_daemon.store.protocol import CorruptRecordError, Damaged, Record, Store, StoreBrokenError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Authority:
    """See the module. ``run`` must be running for commands to be answered."""

    def __init__(self, store: Store, memory_budget: int = BUDGET, folder: Path | None = None) -> None:
        """Make one over a store. In ``folder`` there is room for what is too large for memory."""
        self._store = store
        self._world = World(memory_budget, self._moment)
        self.loader = Loader(store, self._world)
        self.background = Background(self.fail)
        self.indexing = Indexing(store, self.background)
        self._committer = Committer(store, self._world, self.loader, self.background, self.indexing)
        self.importer = Importer(store, self.loader, self._committer.perform, memory_budget, folder)
        self.housekeeper = Housekeeper(store, self._committer, self.loader, self.importer)
        self.redaction = RedactionDesk(store, self._world, self.loader, self._committer, self.background, self.housekeeper)

    @property
    def daemon_id(self) -> str:
        """Identity of the store."""
        return self._store.daemon_id

    @property
    def copy_id(self) -> str:
        """Identity of this copy of the store."""
        return self._store.copy_id

    @property
    def broken(self) -> StoreBrokenError | None:
        """Set when the storage has failed and the daemon must end."""
        return self._committer.broken

    def ask_now(self, question: Callable[[Reader], T]) -> T | NotLoadedError:
        """Ask a question; gives ``NotLoadedError`` (does not raise it) where something must be brought first."""
        try:
            return asked(question, self._world)
        except NotLoadedError as error:
            return error

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """Ask a question, bringing into memory what it needs."""
        return await self.loader.ask(question)

    def weigh_again(self) -> None:
        """Note what the states weigh that were used last: for an answer, much of one may have been opened."""
        self._world.weigh_again()

    def submit(self, submission: Submission) -> None:
        """Hand in a command."""
        self._committer.submit(submission)

    async def open_session(self, session_id: str) -> str:
        """Take up a session, or begin one: gives its id, another than asked for where it is not known any more."""
        now = self._store.now()
        if is_of(session_id, self._store.copy_id):
            age = self._store.timeline.ages(now).known
            try:
                known = session_of(session_id, await self._store.records("session", session_id)) is not None
                if known or not may_have_expired(session_id, age):
                    return session_id
            except CorruptRecordError as error:
                log.error("beginning a session anew: %s", error)  # noqa: TRY400 - expected, no traceback
        return new_session_id(self._store.copy_id, now)

    def history(self, state: State, question: HistoryQuestion) -> AsyncIterator[HistoryItem]:
        """Give the revisions in which a value changed, one by one."""
        return history(self._store, self.indexing, state, question)

    async def list_states(self, after: str, limit: int) -> tuple[list[str], bool]:
        """Give the ids of states after an id, in their order, and whether there are more.

        One whose record is damaged is among them, though it may be a deleted one: nobody is to think that it has gone.
        """
        found: list[str] = []
        while len(found) <= limit:
            records = await self._store.list_records("state", after, limit + 1)
            if not records:
                return found, False
            after = records[-1].key.owner
            found.extend(record.key.owner for record in records if _is_listed(record))
        return found[:limit], True

    async def list_workflows(self, after: str, limit: int) -> tuple[list[tuple[str, Progress | None]], bool]:
        """Give the ids of workflows after an id, in their order, with how far they are; and whether there are more.

        Of one whose record is damaged nothing but its id is known.
        """
        found: list[tuple[str, Progress | None]] = []
        while len(found) <= limit:
            records = await self._store.list_records("workflow", after, limit + 1)
            if not records:
                return found, False
            after = records[-1].key.owner
            for record in records:
                progress = self._progress(record)
                if progress is None or progress.updated_at:
                    found.append((record.key.owner, progress))
        return found[:limit], True

    def _progress(self, record: Record | Damaged) -> Progress | None:
        if isinstance(record, Damaged):
            log.error("listing a workflow of which no more is known: %s", record.problem)
            return None
        return msgspec.msgpack.decode(record.value, type=Progress).reckoned(self.now(), self._store.timeline.lease_end)

    def reclaim_soon(self) -> None:
        """Have the room of what was just deleted given back, where it is worth that."""
        self.background.submit("space", partial(reclaim, self._store, LEAST_AFTER_DELETION))

    async def backup(self, folder: Path) -> int:
        """Make a backup of the store in a folder; how many bytes. Raises ``BackupRefusedError``, ``StoreFullError``."""
        return await self._store.backup(folder)

    async def verify(self, place: str) -> tuple[Findings, str]:
        """Verify a part of the store, from a place on; with what was found comes the place to go on from, "" at the end.

        An index that is not what its log says is made anew.
        """
        async with self._store.aside() as reading:
            found, place = await verify(reading, self._world.states, place)
        for log_id in found.indexes:
            self.indexing.renew(log_id)
        return found, place

    def now(self) -> int:
        """Give the moment, on the store's timeline."""
        return self._store.now()

    def _moment(self, wall: int) -> int:
        return self._store.timeline.moment(wall)

    def shown(self, moment: int) -> int:
        """Return what the clock on the wall showed at a moment, in microseconds since 1970."""
        return self._store.timeline.shown(moment)

    @property
    def holds(self) -> bool:
        """Whether anybody holds a workflow."""
        now = self._store.now()
        return any(workflow.progress.holds(now) for workflow in self._world.workflows.values())

    def dismiss(self) -> None:
        """Turn away the claims that wait for a workflow, and end backups."""
        self._committer.dismiss()
        self._store.end_backups()

    async def run(self) -> None:
        """Commit until drained. Raises ``StoreBrokenError`` where the storage fails."""
        pulse = asyncio.get_running_loop().create_task(beat(self._store, lambda: self.holds, self.fail))
        try:
            await self._committer.run()
        finally:
            pulse.cancel()
            await self.background.stop()

    def fail(self, error: StoreBrokenError) -> None:
        """Have ``run`` end because the storage has failed: a daemon that is up but dead helps nobody."""
        self._committer.fail(error)

    def look(self, *, whole: bool = False) -> None:
        """See that the storage is still there: otherwise it has failed, and nothing is answered any more."""
        try:
            self._store.check_presence(whole=whole)
        except StoreBrokenError as error:
            self.fail(error)

    def drop_idle(self) -> bool:
        """Drop from memory what takes much and was not used for a while; whether there was any."""
        return self._world.drop_idle(self._store.now())

    def drain(self) -> None:
        """Take no more commands, and let ``run`` return when all that wait are answered."""
        self._committer.drain()

    async def expire_sessions(self) -> int:
        """Forget the sessions without a sign of life for longer than their lifetime; how many."""
        await self._store.keep_time()  # what is forgotten must still be old when the daemon has started again
        return await self._committer.expire_sessions(self._store.timeline.ages(self._store.now()).before(LIFETIME))


def _is_listed(record: Record | Damaged) -> bool:
    if isinstance(record, Damaged):
        log.error("listing a state that will be refused: %s", record.problem)
        return True
    about = msgspec.msgpack.decode(record.value, type=About)
    return about.born and not about.hidden
