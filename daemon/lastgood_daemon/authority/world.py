"""Everything durable that is in memory.

What is not in memory is not missing: asking for it raises ``NotLoadedError``, which names it; whoever catches that has the
``loader`` bring it and asks again. So commands and questions are plain functions that never wait.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from lastgood_daemon.authority.memory import BUDGET, LARGE, LEAST, PER_BYTE, PER_PART, Memory
from lastgood_daemon.authority.past import PastTrees
from lastgood_daemon.authority.sessions import Session
from lastgood_daemon.authority.versions import Versions
from lastgood_daemon.authority.workings import Workings
from lastgood_daemon.engine.errors import TimeUnavailableError
from lastgood_daemon.engine.freeing import take_apart
from lastgood_daemon.engine.labour import LONG_BYTES, LabourError
from lastgood_daemon.engine.log import Entry, Other, decode_row
from lastgood_daemon.engine.node import opened_bytes
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.trail import Mark, Trail
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import LogId, LogRow, RecordKey

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")


class StateNeed(msgspec.Struct, frozen=True):
    """A state, by its id. No tuple, as a need: that of a workflow with the same id would be equal to it."""

    state_id: str


class WorkflowNeed(msgspec.Struct, frozen=True):
    """A workflow, by its id."""

    workflow_id: str


class SessionNeed(msgspec.Struct, frozen=True):
    """A session, by its id."""

    session_id: str


class RetentionNeed(msgspec.Struct, frozen=True):
    """The policy that was set for an id; ``""``: the default."""

    owner: str


class TreeNeed(msgspec.Struct, frozen=True):
    """The content of a state at an earlier revision."""

    point: Point


class TimeNeed(msgspec.Struct, frozen=True):
    """The last revision of a state made at or before a time (microseconds)."""

    state_id: str
    incarnation: int
    time: int


class OthersNeed(msgspec.Struct, frozen=True):
    """Who has written the revisions of a log after one."""

    log: LogId
    after: int


class ReservedNeed(msgspec.Struct, frozen=True):
    """The turn to write into a state, which is reserved for another command."""

    state_id: str


@dataclass(frozen=True, slots=True)
class LabourNeed:
    """Work that is too long for the event loop. Two of one subject are the same."""

    subject: object = field(compare=False)
    work: Callable[[], object] = field(compare=False)
    identity: int
    states: Collection[str] = field(compare=False)
    """The ids of the states that it may be about."""

    @classmethod
    def of(cls, labour: LabourError, states: Collection[str] = ()) -> "LabourNeed":
        """Give the need that an error names."""
        return cls(labour.subject, labour.work, id(labour.subject), states)


Need = StateNeed | WorkflowNeed | SessionNeed | RetentionNeed | TreeNeed | TimeNeed | OthersNeed | ReservedNeed | LabourNeed


class NotLoadedError(Exception):
    """Something is not in memory; ``need`` names it."""

    def __init__(self, need: Need) -> None:
        super().__init__(need)
        self.need = need


class Others(NamedTuple):
    """What was found: the revisions of others, of which there may be more after ``until``."""

    until: int
    revisions: list[Other]


class Reader(Protocol):
    """What commands and questions read. Each raises ``NotLoadedError`` for what is not in memory."""

    def state(self, state_id: str) -> State:
        """Give a state."""
        ...

    def workflow(self, workflow_id: str) -> Workflow:
        """Give a workflow."""
        ...

    def retention(self, owner: str) -> Retention | None:
        """Give the policy that was set for an id (``""``: the default), if there is one."""
        ...

    def tree(self, point: Point) -> Tree:
        """Give the content of a state at a revision that it has reached."""
        ...

    def revision_at(self, state: State, time: int) -> int:
        """Give the last revision of a state made at or before a time."""
        ...


class Pinned:
    """Reads what it has read before, however that has changed since.

    For a question that needs long work: what is worked out for it is about the same content when it is asked again, so
    writers cannot keep it from being answered.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._states: dict[str, State] = {}
        self._workflows: dict[str, Workflow] = {}
        self._trees: dict[Point, Tree] = {}

    def state(self, state_id: str) -> State:
        """Return a state."""
        if state_id not in self._states:
            self._states[state_id] = self._reader.state(state_id)
        return self._states[state_id]

    def workflow(self, workflow_id: str) -> Workflow:
        """Return a workflow."""
        if workflow_id not in self._workflows:
            self._workflows[workflow_id] = self._reader.workflow(workflow_id)
        return self._workflows[workflow_id]

    def retention(self, owner: str) -> Retention | None:
        """Return the policy that was set for an id."""
        return self._reader.retention(owner)

    def tree(self, point: Point) -> Tree:
        """Return the content of a state at a revision."""
        if point not in self._trees:
            self._trees[point] = self._reader.tree(point)
        return self._trees[point]

    def revision_at(self, state: State, time: int) -> int:
        """Return the last revision of a state made at or before a time."""
        return self._reader.revision_at(state, time)


