"""What a batch of commands is about to make of the world, before it is durable.

Layers lie on each other: one for the batch over the world, one for each command over the batch. A command that is refused,
or that finds something missing, leaves nothing behind because its layer is thrown away; one that succeeds is merged down.
When the batch is durable its layer is merged into the world; when it is not, it is thrown away as a whole.

Nothing else ever holds what is not durable, so no reader can see it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import msgspec

from lastgood_daemon.authority.session_records import changes_of
from lastgood_daemon.authority.sessions import Session
from lastgood_daemon.authority.workings import Workings
from lastgood_daemon.authority.world import NotLoadedError, ReservedNeed, World, written_by_others
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.log import SQUASHED, Author, LoggedEdit, Other, Squash, decode_row
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import About, Made, Snapshot, State, counted, made
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import Append, LogId, LogRow, RecordKey, RecordWrite, Rename, Rewrite, Unit

_encode = msgspec.msgpack.Encoder().encode

T = TypeVar("T")


def state_key(state_id: str) -> RecordKey:
    """Name the record of ``About``."""
    return RecordKey("state", state_id, "")


def kept_key(state_id: str, incarnation: int) -> RecordKey:
    """Name the record of ``Kept``."""
    return RecordKey("kept", state_id, str(incarnation))


def snapshot_key(state_id: str, snapshot_id: str) -> RecordKey:
    """Name the record of a snapshot."""
    return RecordKey("snapshot", state_id, snapshot_id)


def workflow_key(workflow_id: str) -> RecordKey:
    """Name the record of ``Progress``."""
    return RecordKey("workflow", workflow_id, "")


def checkpoint_key(workflow_id: str, order: tuple[int, int]) -> RecordKey:
    """Name the record of a checkpoint, so that the keys are in the order of steps and attempts."""
    return RecordKey("checkpoint", workflow_id, f"{order[0]:020d}/{order[1]:020d}")


def effect_key(workflow_id: str, order: tuple[int, str, int]) -> RecordKey:
    """Name the record of an effect, likewise."""
    step, key, line = order
    return RecordKey("effect", workflow_id, f"{step:020d}/{line:020d}/{key}")


def attempt_key(workflow_id: str, number: int) -> RecordKey:
    """Name the record of an attempt, likewise."""
    return RecordKey("attempt", workflow_id, f"{number:020d}")


Part = Checkpoint | Effect | Attempt
"""What belongs to a workflow and is a record of its own."""


def part_key(workflow_id: str, part: Part) -> RecordKey:
    """Name the record of a part of a workflow."""
    match part:
        case Checkpoint():
            return checkpoint_key(workflow_id, part.order)
        case Effect():
            return effect_key(workflow_id, part.order)
        case Attempt():
            return attempt_key(workflow_id, part.number)


def retention_key(owner: str) -> RecordKey:
    """Name the record of a policy."""
    return RecordKey("retention", owner, "")


class Rewritten(NamedTuple):
    """A log that is redacted, by which revision, and whether the state is exactly what the log makes now."""

    rewrite: Rewrite
    revision: int
    exact: bool


class Staged(msgspec.Struct):
    """What a layer holds: the new versions of things, and what the store is to write for them."""

    states: dict[str, State] = {}
    workflows: dict[str, Workflow] = {}
    sessions: dict[str, Session] = {}
    retentions: dict[str, Retention | None] = {}
    rows: dict[LogId, list[LogRow]] = {}
    records: dict[RecordKey, bytes | None] = {}
    renames: list[Rename] = []
    drops: list[LogId] = []
    rewrites: list[Rewritten] = []

    def absorb(self, later: "Staged") -> None:
        """Take over what was staged after this."""
        self.states.update(later.states)
        self.workflows.update(later.workflows)
        self.sessions.update(later.sessions)
        self.retentions.update(later.retentions)
        self.records.update(later.records)
        self.renames += later.renames
        self.drops += later.drops
        self.rewrites += later.rewrites
        for log, rows in later.rows.items():
            self.rows.setdefault(log, []).extend(rows)


class Layer:
    """See the module."""

    def __init__(self, below: "Layer | World", command: object = None) -> None:
        self._below = below
        self._command = command
        self.workings: Workings = below.workings
        self.staged = Staged()
        self.asked: set[str] = set()
        """The ids of the states that it was asked for."""

    # Reading, through to the world.

    def state(self, state_id: str) -> State:
        """Give a state."""
        self.asked.add(state_id)
        return self.staged.states.get(state_id) or self._below.state(state_id)

    def workflow(self, workflow_id: str) -> Workflow:
        """Give a workflow."""
        return self.staged.workflows.get(workflow_id) or self._below.workflow(workflow_id)

    def session(self, session_id: str) -> Session:
        """Give a session."""
        return self.staged.sessions.get(session_id) or self._below.session(session_id)

    def retention(self, owner: str) -> Retention | None:
        """Give the policy that was set for an id, if there is one."""
        return self.staged.retentions[owner] if owner in self.staged.retentions else self._below.retention(owner)

    def tree(self, point: Point) -> Tree:
        """Give the content of a state at a revision that it has reached."""
        mine = self.staged.states.get(point.state_id)
        tree = mine.trail.tree(point.revision) if mine is not None and mine.incarnation == point.incarnation else None
        return tree or self._below.tree(point)

    def revision_at(self, state: State, time: int) -> int:
        """Give the last revision of a state made at or before a time."""
        return self._below.revision_at(state, time)

    def others(self, log: LogId, after: int, until: int) -> list[Other]:
        """Give the revisions after one, up to another, that no attempt at the state's workflow has written."""
        mine = [row for row in self.staged.rows.get(log, []) if after < row.revision <= until]
        below = self._below.others(log, after, min(until, mine[0].revision - 1) if mine else until)
        return below + written_by_others(log.state_id, mine)

    # Writing.

    def append(self, state: State, edits: Sequence[LoggedEdit], author: Author, now: int) -> State:
        """Make the next revision of a state."""
        return self.put(state, self.made(state, author, lambda: made(state, edits, author, now)))

    def made(self, state: State, author: Author, work: Callable[[], T], *others: object) -> T:
        """Return what is worked out from the content of a state, for an author, and from others; see ``Workings``."""
        built_on = (state.state_id, state.incarnation, state.chain, state.tree.root, author, *others)
        return self.workings.of(self._command, built_on, work)

    def put(self, state: State, made: Made) -> State:
        """Put the next revision of a state, worked out from its present content, there."""
        self._take_turn(state)
        after = state.moved_on(made.mark, made.chain, counted(len(made.entry)))
        if not state.about.born:
            self.staged.records[state_key(state.state_id)] = _encode(after.about)
        row = LogRow(after.revision, made.entry, after.chain)
        self.staged.rows.setdefault(LogId(state.state_id, state.incarnation), []).append(row)
        self.staged.states[state.state_id] = after
        return after

    def _take_turn(self, state: State) -> None:
        """Raise ``NotLoadedError`` where a state is reserved for another command."""
        if self.workings.is_reserved(state.state_id, self._command):
            raise NotLoadedError(ReservedNeed(state.state_id))

    def lay(self, state: State, rows: Sequence[LogRow]) -> None:
        """Put rows that were made elsewhere at the end of a log; ``state`` is what is there after them."""
        self._take_turn(state)
        if not self.state(state.state_id).about.born:
            self.staged.records[state_key(state.state_id)] = _encode(state.about)
        self.staged.rows.setdefault(LogId(state.state_id, state.incarnation), []).extend(rows)
        self.staged.states[state.state_id] = state

    def rename(self, state: State, to: State, about: About) -> State:
        """Have a state that nobody knows become another, which has no content: with its log, under what is said about it."""
        self._take_turn(to)
        if state.about.born:
            self.staged.renames.append(Rename(LogId(state.state_id, state.incarnation), LogId(to.state_id, to.incarnation)))
            self.staged.records[state_key(state.state_id)] = None
            self.staged.states[state.state_id] = State(state.state_id, About(incarnation=state.incarnation + 1))
        after = replace(state, state_id=to.state_id, about=about)
        self.staged.records[state_key(to.state_id)] = _encode(about)
        self.staged.states[to.state_id] = after
        return after

    def bury(self, state: State) -> None:
        """Delete a state with all that belongs to it."""
        self._take_turn(state)
        after = state.buried()
        self.staged.records[state_key(state.state_id)] = _encode(after.about)
        for snapshot_id in state.snapshots:
            self.staged.records[snapshot_key(state.state_id, snapshot_id)] = None
        self.staged.records[kept_key(state.state_id, state.incarnation)] = None
        self.staged.drops.append(LogId(state.state_id, state.incarnation))
        self.staged.states[state.state_id] = after

    def rewrite(self, state: State, rewrite: Rewrite, *, exact: bool) -> None:
        """Have the log of a state, which has just been redacted, be rewritten."""
        self.staged.rewrites.append(Rewritten(rewrite, state.revision, exact))

    def put_kept(self, state: State, kept: Kept) -> None:
        """Have all revisions of a state but these be gone."""
        self.staged.records[kept_key(state.state_id, state.incarnation)] = _encode(kept)
        self.staged.states[state.state_id] = replace(state, kept=kept)

    def erase(self, state: State) -> None:
        """Delete a state without a tombstone, which nobody needs of a copy: its id is never used again."""
        self.bury(state)
        self.staged.records[state_key(state.state_id)] = None

    def note_reference(self, state: State, now: int) -> None:
        """Note that a checkpoint has been made of a state; see ``About.referred_at``."""
        about = msgspec.structs.replace(state.about, referred_at=now)
        self.staged.records[state_key(state.state_id)] = _encode(about)
        self.staged.states[state.state_id] = replace(state, about=about)

    def put_snapshot(self, state: State, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.staged.records[snapshot_key(state.state_id, snapshot.snapshot_id)] = _encode(snapshot)
        self.staged.states[state.state_id] = state.with_snapshots([snapshot])

    def drop_snapshot(self, state: State, snapshot_id: str) -> None:
        """Forget a snapshot."""
        self.staged.records[snapshot_key(state.state_id, snapshot_id)] = None
        self.staged.states[state.state_id] = replace(state, snapshots=state.snapshots.delete(snapshot_id))

    def put_workflow(self, workflow: Workflow, now: int, changed: Iterable[Part] = (), gone: Iterable[Part] = ()) -> None:
        """Keep a workflow, of whose parts these have changed or gone."""
        workflow_id = workflow.workflow_id
        workflow = replace(workflow, progress=msgspec.structs.replace(workflow.progress, updated_at=now))
        self.staged.records[workflow_key(workflow_id)] = _encode(workflow.progress)
        for part in changed:
            self.staged.records[part_key(workflow_id, part)] = _encode(part)
        for part in gone:
            self.staged.records[part_key(workflow_id, part)] = None
        self.staged.workflows[workflow_id] = workflow

    def bury_workflow(self, workflow: Workflow) -> None:
        """Delete a workflow with all its parts."""
        workflow_id, after = workflow.workflow_id, workflow.buried()
        parts: list[Part] = [*workflow.checkpoints.values(), *workflow.attempts.values(), *workflow.all_effects()]
        for part in parts:
            self.staged.records[part_key(workflow_id, part)] = None
        self.staged.records[workflow_key(workflow_id)] = _encode(after.progress)
        self.staged.workflows[workflow_id] = after

    def put_retention(self, owner: str, retention: Retention | None) -> None:
        """Set a policy, or remove it."""
        self.staged.records[retention_key(owner)] = None if retention is None else _encode(retention)
        self.staged.retentions[owner] = retention

    def own_session(self, session_id: str) -> Session:
        """Give a session to record answers in: a copy of the layer's own."""
        own = self.staged.sessions.get(session_id)
        if own is None:
            own = self.staged.sessions[session_id] = self._below.session(session_id).copy()
        return own

    # Going down.

    def merge_down(self) -> None:
        """Make all of this part of the layer below."""
        if not isinstance(self._below, Layer):
            message = "the lowest layer becomes part of the world by publish()"
            raise TypeError(message)
        self._below.staged.absorb(self.staged)

    def unit(self, world: World) -> Unit | None:
        """Give what the store has to commit for this layer, the lowest; nothing where there is nothing."""
        records = dict(self.staged.records)
        for session_id, session in self.staged.sessions.items():
            records.update(changes_of(session_id, session))
        staged = self.staged
        if not (records or staged.rows or staged.renames or staged.drops or staged.rewrites):
            return None
        return Unit(
            appends=[_append(log, rows) for log, rows in self.staged.rows.items()],
            writes=[
                RecordWrite(key, value, world.versions.get(key))
                for key, value in records.items()
                if value is not None or world.versions.get(key)
            ],
            renames=self.staged.renames,
            drops=self.staged.drops,
            rewrites=[each.rewrite for each in self.staged.rewrites],
        )

    @property
    def names(self) -> set[str]:
        """The ids of the states and workflows that it changes."""
        return {*self.staged.states, *self.staged.workflows}

    def forget(self, world: World) -> None:
        """Have the world read anew what this layer, the lowest, builds on."""
        for name in self.names:
            world.drop(name)
        for session_id in self.staged.sessions:
            world.forget_session(session_id)
        for owner in self.staged.retentions:
            world.retentions.pop(owner, None)
        for key in self.staged.records:
            world.versions.pop(key)

    def publish(self, world: World, unit: Unit) -> None:
        """Make this layer, the lowest, part of the world, now that its unit is durable."""
        for log, to in self.staged.renames:
            note = world.images.pop(log, None)
            if note is not None:
                world.images[to] = note
        for state in self.staged.states.values():
            world.put(state)
        world.workflows.update(self.staged.workflows)
        world.retentions.update(self.staged.retentions)
        evicted = [session_id for session_id in self.staged.sessions if world.sessions.get(session_id) is None]
        for session_id, session in self.staged.sessions.items():
            session.changed.clear()
            world.put_session(session_id, session)
        for write in unit.writes:
            if write.value is None:
                world.versions.pop(write.key)
            else:
                world.versions.put(write.key, write.expected_version + 1)
                world.note_record(write.key, len(write.value))
        for session_id in evicted:  # meanwhile, and with it the versions of the records that this does not write
            world.forget_session(session_id)
        for rewrite, revision, exact in self.staged.rewrites:
            world.redact(rewrite.log, revision, exact=exact)
        for name in self.names:
            world.weigh(name)


def _append(log: LogId, rows: Sequence[LogRow]) -> Append:
    """Give what is to be appended; a squashed delta says itself what it follows on."""
    first = decode_row(rows[0].entry) if rows[0].entry.startswith(SQUASHED) else None
    before = first.before if isinstance(first, Squash) else rows[0].revision - 1
    return Append(log, before, rows, squashed=any(row.entry.startswith(SQUASHED) for row in rows))
