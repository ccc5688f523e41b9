"""The engine, driven by commands, against the plain model of ``model.py``; a property for each promise.

Any sequence of commands is evaluated as the committer would: each on a layer of its own over that of its batch; the
batch is made durable (here: on a ``Disk`` that checks every expectation) or thrown away as a whole; what is not in memory
is brought from the disk; and the daemon may restart at any time. The trail is kept short and the nodes of lists narrow, so
that a few commands reach what takes thousands of them in life. After every command:

* **content**: every state has the bytes of the model's tree, so values, types and the order of maps at every level;
* **last change**, for every path ever heard of. A path that exists changed last in the last revision that wrote to it,
  above it or below it. An equal value written over it is no write; a write that changed an ancestor as a whole is one,
  whatever it put here. A path that does not exist changed last when it was last removed; where nothing has ever been in
  this life of the state, in revision 0. What was there only between two edits of one revision has been there. Two things
  are left open, as ``tree`` and ``graves`` say: when items of a list go or move, any item of it, and any index that it
  has not, may count as changed; and a restore may count as a write to what lies in a list, or in a map whose names or
  whose order it changed, although the value there is the same. Never may a change go unnoticed;
* **earlier revisions** that are at hand are what they were;
* **workflows**: attempts, and checkpoints on their lines;
* **what a reader sees** while a batch is under way is what was durable before it.

In the end, and at each restart, everything is rebuilt from the bytes on the disk: the same contents, the same hashes, the
same last change of all paths in every revision; and the history of every path lists exactly the revisions in which the
model's value there (its types and the order of its maps included) differs from the one before.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast
from unittest import mock

import msgspec
import pytest
from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from immutables import Map
from tests.engine import model, strategies
from tests.engine.model import Everything, Life, Mark, PointOf, RefusalError, Value
from tests.engine.test_difference import applied

from lastgood_daemon.authority import questions, targets
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.resume import Resume
from lastgood_daemon.authority.commands.snapshots import DropSnapshot, TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState, Fork
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.layer import Layer, state_key, workflow_key
from lastgood_daemon.authority.outcomes import (
    CheckpointMade,
    CheckpointsDeleted,
    Outcome,
    Resumed,
    SnapshotTaken,
    Written,
    decode_outcome,
    encode_outcome,
)
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.authority.world import Need, NotLoadedError, StateNeed, TimeNeed, TreeNeed, WorkflowNeed, World
from lastgood_daemon.engine import edits, sequence, trail
from lastgood_daemon.engine.errors import (
    CheckpointNotFoundError,
    ConflictError,
    FencedError,
    RefusedError,
    RevisionUnavailableError,
    SnapshotNotFoundError,
    StateExistsError,
    StateNotFoundError,
)
from lastgood_daemon.engine.history import Step, seen_from
from lastgood_daemon.engine.log import Author, chain, decode_entry
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.restore import bridge_paths
from lastgood_daemon.engine.state import About, Snapshot, State
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.engine.workflow import Checkpoint, Progress, Workflow
from lastgood_daemon.store.protocol import LogId, LogRow, RecordKey, Unit
from lastgood_proto import values
from lastgood_proto.paths import Path

T = TypeVar("T")

STATES = ("wf", "x", "y")
MOSTLY = ("wf", "wf", "wf", "wf", "x", "y")
WORKFLOWS = ("wf", "x")
MOSTLY_ONE = ("wf", "wf", "wf", "x")
STEPS = (
    *("write",) * 12,
    *(
        "restore",
        "restore",
        "restore",
        "restore_paths",
        "restore_paths",
        "take_snapshot",
        "drop_snapshot",
        "fork",
        "delete_state",
    ),
    *("make_checkpoint", "work", "work", "resume", "resume", "delete_checkpoints"),
    *("look_back", "compare", "read_in_a_transaction"),
    *("batch_ends", "batch_ends", "restart", "time_passes"),
)
"""What a step may be, as often as it is to be done."""


class Disk:
    """What has been committed; refuses what does not fit it."""

    def __init__(self) -> None:
        self.logs: dict[LogId, list[LogRow]] = {}
        self.records: dict[RecordKey, tuple[bytes, int]] = {}

    def commit(self, unit: Unit) -> None:
        for append in unit.appends:
            rows = self.logs.setdefault(append.log, [])
            assert len(rows) == append.expected_head
            rows.extend(append.rows)
            assert [row.revision for row in rows] == list(range(1, len(rows) + 1))
        for key, value, expected_version in unit.writes:
            assert self.records.get(key, (b"", 0))[1] == expected_version
            if value is None:
                del self.records[key]
            else:
                self.records[key] = (value, expected_version + 1)
        for log in unit.drops:
            self.logs.pop(log, None)


class Librarian:
    """Brings what is not in memory from the disk, as ``loader`` does."""

    def __init__(self, disk: Disk, world: World) -> None:
        self._disk = disk
        self._world = world

    def bring(self, need: Need) -> bool:
        """Bring something, and say whether it was there to be brought."""
        world = self._world
        match need:
            case StateNeed(state_id):
                world.states[state_id] = self._state(state_id)
            case WorkflowNeed(workflow_id):
                world.workflows[workflow_id] = self._workflow(workflow_id)
            case TreeNeed(point):
                rows = self._disk.logs.get(LogId(point.state_id, point.incarnation), [])
                if len(rows) < point.revision:
                    return False
                world.trees.put(point, self.rebuilt(point.state_id, point.incarnation, point.revision)[-1].after)
            case TimeNeed(state_id, incarnation, time):
                rows = self._disk.logs.get(LogId(state_id, incarnation), [])
                times = [(decode_entry(row.entry).timestamp, row.revision) for row in rows]
                world.times.put(need, max((revision for timestamp, revision in times if timestamp <= time), default=0))
        return True

    def rebuilt(self, state_id: str, incarnation: int, until: int | None = None) -> list[Step]:
        """Replay a log from its bytes, checking its chain."""
        state = State(state_id, About(incarnation=incarnation))
        steps = []
        for row in self._disk.logs.get(LogId(state_id, incarnation), [])[:until]:
            entry = decode_entry(row.entry)
            assert chain(state.chain, row.revision, entry) == row.chain
            after = state.replay(entry, row.chain)
            steps.append(Step(entry, state.tree, after.tree))
            state = after
        self.last_rebuilt = state
        return steps

    def _record(self, key: RecordKey) -> bytes | None:
        value, version = self._disk.records.get(key, (None, 0))
        if version:
            self._world.versions[key] = version
        return value

    def _records(self, kind: str, owner: str) -> list[bytes]:
        keys = [key for key in self._disk.records if (key.kind, key.owner) == (kind, owner)]
        return [value for value in map(self._record, keys) if value is not None]

    def _state(self, state_id: str) -> State:
        record = self._record(state_key(state_id))
        about = About() if record is None else msgspec.msgpack.decode(record, type=About)
        self.rebuilt(state_id, about.incarnation)
        snapshots = [msgspec.msgpack.decode(record, type=Snapshot) for record in self._records("snapshot", state_id)]
        return replace(self.last_rebuilt, about=about, snapshots=Map({s.snapshot_id: s for s in snapshots}))

    def _workflow(self, workflow_id: str) -> Workflow:
        record = self._record(workflow_key(workflow_id))
        progress = Progress() if record is None else msgspec.msgpack.decode(record, type=Progress)
        checkpoints = [
            msgspec.msgpack.decode(record, type=Checkpoint) for record in self._records("checkpoint", workflow_id)
        ]
        return Workflow(workflow_id, progress, Map({checkpoint.order: checkpoint for checkpoint in checkpoints}))


class Answer:
    """What the model expects of a command: everything after it, and what to check of its outcome."""

    def __init__(self, after: Everything, **outcome: object) -> None:
        self.after = after
        self.outcome = outcome


class EngineMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.disk = Disk()
        self.world = World()
        self.librarian = Librarian(self.disk, self.world)
        self.batch: Layer | None = None
        self.model = Everything()
        self.durable = self.model
        self.now = 1_000
        self.fresh = 0

    @initialize(trail_length=st.sampled_from([1, 2, 5, 256]), width=st.sampled_from([2, 3, 32]))
    def configure(self, trail_length: int, width: int) -> None:
        self.cleanup.enter_context(mock.patch.object(trail, "MAX_REVISIONS", trail_length))
        self.cleanup.enter_context(mock.patch.object(sequence, "WIDTH", width))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Do something; one rule, so that hypothesis does not leave whole kinds of commands out of a run."""
        getattr(self, data.draw(st.sampled_from(STEPS)))(data)

    # The daemon around the commands.

    def time_passes(self, data: st.DataObject) -> None:
        if self.batch is None:
            self.now += data.draw(st.integers(-3, 10))

    def batch_ends(self, data: st.DataObject) -> None:
        if self.batch is None:
            self.batch = Layer(self.world)
        elif data.draw(st.integers(0, 2)):
            self.commit()
        else:
            self.batch = None
            self.model = self.durable

    def commit(self) -> None:
        assert self.batch is not None
        unit = self.batch.unit(self.world)
        if unit is not None:
            self.disk.commit(unit)
            self.batch.publish(self.world, unit)
        self.batch = None
        self.durable = self.model

    def restart(self, _: st.DataObject) -> None:
        if self.batch is not None:
            return
        self.check_the_disk()
        self.world = World()
        self.librarian = Librarian(self.disk, self.world)

    def teardown(self) -> None:
        try:
            if self.batch is not None:
                self.commit()
            self.check_the_disk()
        finally:
            self.cleanup.close()

    def ask(self, question: Callable[[Any], T], reader: World | None = None) -> T:
        """Ask as the loader does. What is not durable yet has to wait for the batch, as in the committer."""
        while True:
            try:
                return question(reader or self.batch or self.world)
            except NotLoadedError as missing:
                if not self.librarian.bring(missing.need):
                    assert reader is None
                    self.commit()
                    self.batch = Layer(self.world)

    def state(self, state_id: str, reader: World | None = None) -> State:
        return self.ask(lambda reader: cast("State", reader.state(state_id)), reader)

    def workflow(self, workflow_id: str, reader: World | None = None) -> Workflow:
        return self.ask(lambda reader: cast("Workflow", reader.workflow(workflow_id)), reader)

    def tree(self, point: Point) -> Tree:
        return self.ask(lambda reader: cast("Tree", reader.tree(point)))

    def run(self, command: Command, expected: Callable[[Everything], Answer]) -> Outcome | None:
        """Evaluate a command; ``expected`` is asked of the model, and gives an ``Answer`` or raises ``RefusalError``."""
        note(f"{self.now}: {command}")
        alone = self.batch is None
        if alone:
            self.batch = Layer(self.world)
        try:
            answer: Answer | None = expected(self.model)
            refusal = None
        except RefusalError as error:
            answer, refusal = None, error.kind
        event(f"{type(command).__name__} {'done' if refusal is None else refusal.__name__}")
        outcome: Outcome | None = None
        try:
            layer, outcome = self.ask(lambda batch: self._evaluated(Layer(batch), command))
        except RefusedError as error:
            note(f"  refused: {error}")
            if type(error) is not refusal:
                raise
        else:
            assert refusal is None, f"{outcome!r}, expected {refusal}"
            layer.merge_down()
            self._accept(answer, outcome)
        self._check_all()
        if alone:
            self.commit()
        return outcome

    def _evaluated(self, layer: Layer, command: Command) -> tuple[Layer, Outcome]:
        # Twice, because the committer may have to, too.
        first = command.evaluate(Layer(layer), self.now)
        outcome = command.evaluate(layer, self.now)
        assert outcome == first
        assert decode_outcome(encode_outcome(outcome)) == outcome
        return layer, outcome

    def _accept(self, answer: Answer | None, outcome: Outcome) -> None:
        assert answer is not None
        self.model = answer.after
        for name, value in answer.outcome.items():
            assert getattr(outcome, name) == value, name

    # What is promised of every state at any time.

    def _check_all(self) -> None:
        for state_id in STATES:
            self.check_state(state_id)
        for workflow_id in WORKFLOWS:
            self.check_workflow(workflow_id)

    @invariant()
    def readers_see_what_is_durable(self) -> None:
        if self.batch is not None:
            for state_id in STATES:
                state = self.state(state_id, self.world)
                life = self.durable.life(state_id)
                assert (state.incarnation, state.revision) == (life.incarnation, life.revision)
                assert state.tree.root.encoded() == life.revisions[-1].bytes_at[()]

    def check_state(self, state_id: str) -> None:
        state = self.state(state_id)
        life = self.model.life(state_id)
        assert (state.incarnation, state.revision) == (life.incarnation, life.revision)
        assert state.about.born == (life.revision > 0)
        assert [(s.snapshot_id, s.revision) for s in state.snapshots_in_order()] == list(life.snapshots)
        assert state.tree.timestamp == life.revisions[-1].timestamp
        for revision in range(max(0, life.revision - 6), life.revision):
            tree = state.trail.tree(revision)
            assert tree is None or tree.root.encoded() == life.revisions[revision].bytes_at[()]
        assert state.tree.root.encoded() == life.revisions[-1].bytes_at[()]
        for revision in range(1, life.revision + 1):
            if not life.revisions[revision].last_change:
                tree = self.tree(state.point(revision))
                self.check_last_changes(tree, life, revision)

    def check_last_changes(self, tree: Tree, life: Life, revision: int) -> None:
        now, before = life.revisions[revision], life.revisions[revision - 1]
        for path, there in now.bytes_at.items():
            actual = tree.last_change(path)
            known = before.last_change.get(path)
            if path in now.must:
                assert actual == revision, path
            elif known is None:  # it was in the middle of a long list until now
                assert actual > 0, path
            elif path in now.may:
                assert actual in {known, revision}, path
            else:
                assert actual == known, path
            assert actual > 0 or there is None or path == ()
            now.last_change[path] = actual

    def check_workflow(self, workflow_id: str) -> None:
        workflow = self.workflow(workflow_id)
        work = self.model.work(workflow_id)
        assert workflow.progress.attempt == work.attempt
        assert [_mark(c) for c in workflow.in_order()] == [mark for _, mark in sorted(work.marks.items())]
        assert _mark(workflow.latest()) == (work.live()[-1] if work.live() else None)
        assert _mark(workflow.last_good()) == work.last_good()
        for step in range(4):
            found = None
            with contextlib.suppress(CheckpointNotFoundError):
                found = workflow.of_step(step)
            assert _mark(found) == work.of_step(step)

    def check_the_disk(self) -> None:
        """Rebuild everything from bytes."""
        librarian = Librarian(self.disk, World())
        for state_id, life in self.durable.lives.items():
            steps = librarian.rebuilt(state_id, life.incarnation)
            assert len(steps) == life.revision
            for step, before, revision in zip(steps, life.revisions, life.revisions[1:], strict=False):
                self._check_replayed(step, before, revision)
        for state_id in STATES:
            state = self.state(state_id, self.world)
            rebuilt = librarian._state(state_id)  # noqa: SLF001 - its own module
            assert (rebuilt.chain, rebuilt.about, rebuilt.snapshots) == (state.chain, state.about, state.snapshots)
        for workflow_id in WORKFLOWS:
            workflow = self.workflow(workflow_id, self.world)
            assert librarian._workflow(workflow_id) == workflow  # noqa: SLF001 - its own module

    def _check_replayed(self, step: Step, before: model.Revision, revision: model.Revision) -> None:
        assert step.after.timestamp == revision.timestamp == step.entry.timestamp
        assert step.after.root.encoded() == revision.bytes_at[()]
        assert model.exactly(step.after.root.value(), revision.tree)
        assert seen_from(step, None) is not None
        for path, there in revision.bytes_at.items():
            if path in revision.last_change:
                assert step.after.last_change(path) == revision.last_change[path], path
            item = seen_from(step, path)
            was = before.bytes_at[path] if path in before.bytes_at else model.encoded(before.tree, path)
            assert (item is not None) == (there != was), f"revision {step.after.revision} in the history of {path}"
            if item is not None:
                assert (None if item.node is None else item.node.encoded()) == there
                assert item.operation in {edit.operation for edit in step.entry.edits}
                assert (item.path, item.revision) == (path, step.after.revision)

    # Drawing.

    def draw_path(self, data: st.DataObject, tree: object) -> Path:
        known = model.paths_of(tree)
        match data.draw(st.integers(0, 7)):
            case 0:
                return data.draw(strategies.paths)
            case 1 | 2:
                path = data.draw(st.sampled_from(known))
                return (*path, *data.draw(st.lists(strategies.names, min_size=1, max_size=2)))
            case _:
                return data.draw(st.sampled_from(known))

    def draw_author(self, data: st.DataObject) -> Author:
        agent_id = data.draw(st.sampled_from(["", "ann", "bob"]))
        if data.draw(st.booleans()):
            return Author(agent_id)
        workflow_id = data.draw(st.sampled_from(MOSTLY_ONE))
        behind = data.draw(st.sampled_from([0] * 12 + [1, 2, -1]))
        return Author(agent_id, workflow_id, max(0, self.model.work(workflow_id).attempt - behind))

    def draw_ref(self, data: st.DataObject, state_id: str | None = None) -> StateRef:
        state_id = state_id or data.draw(st.sampled_from(MOSTLY))
        stale = data.draw(st.integers(0, 15)) == 15
        return StateRef(
            state_id, data.draw(st.sampled_from([0, self.model.life(state_id).incarnation])) if not stale else 99
        )

    def draw_edit(
        self, data: st.DataObject, tree: Value, last: edits.Edit | None = None, began: object = model.MISSING
    ) -> tuple[str, edits.Edit]:
        """Draw an edit of a tree; often of the path of the last one, often with the value that was there to begin with."""
        path = self.draw_path(data, tree) if last is None or data.draw(st.booleans()) else last.path
        match data.draw(st.sampled_from(["set", "set", "set", "merge", "append", "increment", "delete", "delete"])):
            case "set" as operation:
                present = model.lookup(tree, path)
                known = [value for value in (present, model.lookup(began, path)) if value is not model.MISSING]
                equal_ish = [st.sampled_from(_twisted(value)) for value in known]
                new = strategies.values if path or data.draw(st.integers(0, 9)) == 9 else strategies.maps
                return operation, edits.Set(path, values.encode(data.draw(st.one_of(new, new, *equal_ish))))
            case "merge" as operation:
                return operation, edits.Merge(path, values.encode(data.draw(strategies.maps | strategies.values)))
            case "append" as operation:
                items = data.draw(st.lists(strategies.values, max_size=3))
                return operation, edits.Append(path, tuple(map(values.encode, items)))
            case "increment" as operation:
                return operation, edits.Increment(
                    path, values.encode(data.draw(st.sampled_from([1, -1, 0, 0.5, 2**62, True])))
                )
            case operation:
                return operation, edits.Delete(path)

    def draw_target(self, data: st.DataObject, state_id: str) -> tuple[targets.Target, Any]:
        """Draw a target, and how to find its content, its mark and its workflow in the model."""
        life = self.model.life(state_id)
        match data.draw(st.sampled_from(["revision", "revision", "point", "snapshot", "time", "checkpoint", "content"])):
            case "revision":
                revision = data.draw(st.integers(0, life.revision + (data.draw(st.integers(0, 9)) == 9)))
                return targets.Revision(revision), PointOf(state_id, life.incarnation, revision)
            case "point":
                other = data.draw(st.sampled_from(STATES))
                there = self.model.life(other)
                stale = there.incarnation > 1 and data.draw(st.booleans())
                point = PointOf(other, there.incarnation - stale, data.draw(st.integers(0, there.revision)))
                return Point(*point), point
            case "snapshot" if life.snapshots:
                _, revision = data.draw(st.sampled_from(life.snapshots))
                return Point(state_id, life.incarnation, revision), PointOf(state_id, life.incarnation, revision)
            case "time":
                time = data.draw(st.integers(self.now - 20, self.now + 1))
                return targets.Time(time), PointOf(state_id, life.incarnation, life.at_time(time))
            case "checkpoint":
                workflow_id = data.draw(st.sampled_from([state_id if state_id in WORKFLOWS else "wf", "wf", "x"]))
                orders = sorted(self.model.work(workflow_id).marks) or [(1, 0)]
                step, attempt = data.draw(st.sampled_from([*orders, *orders, (9, 9)]))
                return targets.CheckpointRef(workflow_id, step, attempt), (workflow_id, step, attempt)
            case _:
                content = data.draw(strategies.maps)
                return targets.Content(values.encode(content)), content

    # Commands.

    def write(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        tree = self.model.life(ref.state_id).tree
        began, edit = tree, None
        some: list[tuple[str, edits.Edit]] = []
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 2, 4]))):
            operation, edit = self.draw_edit(data, tree, edit, began)
            some.append((operation, edit))
            with contextlib.suppress(RefusalError):
                stage = model.perform(tree, edit)
                tree = tree if stage is None else stage.after
        precondition, author = self.draw_precondition(data, ref.state_id), self.draw_author(data)

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            _require_attempt(before, author)
            _require(life, precondition)
            stages = []
            tree = life.tree
            for _, edit in some:
                stage = model.perform(tree, edit)
                if stage is not None:
                    stages.append(stage)
                    tree = stage.after
            if not stages:
                return Answer(before, existed=False, point=Point(ref.state_id, life.incarnation, life.revision))
            life = life.wrote(stages, self.now)
            return Answer(
                before.with_life(ref.state_id, life),
                existed=True,
                number=_number(some, life.tree) if len(some) == 1 else mock.ANY,
                point=Point(ref.state_id, life.incarnation, life.revision),
            )

        outcome = self.run(Write(ref, author, precondition, tuple(some), 1), expected)
        assert outcome is None or isinstance(outcome, Written)

    def draw_precondition(self, data: st.DataObject, state_id: str) -> Precondition:
        life = self.model.life(state_id)
        match data.draw(st.integers(0, 7)):
            case 0:
                return Precondition(data.draw(st.integers(max(0, life.revision - 1), life.revision)))
            case 1 | 2 | 3:
                known = life.revisions[-1].last_change
                some = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=2))
                return Precondition(None, {p: max(0, known[p] + data.draw(st.sampled_from([0, 0, 0, -1, 1]))) for p in some})
            case _:
                return Precondition()

    def restore(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        target, content = self.draw_target(data, ref.state_id)
        author, precondition = self.draw_author(data), self.draw_precondition(data, ref.state_id)

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            _require_attempt(before, author)
            _require(life, precondition)
            tree, mark = _content(before, content)
            after = before.with_life(ref.state_id, life.restored(tree, self.now))
            if mark is not None and content[0] == ref.state_id:
                after = after.with_work(ref.state_id, before.work(ref.state_id).back_to(mark))
            return Answer(after, point=Point(ref.state_id, life.incarnation, life.revision + 1))

        was = self.model.life(ref.state_id).tree
        shown = None
        with contextlib.suppress(RefusedError):
            _, shown = self.ask(lambda reader: questions.preview_restore(reader, ref, target, ()))
        outcome = self.run(Restore(ref, author, precondition, target, (), 1), expected)
        if outcome is not None:
            assert shown is not None
            previewed = applied(was, shown)
            assert model.exactly(model.unordered(previewed), model.unordered(self.model.life(ref.state_id).tree))

    def restore_paths(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        target, content = self.draw_target(data, ref.state_id)
        try:
            tree, _ = _content(self.model, content)
        except RefusalError:
            return
        life = self.model.life(ref.state_id)
        paths = tuple(
            self.draw_path(data, data.draw(st.sampled_from([tree, life.tree]))) for _ in range(data.draw(st.integers(1, 3)))
        )

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            wanted = _with_paths_of(life.tree, tree, paths)
            # The places of names among the others are left open here; see below.
            state = self.ask(lambda reader: targets.find_state(reader, ref))
            found = self.ask(lambda reader: targets.find(reader, state, target))
            actual = state.tree
            for _, changes in bridge_paths(actual, found.root, paths):
                actual = actual.apply(changes, state.revision + 1)
            after: Any = actual.root.value()
            assert model.exactly(model.unordered(after), model.unordered(wanted))
            _check_places(life.tree, tree, after, paths)
            life = life.restored(after, self.now)
            return Answer(before.with_life(ref.state_id, life), point=Point(ref.state_id, life.incarnation, life.revision))

        self.run(Restore(ref, Author("ann"), Precondition(), target, paths, 1), expected)

    def fork(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        target, content = self.draw_target(data, ref.state_id)
        new_state_id = data.draw(st.sampled_from(STATES))

        def expected(before: Everything) -> Answer:
            _life(before, ref)
            tree, _ = _content(before, content)
            new = before.life(new_state_id)
            if new.revision or new.snapshots:
                raise RefusalError(StateExistsError)
            stage = model.Stage({}, tree, [model.Touch(())])
            after = before.with_life(new_state_id, new.wrote([stage], self.now))
            return Answer(after, point=Point(new_state_id, new.incarnation, 1))

        self.run(Fork(ref, Author(), target, new_state_id), expected)

    def delete_state(self, data: st.DataObject) -> None:
        ref, author = self.draw_ref(data), self.draw_author(data)

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            _require_attempt(before, author)
            if not life.revision and not life.snapshots:
                return Answer(before, existed=False)
            return Answer(before.with_life(ref.state_id, Life(life.incarnation + 1)), existed=True)

        if data.draw(st.booleans()):
            self.run(DeleteState(ref, author), expected)

    def take_snapshot(self, data: st.DataObject) -> None:
        ref, author = self.draw_ref(data), self.draw_author(data)
        self.fresh += 1
        snapshot_id = f"snapshot {self.fresh}"

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            _require_attempt(before, author)
            life = replace(life, snapshots=(*life.snapshots, (snapshot_id, life.revision)))
            return Answer(before.with_life(ref.state_id, life), point=Point(ref.state_id, life.incarnation, life.revision))

        outcome = self.run(TakeSnapshot(ref, author, snapshot_id, None, None, 1), expected)
        assert outcome is None or isinstance(outcome, SnapshotTaken)

    def drop_snapshot(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        snapshot_id = data.draw(st.sampled_from(["none such", *dict(self.model.life(ref.state_id).snapshots)]))

        def expected(before: Everything) -> Answer:
            life = _life(before, ref)
            kept = tuple(snapshot for snapshot in life.snapshots if snapshot[0] != snapshot_id)
            return Answer(
                before.with_life(ref.state_id, replace(life, snapshots=kept)), existed=len(kept) < len(life.snapshots)
            )

        if self.run(DropSnapshot(ref, Author(), snapshot_id), expected) is not None:
            state = self.state(ref.state_id)
            with pytest.raises(SnapshotNotFoundError):
                state.snapshot(snapshot_id)

    def work(self, data: st.DataObject) -> None:
        for _ in range(2):
            self.write(data)
            self.make_checkpoint(data)

    def make_checkpoint(self, data: st.DataObject) -> None:
        workflow_id, author = data.draw(st.sampled_from(MOSTLY_ONE)), self.draw_author(data)
        step, status = data.draw(st.integers(0, 2)), data.draw(st.sampled_from([3, 3, 3, 2, 4]))
        source: StateRef | Point | targets.Content
        self.fresh += 1
        copy_id = f"copy {self.fresh}"
        content = data.draw(strategies.maps)
        match data.draw(st.sampled_from(["state", "state", "point", "content"])):
            case "state":
                source = self.draw_ref(data, data.draw(st.sampled_from([workflow_id, workflow_id, "y"])))
            case "point":
                life = self.model.life(workflow_id)
                source = Point(workflow_id, life.incarnation, data.draw(st.integers(0, life.revision + 1)))
            case _:
                source = targets.Content(values.encode(content))

        def expected(before: Everything) -> Answer:
            _require_attempt(before, author)
            if isinstance(source, targets.Content):
                before = before.with_life(copy_id, Life().wrote([model.Stage({}, content, [model.Touch(())])], self.now))
                point = PointOf(copy_id, 1, 1)
            else:
                life = _life(before, StateRef(source.state_id, source.incarnation))
                revision = source.revision if isinstance(source, Point) else life.revision
                if revision > life.revision:
                    raise RefusalError(RevisionUnavailableError)
                point = PointOf(source.state_id, life.incarnation, revision)
            attempt = author.attempt if author.workflow_id == workflow_id else 0
            mark = Mark(step, attempt, status, point)
            return Answer(before.with_work(workflow_id, before.work(workflow_id).marked(mark)))

        outcome = self.run(MakeCheckpoint(workflow_id, step, author, status, source, None, None, copy_id, 1), expected)
        if outcome is not None:
            assert isinstance(outcome, CheckpointMade)
            point = outcome.checkpoint.point
            made_at = self.model.life(point.state_id).revisions[point.revision].timestamp
            assert (outcome.checkpoint.created_at, outcome.checkpoint.point_created_at) == (self.now, made_at)

    def delete_checkpoints(self, data: st.DataObject) -> None:
        workflow_id, step = data.draw(st.sampled_from(WORKFLOWS)), data.draw(st.sampled_from([0, 1, 2, None]))

        def expected(before: Everything) -> Answer:
            work = before.work(workflow_id)
            kept = {order: mark for order, mark in work.marks.items() if step is not None and order[0] != step}
            return Answer(before.with_work(workflow_id, replace(work, marks=kept)), existed=len(kept) < len(work.marks))

        outcome = self.run(DeleteCheckpoints(workflow_id, step, Author()), expected)
        assert isinstance(outcome, CheckpointsDeleted)

    def resume(self, data: st.DataObject) -> None:
        workflow_id, author = data.draw(st.sampled_from(MOSTLY_ONE)), self.draw_author(data)
        made = [mark.step for mark in self.model.work(workflow_id).marks.values()]
        step = data.draw(st.sampled_from([None, None, 0, 1, 2, *made]))
        initial = data.draw(st.none() | strategies.maps)

        def expected(before: Everything) -> Answer:
            _require_attempt(before, author)
            work, life = before.work(workflow_id), before.life(workflow_id)
            if work.began is None or work.began.incarnation != life.incarnation:
                if initial is not None:
                    life = life.wrote([model.Stage(life.tree, initial, [model.Touch(())])], self.now)
                work = replace(work, began=PointOf(workflow_id, life.incarnation, life.revision))
            work = replace(work, attempt=work.attempt + 1)
            mark = work.last_good() if step is None else work.of_step(step)
            if step is not None:
                if mark is None:
                    raise RefusalError(CheckpointNotFoundError)
                work = work.back_to(mark)
            assert work.began is not None
            tree, _ = _content(before.with_life(workflow_id, life), work.began if mark is None else mark.point)
            if values.encode(tree) != values.encode(life.tree):
                life = life.restored(tree, self.now)
            after = before.with_life(workflow_id, life).with_work(workflow_id, work)
            return Answer(after, attempt=work.attempt, point=Point(workflow_id, life.incarnation, life.revision))

        encoded = None if initial is None else values.encode(initial)
        outcome = self.run(Resume(workflow_id, author, step, encoded, 1), expected)
        if outcome is not None:
            assert isinstance(outcome, Resumed)
            work = self.model.work(workflow_id)
            assert _mark(outcome.checkpoint) == (work.last_good() if step is None else work.of_step(step))

    # Questions.

    def look_back(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        target, content = self.draw_target(data, ref.state_id)
        try:
            _life(self.model, ref)
            tree, _ = _content(self.model, content)
        except RefusalError as refusal:
            with pytest.raises(refusal.kind):
                self.ask(lambda reader: questions.read(reader, ref, (), target))
            return
        path = self.draw_path(data, tree)
        seen = self.ask(lambda reader: questions.read(reader, ref, path, target))
        assert (None if seen.node is None else seen.node.encoded()) == model.encoded(tree, path)
        if seen.node is not None:
            assert model.exactly(seen.node.value(), model.lookup(tree, path))
        _, keys = self.ask(lambda reader: questions.keys(reader, ref, path, target))
        found = model.lookup(tree, path)
        assert keys == (
            list(found) if type(found) is dict else [str(n) for n in range(len(found))] if type(found) is list else []
        )

    def compare(self, data: st.DataObject) -> None:
        ref = self.draw_ref(data)
        (old, was), (new, becomes) = self.draw_target(data, ref.state_id), self.draw_target(data, ref.state_id)
        try:
            _life(self.model, ref)
            (before, _), (after, _) = _content(self.model, was), _content(self.model, becomes)
        except RefusalError:
            return
        _, found = self.ask(lambda reader: questions.diff(reader, ref, old, new))
        assert model.exactly(model.unordered(applied(before, found)), model.unordered(after))

    def read_in_a_transaction(self, data: st.DataObject) -> None:
        ref = StateRef(data.draw(st.sampled_from(STATES)))
        tree = self.model.life(ref.state_id).tree
        some = []
        for _ in range(data.draw(st.integers(1, 3))):
            _, edit = self.draw_edit(data, tree)
            try:
                stage = model.perform(tree, edit)
            except RefusalError:
                continue
            some.append(edit)
            tree = tree if stage is None else stage.after
        path = self.draw_path(data, tree)
        seen = self.ask(lambda reader: questions.read(reader, ref, path, None, some))
        assert (None if seen.node is None else seen.node.encoded()) == model.encoded(tree, path)


# The model's side of it.


def _life(before: Everything, ref: StateRef) -> Life:
    life = before.life(ref.state_id)
    if ref.incarnation not in {0, life.incarnation}:
        raise RefusalError(StateNotFoundError)
    return life


def _require_attempt(before: Everything, author: Author) -> None:
    if author.workflow_id and before.work(author.workflow_id).attempt != author.attempt:
        raise RefusalError(FencedError)


def _require(life: Life, expected: Precondition) -> None:
    known = life.revisions[-1].last_change
    if expected.revision not in {None, life.revision} or any(known[p] > since for p, since in expected.paths.items()):
        raise RefusalError(ConflictError)


def _content(before: Everything, content: Value) -> tuple[Value, Mark | None]:
    """Give the content of a target, and the checkpoint that it was, or refuse."""
    mark = None
    if type(content) is dict:
        return content, None
    if not isinstance(content, PointOf):
        workflow_id, *order = content
        mark = before.work(workflow_id).marks.get(tuple(order))
        if mark is None:
            raise RefusalError(CheckpointNotFoundError)
        content = mark.point
    life = _life(before, StateRef(content.state_id, content.incarnation))
    if content.revision > life.revision:
        raise RefusalError(RevisionUnavailableError)
    return life.revisions[content.revision].tree, mark


def _number(some: list[tuple[str, edits.Edit]], tree: object) -> bytes | None:
    ((_, edit),) = some
    return model.encoded(tree, edit.path) if isinstance(edit, edits.Increment) else b""


def _twisted(value: Value) -> list[Value]:
    """Give values that are the same, or that Python takes for the same."""
    twisted = [value]
    if type(value) in {bool, int, float} and value in {0, 1}:
        twisted += [False, 0, 0.0, -0.0] if value == 0 else [True, 1, 1.0]
    if type(value) is dict:
        twisted += [dict(reversed(value.items())), {**value, "a": None}, dict(list(value.items())[1:])]
    if type(value) is list:
        twisted += [value[::-1], value[1:], [*value, None], value + value]
    return twisted


def _minimal(paths: tuple[Path, ...]) -> list[Path]:
    return [p for p in set(paths) if not any(p != other and p[: len(other)] == other for other in paths)]


def _with_paths_of(tree: Value, target: Value, paths: tuple[Path, ...]) -> Value:
    """Restore paths one by one: first what is put, items of lists from the front, then what goes, from the back."""
    by_index = sorted(
        _minimal(paths), key=lambda path: [(model.index_of(s) is None, model.index_of(s) or 0, s) for s in path]
    )
    for path in by_index:
        if model.lookup(target, path) is not model.MISSING:
            tree = model.put(tree, path, model.lookup(target, path), may_append=True)
    for path in reversed(by_index):
        if model.lookup(target, path) is model.MISSING:
            tree = model.remove(tree, path)
    return tree


def _check_places(before: Value, target: Value, after: Value, paths: tuple[Path, ...]) -> None:
    """What was restored has the order it had inside; what it lies in keeps its own."""
    for path in _minimal(paths):
        if model.lookup(target, path) is not model.MISSING and all(model.index_of(segment) is None for segment in path):
            assert model.encoded(after, path) == model.encoded(target, path)
    for path in model.paths_of(after):
        old, new = model.lookup(before, path), model.lookup(after, path)
        elsewhere = not any(path[: len(p)] == p for p in paths) and all(model.index_of(segment) is None for segment in path)
        if type(old) is dict and type(new) is dict and elsewhere:
            assert [name for name in old if name in new] == [name for name in new if name in old]


def _mark(checkpoint: Checkpoint | None) -> Mark | None:
    if checkpoint is None:
        return None
    c = checkpoint
    return Mark(c.step, c.attempt, c.status, PointOf(c.point.state_id, c.point.incarnation, c.point.revision), c.superseded)


TestModel = EngineMachine.TestCase