def asked(question: Callable[[Reader], T], world: Reader) -> T:
    """Ask a question.

    Raises:
        NotLoadedError: something must be brought, or worked out, first.
    """
    try:
        return question(world)
    except LabourError as labour:
        raise NotLoadedError(LabourNeed.of(labour)) from None


class ImageNote(NamedTuple):
    """Where in its log a state was last imaged, and how many bytes that image has."""

    log_bytes: int = 0
    size: int = 0


MAX_OTHERS = 1000
"""Revisions of others that a rollback tells about: the newest."""
_PARTS = frozenset({"snapshot", "checkpoint", "attempt", "effect"})
"""The kinds of records that are in memory with the state or the workflow that they belong to."""
MAX_SESSIONS = 4096
"""Sessions that are kept in memory; others are read again when they come back."""


class Recent(Generic[K, V]):
    """A bounded mapping that forgets what was not used for longest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Give a value; nothing where it is not there."""
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> list[K]:
        """Keep a value, and forget others where there are too many; gives the keys of those."""
        self._items[key] = value
        self._items.move_to_end(key)
        return [self._items.popitem(last=False)[0] for _ in range(len(self._items) - self._limit)]

    def pop(self, key: K) -> None:
        """Forget a value, if it is there."""
        self._items.pop(key, None)

    def names(self) -> list[K]:
        """Give the names of all that is there."""
        return list(self._items)

    def items(self) -> list[tuple[K, V]]:
        """Give all that is there."""
        return list(self._items.items())


