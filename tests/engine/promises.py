"""What the engine promises, checked after every command; see ``test_model`` for what that is."""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from tests.engine import model
from tests.engine.disk import Daemon, Librarian
from tests.engine.model import Everything, Life, Mark, PointOf, RefusalError

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.world import World
from lastgood_daemon.engine import delta, sequence, trail
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.errors import CheckpointNotFoundError, RefusedError
from lastgood_daemon.engine.history import Step, seen_from
from lastgood_daemon.engine.tree import Tree

STATES = ("wf", "x", "y")
WORKFLOWS = ("wf", "x")


class Answer:
    """What the model expects of a command: everything after it, and what to check of its outcome."""

    def __init__(self, after: Everything, **outcome: object) -> None:
        self.after = after
        self.outcome = outcome


@contextlib.contextmanager
def eager_deltas() -> Iterator[None]:
    """Have deltas made of small values, too, and wherever they save a byte."""
    with mock.patch.object(delta, "SMALL_BYTES", 0), mock.patch.object(delta, "_size", lambda _, content: content):
        yield


class PromisesMachine(RuleBasedStateMachine):
    """A daemon and a model of it, which must not part."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.daemon = Daemon(self._on_commit)
        self.model = Everything()
        self.durable = self.model
        self.now = 1_000

    @initialize(trail_length=st.sampled_from([1, 2, 5, 256]), width=st.sampled_from([2, 3, 32]), eager=st.booleans())
    def configure(self, trail_length: int, width: int, *, eager: bool) -> None:
        self.cleanup.enter_context(mock.patch.object(trail, "MAX_REVISIONS", trail_length))
        self.cleanup.enter_context(mock.patch.object(sequence, "WIDTH", width))
        if eager:
            self.cleanup.enter_context(eager_deltas())

    def _on_commit(self) -> None:
        self.durable = self.model

    # The daemon around the commands.

    def time_passes(self, data: st.DataObject) -> None:
        if self.daemon.batch is None:
            self.now += data.draw(st.integers(-3, 10))

    def batch_ends(self, data: st.DataObject) -> None:
        if self.daemon.batch is None:
            self.daemon.begin()
        elif data.draw(st.integers(0, 2)):
            self.daemon.commit()
        else:
            self.daemon.batch = None
            self.model = self.durable

    def image(self, data: st.DataObject) -> None:
        """Have a state imaged, which any later revision of it is then brought back from."""
        if self.daemon.batch is None and self.daemon.world.states:
            state = self.daemon.world.states[data.draw(st.sampled_from(sorted(self.daemon.world.states)))]
            if state.about.born:
                self.daemon.disk.image(state)

    def restart(self, _: st.DataObject) -> None:
        if self.daemon.batch is not None:
            return
        self.check_the_disk()
        self.daemon.restart()

    def teardown(self) -> None:
        try:
            if self.daemon.batch is not None:
                self.daemon.commit()
            self.check_the_disk()
        finally:
            self.cleanup.close()

    def run(self, command: Command, expected: Callable[[Everything], Answer]) -> Outcome | None:
        """Evaluate a command; ``expected`` is asked of the model, and gives an ``Answer`` or raises ``RefusalError``."""
        note(f"{self.now}: {command}")
        alone = self.daemon.batch is None
        if alone:
            self.daemon.begin()
        try:
            answer: Answer | None = expected(self.model)
            refusal = None
        except RefusalError as error:
            answer, refusal = None, error.kind
        event(f"{type(command).__name__} {'done' if refusal is None else refusal.__name__}")
        outcome: Outcome | None = None
        try:
            layer, outcome = self.daemon.evaluate(command, self.now)
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
            self.daemon.commit()
        return outcome

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
        if self.daemon.batch is not None:
            for state_id in STATES:
                state = self.daemon.state(state_id, self.daemon.world)
                life = self.durable.life(state_id)
                assert (state.incarnation, state.revision) == (life.incarnation, life.revision)
                assert state.tree.root.encoded() == life.revisions[-1].bytes_at[()]

    def check_state(self, state_id: str) -> None:
        state = self.daemon.state(state_id)
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
                tree = self.daemon.tree(state.point(revision))
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
        workflow = self.daemon.workflow(workflow_id)
        work = self.model.work(workflow_id)
        assert workflow.progress.attempt == work.attempt
        assert [mark_of(c) for c in workflow.in_order()] == [mark for _, mark in sorted(work.marks.items())]
        assert mark_of(workflow.latest()) == (work.live()[-1] if work.live() else None)
        assert mark_of(workflow.last_good()) == work.last_good()
        for step in range(4):
            found = None
            with contextlib.suppress(CheckpointNotFoundError):
                found = workflow.of_step(step)
            assert mark_of(found) == work.of_step(step)

    def check_the_disk(self) -> None:
        """Rebuild everything from bytes."""
        librarian = Librarian(self.daemon.disk, World())
        for state_id, life in self.durable.lives.items():
            steps = librarian.rebuilt(state_id, life.incarnation)
            assert len(steps) == life.revision
            for step, before, revision in zip(steps, life.revisions, life.revisions[1:], strict=False):
                self._check_replayed(step, before, revision)
        for state_id in STATES:
            state = self.daemon.state(state_id, self.daemon.world)
            rebuilt = librarian.state(state_id)
            assert (rebuilt.chain, rebuilt.about, rebuilt.snapshots) == (state.chain, state.about, state.snapshots)
        for workflow_id in WORKFLOWS:
            workflow = self.daemon.workflow(workflow_id, self.daemon.world)
            assert librarian.workflow(workflow_id) == workflow

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


def mark_of(checkpoint: Checkpoint | None) -> Mark | None:
    """Give a checkpoint as the model has it."""
    if checkpoint is None:
        return None
    c = checkpoint
    return Mark(c.step, c.attempt, c.status, PointOf(c.point.state_id, c.point.incarnation, c.point.revision), c.superseded)
