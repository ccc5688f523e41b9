"""Bringing into memory what a command or a question found missing. Rebuilds states from the log, checking its chain."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec
from immutables import Map

from lastgood_daemon.authority.layer import session_key, state_key, workflow_key
from lastgood_daemon.authority.sessions import Session
from lastgood_daemon.authority.world import (
    MAX_OTHERS,
    Need,
    NotLoadedError,
    Others,
    OthersNeed,
    Reader,
    SessionNeed,
    StateNeed,
    TimeNeed,
    TreeNeed,
    WorkflowNeed,
    World,
    written_by_others,
)
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.history import Step
from lastgood_daemon.engine.log import chain, decode_entry
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import About, Snapshot, State
from lastgood_daemon.engine.workflow import Progress, Workflow
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow, Record, Store

PAGE = 1000
"""Revisions of the log that are read, and applied in a thread, at a time."""

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)


class Loader:
    """See the module."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world
        self._under_way: dict[Need, asyncio.Task[None]] = {}

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """Ask the world, and bring what is missing until it can answer."""
        while True:
            try:
                return question(self._world)
            except NotLoadedError as error:
                await self.bring(error.need)

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

    async def _bring(self, need: Need) -> None:
        world = self._world
        match need:
            case StateNeed(state_id):
                # Whoever writes into it asks next whether somebody holds the workflow of that id.
                if state_id not in world.workflows:
                    await self.bring(WorkflowNeed(state_id))
                world.states[state_id] = await self._state(state_id)
            case WorkflowNeed(workflow_id):
                world.workflows[workflow_id] = await self._workflow(workflow_id)
            case SessionNeed(session_id):
                world.sessions.put(session_id, await self._session(session_id))
            case TreeNeed(point):
                state = await self._rebuilt(point)
                # A revision of a batch that is not durable yet is not in the log; whoever waits for it has to ask again.
                if state.revision == point.revision:
                    world.trees.put(point, state.tree)
            case TimeNeed(state_id, incarnation, time):
                world.times.put(need, await self._revision_at(LogId(state_id, incarnation), time))
            case OthersNeed():
                await self._find_others(need)

    async def _state(self, state_id: str) -> State:
        about = self._decoded(await self._store.record(state_key(state_id)), About) or About()
        state = State(state_id, about)
        if about.born:
            state = await self._rebuilt(state.point())
        snapshots = [self._decoded(r, Snapshot) for r in await self._store.records("snapshot", state_id)]
        return replace(state, about=about, snapshots=Map({s.snapshot_id: s for s in snapshots if s is not None}))

    async def _workflow(self, workflow_id: str) -> Workflow:
        progress = self._decoded(await self._store.record(workflow_key(workflow_id)), Progress)
        if progress is None:  # most states belong to no workflow; whatever is recorded for one records this, too
            return Workflow(workflow_id)
        effects = await self._parts("effect", workflow_id, Effect)
        return Workflow(
            workflow_id,
            progress.answering_since(self._store.leases_since),
            Map({c.order: c for c in await self._parts("checkpoint", workflow_id, Checkpoint)}),
            Map({a.number: a for a in await self._parts("attempt", workflow_id, Attempt)}),
            Map({(e.step, e.key): e for e in effects if not e.superseded}),
            Map({e.order: e for e in effects if e.superseded}),
        )

    async def _parts(self, kind: str, workflow_id: str, of: type[R]) -> list[R]:
        found = [self._decoded(record, of) for record in await self._store.records(kind, workflow_id)]
        return [part for part in found if part is not None]

    async def _session(self, session_id: str) -> Session:
        return self._decoded(await self._store.record(session_key(session_id)), Session) or Session()

    def _decoded(self, record: Record | None, kind: type[R]) -> R | None:
        if record is None:
            return None
        self._world.versions[record.key] = record.version
        return msgspec.msgpack.decode(record.value, type=kind)

    # The log.

    async def replay(self, start: State, visit: Callable[[list[Step]], bool], until: int = 0) -> State:
        """Apply the log after a state to it.

        Args:
            start: where to start.
            visit: called in a thread with each page of revisions; stops the replay by returning True.
            until: the last revision to apply; 0: all there are.

        Raises:
            CorruptRecordError: a revision does not match its chain.
        """
        state, stop = start, False
        log = LogId(start.state_id, start.incarnation)
        while not stop and (not until or state.revision < until):
            limit = min(PAGE, until - state.revision) if until else PAGE
            rows = await self._store.read_log(log, state.revision, limit)
            if not rows:
                break
            state, stop = await asyncio.to_thread(apply_rows, state, rows, visit)
        return state

    async def _rebuilt(self, point: Point) -> State:
        """Rebuild a state at a revision, 0: at its present one."""
        log = LogId(point.state_id, point.incarnation)
        about = About(incarnation=point.incarnation)
        head = await self._store.head(log)
        state = await self.replay(State(point.state_id, about), lambda _: False, point.revision)
        whole = point.revision == 0
        if state.revision < min(point.revision, head.revision) or (whole and (state.revision, state.chain) != head):
            message = f"state {point.state_id!r}: the log ends at revision {state.revision}, its head says {head.revision}"
            raise CorruptRecordError(message)
        return state

    async def _find_others(self, need: OthersNeed) -> None:
        until, found = self._world.others_found.get(need) or Others(need.after, [])
        head = await self._store.head(need.log)
        while until < head.revision:
            rows = await self._store.read_log(need.log, until, PAGE)
            if not rows:
                break  # the state has been deleted meanwhile
            found = [*found, *written_by_others(need.log.state_id, rows)][-MAX_OTHERS:]
            until = rows[-1].revision
        # A revision of a batch that is not durable yet is not in the log; whoever waits for it has to ask again.
        self._world.others_found.put(need, Others(until, found))

    async def _revision_at(self, log: LogId, time: int) -> int:
        revision = 0
        while True:
            rows = await self._store.read_log(log, revision, PAGE)
            for row in rows:
                if decode_entry(row.entry).timestamp > time:
                    return revision
                revision = row.revision
            if not rows:
                return revision


def apply_rows(state: State, rows: Sequence[LogRow], visit: Callable[[list[Step]], bool]) -> tuple[State, bool]:
    """Apply a page of the log to a state, checking its chain; with it comes what ``visit`` says of the steps.

    Raises:
        CorruptRecordError: a revision does not match its chain.
    """
    steps: list[Step] = []
    for row in rows:
        try:
            entry = decode_entry(row.entry)
        except msgspec.DecodeError as error:
            raise _corrupt(state, row) from error
        if row.revision != state.revision + 1 or chain(state.chain, row.revision, entry) != row.chain:
            raise _corrupt(state, row)
        after = state.replay(entry, row.chain)
        steps.append(Step(entry, state.tree, after.tree))
        state = after
    return state, visit(steps)


def _corrupt(state: State, row: LogRow) -> CorruptRecordError:
    return CorruptRecordError(f"state {state.state_id!r}: revision {row.revision} does not match its checksum")
