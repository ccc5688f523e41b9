"""Bringing into memory what a command or a question found missing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import msgspec

from lastgood_daemon.authority.layer import kept_key, retention_key, state_key, workflow_key
from lastgood_daemon.authority.memory import PER_PART
from lastgood_daemon.authority.replay import PAGE, Rebuilt, rebuilt
from lastgood_daemon.authority.session_records import session_of
from lastgood_daemon.authority.sessions import Session
from lastgood_daemon.authority.world import (
    MAX_OTHERS,
    ImageNote,
    LabourNeed,
    Need,
    NotLoadedError,
    Others,
    OthersNeed,
    Pinned,
    Reader,
    ReservedNeed,
    RetentionNeed,
    SessionNeed,
    StateNeed,
    TimeNeed,
    TreeNeed,
    WorkflowNeed,
    World,
    asked,
    written_by_others,
)
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.checkpoints import Checkpoints
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.labour import let_go
from lastgood_daemon.engine.log import decode_row
from lastgood_daemon.engine.node import map_of
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import About, Snapshot, State
from lastgood_daemon.engine.workflow import Progress, Workflow
from lastgood_daemon.store.protocol import LogId, Record, RecordKey, Store

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)


class Loader:
    """See the module."""

    def __init__(self, store: Store, world: World) -> None:
        self.store = store
        self._world = world
        self._under_way: dict[Need, asyncio.Task[None]] = {}

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """Ask the world, and bring what is missing until it can answer."""
        reader: Reader = self._world
        while True:
            try:
                return asked(question, reader)
            except NotLoadedError as error:
                if isinstance(error.need, LabourNeed) and reader is self._world:
                    reader = Pinned(self._world)
                await self.bring(error.need)

    def redacted(self, log: LogId) -> int:
        """Return the revision by which a log was redacted last, since the daemon began; 0 if none."""
        return self._world.redacted.get(log, 0)

    def bring(self, need: Need) -> Awaitable[None]:
        """Bring something into memory. Asked for twice at a time it is brought once.

        Raises:
            CorruptRecordError: it does not match its checksum.
        """
        task = self._under_way.get(need)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._bring(need))
            self._under_way[need] = task
            task.add_done_callback(lambda _: self._under_way.pop(need))
        # The one who asks may be cancelled; the others still want it.
        return asyncio.shield(task)

    async def _bring(self, need: Need) -> None:  # noqa: C901 - one case for each need
        world = self._world
        world.trim(self.store.now())
        match need:
            case StateNeed(state_id):
                # Whoever writes into it asks next whether somebody holds the workflow of that id.
                if state_id not in world.workflows:
                    await self.bring(WorkflowNeed(state_id))
                loaded = await self._state(state_id)
                world.states.setdefault(state_id, loaded)  # a batch may have been faster, and then knows more
                world.weigh(state_id)
            case WorkflowNeed(workflow_id):
                world.workflows.setdefault(workflow_id, await self._workflow(workflow_id))
                world.weigh(workflow_id)
            case SessionNeed(session_id):
                world.put_session(session_id, await self._session(session_id))
            case RetentionNeed(owner):
                record = await self.store.record(retention_key(owner))
                world.retentions[owner] = self._decoded(record, Retention)
            case TreeNeed(point):
                state, image_size, image_log_bytes = await self._rebuilt(point)
                # A revision of a batch that is not durable yet is not in the log; whoever waits for it has to ask again.
                if state.revision == point.revision:
                    world.keep(point, state.tree, image_size + state.log_bytes - image_log_bytes)
            case TimeNeed(state_id, incarnation, time):
                world.times.put(need, await self._revision_at(LogId(state_id, incarnation), time))
            case OthersNeed():
                await self._find_others(need)
            case ReservedNeed(state_id):
                await world.workings.released(state_id)
            case LabourNeed(_, work):
                await asyncio.get_running_loop().run_in_executor(world.workings.thread, work)
                world.weigh_again()

    async def _state(self, state_id: str) -> State:
        about = self._decoded(await self.store.record(state_key(state_id)), About) or About()
        state = State(state_id, about)
        if about.born:
            state, image_size, image_log_bytes = await self._rebuilt(state.point(0))
            self._world.images[LogId(state_id, about.incarnation)] = ImageNote(image_log_bytes, image_size)
        snapshots = await self._parts("snapshot", state_id, Snapshot)
        kept = self._decoded(await self.store.record(kept_key(state_id, about.incarnation)), Kept) or Kept()
        return await _made(len(snapshots), partial(replace(state, about=about, kept=kept).with_snapshots, snapshots))

    async def _rebuilt(self, point: Point) -> Rebuilt:
        """Rebuild a state; again where it was redacted meanwhile, since what it was before must not stay in memory."""
        log, redacted = LogId(point.state_id, point.incarnation), self._world.redacted
        while True:
            before = redacted.get(log)
            found = await rebuilt(self.store, point)
            if redacted.get(log) == before:
                return found

    async def _workflow(self, workflow_id: str) -> Workflow:
        progress = self._decoded(await self.store.record(workflow_key(workflow_id)), Progress)
        if progress is None:  # most states belong to no workflow; whatever is recorded for one records this, too
            return Workflow(workflow_id)
        progress = progress.reckoned(self.store.now(), self.store.timeline.lease_end)
        checkpoints = await self._parts("checkpoint", workflow_id, Checkpoint)
        attempts = await self._parts("attempt", workflow_id, Attempt)
        effects = await self._parts("effect", workflow_id, Effect)
        return await _made(
            len(checkpoints) + len(attempts) + len(effects),
            lambda: Workflow(
                workflow_id,
                progress,
                Checkpoints.of(checkpoints),
                map_of((each.number, each) for each in attempts),
                map_of(((each.step, each.key), each) for each in effects if not each.superseded),
                map_of((each.order, each) for each in effects if each.superseded),
            ),
        )

    async def _parts(self, kind: str, owner: str, of: type[R]) -> list[R]:
        records = await self.store.records(kind, owner)
        found, versions, size = await _made(len(records), partial(parts_in, records, of))
        self._world.versions.put_all(versions)
        self._world.note_parts(owner, size)
        return found

    async def _session(self, session_id: str) -> Session:
        records = await self.store.records("session", session_id)
        session = session_of(session_id, records)
        for record in records:
            self._world.versions.put(record.key, record.version)
        return session or Session()

    def _decoded(self, record: Record | None, kind: type[R]) -> R | None:
        if record is None:
            return None
        self._world.versions.put(record.key, record.version)
        self._world.note_record(record.key, len(record.value))
        return msgspec.msgpack.decode(record.value, type=kind)

    async def _find_others(self, need: OthersNeed) -> None:
        until, found = self._world.others_found.get(need) or Others(need.after, [])
        head = await self.store.head(need.log)
        while until < head.revision:
            rows = await self.store.read_log(need.log, until, PAGE)
            if not rows:
                break  # the state has been deleted meanwhile
            found = [*found, *written_by_others(need.log.state_id, rows)][-MAX_OTHERS:]
            until = rows[-1].revision
        # A revision of a batch that is not durable yet is not in the log; whoever waits for it has to ask again.
        self._world.others_found.put(need, Others(until, found))

    async def _revision_at(self, log: LogId, time: int) -> int:
        """Find it by halving: moments never go backwards within a log."""
        head = await self.store.head(log)
        low, high = head.floor, head.revision
        while low < high:
            middle = (low + high + 1) // 2
            rows = await self.store.read_log(log, middle - 1, 1)
            if not rows or decode_row(rows[0].entry).timestamp > time:
                high = middle - 1
            else:
                low = rows[0].revision
        return low


FEW = 100
"""Records that are decoded on the event loop, which is less work than to go to a thread and back."""


async def _made(parts: int, work: Callable[[], T]) -> T:
    """Return what is made of some parts; of many, in a thread."""
    return work() if parts <= FEW else await asyncio.to_thread(work)


def parts_in(records: list[Record], of: type[R]) -> tuple[list[R], dict[RecordKey, int], int]:
    """Return what is in records, their versions, and by how many bytes they are larger than ``PER_PART`` each."""
    decode = msgspec.msgpack.Decoder(of).decode
    found = [decode(record.value) for record in records]
    versions = {record.key: record.version for record in records}
    size = sum(max(len(record.value) - PER_PART, 0) for record in records)
    let_go(records)
    return found, versions, size