class World:
    """See the module. Only the committer and the loader change it."""

    def __init__(self, budget: int = BUDGET, moment: Callable[[int], int] = lambda wall: wall) -> None:
        """``moment`` tells which moment of the store a time of the wall is."""
        self.memory = Memory(budget)
        self._moment = moment
        self.in_flight: set[str] = set()
        """What a batch that is being committed is about to change: it must not be dropped, and read anew, before that."""
        self.states: dict[str, State] = {}
        self.images: dict[LogId, ImageNote] = {}
        """The last images of the states that are in memory, where they have one."""
        self.workflows: dict[str, Workflow] = {}
        self.sessions: Recent[str, Session] = Recent(MAX_SESSIONS)
        self.retentions: dict[str, Retention | None] = {}
        """Policies; ``None``: it is known that there is none."""
        self.part_bytes: dict[str, int] = {}
        """How many bytes the snapshots of states, and the parts of workflows, have above ``PER_PART`` each."""
        self.workings = Workings()
        self._gone: list[Mark | Tree | bytes] = []
        self.versions = Versions()
        self.trees = PastTrees()
        """Earlier contents that were rebuilt from the log."""
        self.times: Recent[TimeNeed, int] = Recent(1024)
        self.others_found: Recent[OthersNeed, Others] = Recent(64)
        self.redacted: dict[LogId, int] = {}
        """Revisions of logs before which whatever was read, or is at work, may still have in it what was redacted."""

    def put_session(self, session_id: str, session: Session) -> None:
        """Have a session be as it is now."""
        for forgotten in self.sessions.put(session_id, session):
            self.versions.forget_session(forgotten)

    def forget_session(self, session_id: str) -> None:
        """Have a session be read anew."""
        self.sessions.pop(session_id)
        self.versions.forget_session(session_id)

    def forget_sessions(self) -> None:
        """Have all sessions read anew: some of their records are gone."""
        self.sessions = Recent(MAX_SESSIONS)
        self.versions.forget_sessions()

    def put(self, state: State) -> None:
        """Have a state be as it is now."""
        before = self.states.get(state.state_id)
        self.states[state.state_id] = state
        if before is not None:
            self._gone.extend(before.trail.left_behind(state.trail))
            if before.incarnation != state.incarnation:
                self._gone.append(before.tree)

    def spent(self, written: Iterable[bytes]) -> None:
        """Note entries and images that are written: whoever has them is soon done with them."""
        self._gone.extend(data for data in written if len(data) > LONG_BYTES)

    def let_go(self) -> None:
        """Have what takes long to let go of be freed elsewhere. To be called when nothing else refers to it any more."""
        if self._gone:
            self.workings.thread.submit(take_apart, self._gone)
            self._gone = []

    def weigh(self, name: str) -> None:
        """Note what the state and the workflow of an id weigh now."""
        state, workflow = self.states.get(name), self.workflows.get(name)
        weight, opened = LEAST, 0
        if state is not None:
            image = self.images.get(LogId(name, state.incarnation), ImageNote())
            size = image.size + state.log_bytes - image.log_bytes
            weight += PER_BYTE * size + PER_PART * len(state.snapshots)
            if size > LARGE:
                opened = opened_bytes(state.tree.root)
        if workflow is not None:
            weight += PER_PART * workflow.parts
        self.memory.weigh(name, weight + opened + self.part_bytes.get(name, 0), opened)

    def weigh_again(self) -> None:
        """Note what was used last weighs now: something large was opened for one of them."""
        for name in self.memory.used_last():
            self.weigh(name)

    def note_record(self, key: RecordKey, size: int) -> None:
        """Note how many bytes a record has, if it is a snapshot or a part of a workflow."""
        if key.kind in _PARTS and size > PER_PART:
            self.note_parts(key.owner, size - PER_PART)

    def note_parts(self, owner: str, size: int) -> None:
        """Note by how many bytes the snapshots of a state, or the parts of a workflow, are larger than ``PER_PART`` each."""
        self.part_bytes[owner] = self.part_bytes.get(owner, 0) + size

    def trim(self, now: int) -> None:
        """Drop what was not used for long, where there is too much in memory; it is read again when it is asked for."""
        for name in self.memory.surplus(now, lambda name: self._is_needed(name, now)):
            self.drop(name)

    def drop_idle(self, now: int) -> bool:
        """Drop what has much opened and was not used for a while; whether there was any."""
        names = [name for name in self.memory.idle(now) if not self._is_needed(name, now)]
        for name in names:
            self.drop(name)
        past = self.trees.idle()
        is_any = bool(names or past)
        self._gone.extend(past)
        del past
        self.let_go()
        return is_any

    def keep(self, point: Point, tree: Tree, size: int) -> None:
        """Keep an earlier content of so many bytes for a while."""
        self._gone.extend(self.trees.put(point, tree, size))
        self.let_go()

    def _is_needed(self, name: str, now: int) -> bool:
        workflow = self.workflows.get(name)
        return name in self.in_flight or (workflow is not None and workflow.progress.holds(now))

    def drop(self, name: str) -> None:
        """Drop the state and the workflow of an id from memory."""
        self.memory.forget(name)
        state = self.states.pop(name, None)
        self.workflows.pop(name, None)
        if state is not None:
            self.images.pop(LogId(name, state.incarnation), None)
            self._gone.extend((*state.trail.marks.values(), state.tree))
        self.retentions.pop(name, None)
        self.part_bytes.pop(name, None)
        self.versions.forget(name)

    def redact(self, log: LogId, revision: int, *, exact: bool) -> None:
        """Forget all that was read of a log before it was redacted.

        Args:
            log: which.
            revision: the one that it was redacted by.
            exact: whether the state in memory is what its log makes now, in every respect.
        """
        self.trees.forget(*log)
        self.images.pop(log, None)
        self.redacted[log] = revision
        if not exact:
            self.redacted[log] = revision + 1  # not to be imaged, but read anew
            self.drop(log.state_id)

    def state(self, state_id: str) -> State:
        """Give a state."""
        found = self.states.get(state_id)
        if found is None:
            raise NotLoadedError(StateNeed(state_id))
        self.memory.use(state_id)
        return found

    def workflow(self, workflow_id: str) -> Workflow:
        """Give a workflow."""
        found = self.workflows.get(workflow_id)
        if found is None:
            raise NotLoadedError(WorkflowNeed(workflow_id))
        self.memory.use(workflow_id)
        return found

    def session(self, session_id: str) -> Session:
        """Give a session."""
        found = self.sessions.get(session_id)
        if found is None:
            raise NotLoadedError(SessionNeed(session_id))
        return found

    def retention(self, owner: str) -> Retention | None:
        """Give the policy that was set for an id, if there is one."""
        if owner not in self.retentions:
            raise NotLoadedError(RetentionNeed(owner))
        return self.retentions[owner]

    def tree(self, point: Point) -> Tree:
        """Give the content of a state at a revision that it has reached."""
        state = self.state(point.state_id)
        if point.revision == 0:
            return EMPTY_TREE
        at_hand = state.trail.tree(point.revision) if state.incarnation == point.incarnation else None
        tree = at_hand or self.trees.get(point)
        if tree is None:
            raise NotLoadedError(TreeNeed(point))
        return tree

    def revision_at(self, state: State, time: int) -> int:
        """Give the last revision of a state made at or before a time."""
        time = self._moment(time)
        if time >= state.tree.timestamp:
            return state.revision
        if time < state.about.created_at:
            return 0
        kept = state.kept
        if time < kept.floor.timestamp:
            revision = kept.at(time)
            if revision is None:
                nearest = kept.nearest_in_time(time)
                raise TimeUnavailableError(state.state_id, kept.oldest, state.revision, nearest)
            return revision
        need = TimeNeed(state.state_id, state.incarnation, time)
        revision = self.times.get(need)
        if revision is None:
            raise NotLoadedError(need)
        return revision

    def others(self, log: LogId, after: int, until: int) -> list[Other]:
        """Give the revisions after one, up to another, that no attempt at the state's workflow has written."""
        state = self.state(log.state_id)
        trail = state.trail if state.incarnation == log.incarnation else Trail()
        far = min(until, trail.oldest - 1) if trail.oldest else until
        recent = trail.others(log.state_id, after, until)
        if after >= far:
            return recent
        # What is far is the same a moment later, so that nobody who goes on writing keeps a rollback waiting.
        need = OthersNeed(log, after)
        found = self.others_found.get(need)
        if found is None or found.until < far:
            raise NotLoadedError(need)
        return [other for other in found.revisions if other.revision <= far] + recent


def written_by_others(workflow_id: str, rows: Iterable[LogRow]) -> list[Other]:
    """Pick the revisions of a workflow's state that none of its attempts has written."""
    entries = [(row.revision, decode_row(row.entry)) for row in rows]
    return [
        Other(revision, entry.author.agent_id, entry.timestamp)
        for revision, entry in entries
        if isinstance(entry, Entry) and entry.author.workflow_id != workflow_id
    ]
