"""Redactions, held up anywhere, of a text that is leaked into everything; see ``test_storage_model``."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import initialize
from tests.authority.redaction_model import Swap, has_text, redacted
from tests.authority.remains import remains
from tests.authority.slow_reads import ReadsMachine
from tests.engine import strategies
from tests.engine.model import Everything, Life, Mark, PointOf, Stage, Touch, Value
from tests.engine.promises import STATES, Answer

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import Fork
from lastgood_daemon.authority.outcomes import Outcome, Redacted
from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.authority.targets import CheckpointRef, Content, StateRef
from lastgood_daemon.engine import edits
from lastgood_daemon.engine.errors import NotRedactableError, RefusedError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.store.protocol import StoreBrokenError
from lastgood_proto import values

SECRET = "sk-123"  # noqa: S105
BY = ("[redacted]", "[redacted]", "[gone]", "a")
"""What is put in its place; the last is the name and the value of much else."""
LEAKS = (
    SECRET,
    f"my {SECRET}",
    SECRET.encode(),
    [0, SECRET, "a"],
    {"a": SECRET, "b": 1},
    {"a": {"b": [[SECRET]]}},
    "a",
    ["a"],
)
NAMED = ({SECRET: 1}, {"a": {f"x{SECRET}": {"b": 2}}}, [{SECRET: SECRET}])

Note = tuple[str | None, bytes | None]
"""What was said with a snapshot or a checkpoint: a label, and metadata."""
NOTHING: Note = (None, None)
Named = tuple[str, object]
"""Whose it is, and which."""


class RedactionsMachine(ReadsMachine):
    """Takes a text out again that was written everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.named = False
        self.notes: dict[Named, Note] = {}
        self.command: Command | None = None
        self.swap = Swap(SECRET, "")
        self.of = ""
        """Which state is being redacted, if one is."""
        self.disturbed = False
        self.copies_then: set[str] = set()
        self.done: Everything | None = None
        """What the last one has left."""

    @initialize(names=st.sampled_from([False, False, True]))
    def leak_names(self, *, names: bool) -> None:
        """Have it be in names of maps, too; where one is in a path, it cannot be replaced until that is compacted."""
        self.named = names

    # What leaks.

    def draw_edit(
        self, data: st.DataObject, tree: Value, last: edits.Edit | None = None, began: object = None
    ) -> tuple[str, edits.Edit]:
        operation, edit = super().draw_edit(data, tree, last, began)
        if operation in {"set", "append"} and data.draw(st.integers(0, 2)) == 0:
            leaked = values.encode(data.draw(st.sampled_from(LEAKS + NAMED * self.named)))
            return (
                (operation, edits.Append(edit.path, (leaked,)))
                if operation == "append"
                else ("set", edits.Set(edit.path, leaked))
            )
        return operation, edit

    def leak(self, data: st.DataObject) -> None:
        """Say it with a snapshot, or with a checkpoint of a content that has it."""
        self.fresh += 1
        state_id, said = data.draw(st.sampled_from(["wf", "wf", "x"])), values.encode({"said": f"it is {SECRET}"})
        if data.draw(st.booleans()):
            snapshot_id = f"snapshot {self.fresh}"

            def taken(before: Everything) -> Answer:
                life = before.life(state_id)
                return Answer(
                    before.with_life(state_id, replace(life, snapshots=(*life.snapshots, (snapshot_id, life.revision))))
                )

            self.run(TakeSnapshot(StateRef(state_id), Author("ann"), snapshot_id, SECRET, said, 1), taken)
            return
        copy_id, step = f"copy {self.fresh}", data.draw(st.integers(0, 1))
        content = {**data.draw(strategies.maps), "leaked": data.draw(st.sampled_from(LEAKS))}

        def made(before: Everything) -> Answer:
            after = before.with_life(copy_id, Life().wrote([Stage({}, content, [Touch(())])], self.now))
            mark = Mark(step, 0, 3, PointOf(copy_id, 1, 1))
            return Answer(after.with_work(state_id, after.work(state_id).marked(mark)))

        source = Content(values.encode(content))
        self.run(MakeCheckpoint(state_id, step, Author("ann"), 3, source, None, said, copy_id, 1), made)

    # What was said.

    def run(self, command: Command, expected: Callable[[Everything], Answer]) -> Outcome | None:
        self.command = command
        try:
            return super().run(command, expected)
        finally:
            self.command = None

    def accept(self, after: Everything) -> None:
        self.notes.update(self.said(after))
        super().accept(after)

    def said(self, after: Everything) -> dict[Named, Note]:
        """Give what the command under way says."""
        match self.command:
            case TakeSnapshot() as taken:
                return {(taken.state.state_id, taken.snapshot_id): (taken.label, taken.metadata)}
            case MakeCheckpoint() as made:
                attempt = made.author.attempt if made.author.workflow_id == made.workflow_id else 0
                return {(made.workflow_id, (made.step, attempt)): (None, made.metadata)}
            case Fork(ref, _, CheckpointRef(workflow_id, step, attempt), new) if ref.state_id == workflow_id:
                known = self.model.work(new).marks
                there = self.notes.get((workflow_id, (step, attempt)), NOTHING)
                return {(new, order): there for order in after.work(new).marks if order not in known or order[1] == 0}
            case _:
                return {}

    def is_there(self, after: Everything) -> bool:
        """Also whether it says now what it was to say: all else of a checkpoint may be as before."""
        return super().is_there(after) and all(self.notes_of(of[0]).get(of) == note for of, note in self.said(after).items())

    def notes_of(self, state_id: str) -> dict[Named, Note]:
        snapshots = self.daemon.state(state_id).snapshots_in_order()
        found: dict[Named, Note] = {(state_id, each.snapshot_id): (each.label, each.metadata) for each in snapshots}
        for checkpoint in self.daemon.workflow(state_id).in_order():
            found[state_id, checkpoint.order] = (None, checkpoint.metadata)
        return found

    def check_everything(self, *, some: bool = False) -> None:
        super().check_everything(some=some)
        for state_id in STATES:
            for of, said in self.notes_of(state_id).items():
                assert said == self.notes.get(of, NOTHING), of

    # Redactions.

    def redact(self, data: st.DataObject) -> None:
        """Redact a state, or begin to and be held up somewhere; or redact all, one after the other."""
        self.finish("redaction")
        if self.daemon.authority.housekeeper.compacting.locked():
            self.finish("round")
        self.now += 1
        self.store.time = self.now
        swap = Swap(SECRET, data.draw(st.sampled_from(BY)))
        if data.draw(st.booleans()):
            for state_id in STATES:
                self.begin_redaction(state_id, swap, 0)
        else:
            steps = data.draw(st.sampled_from([0, 0, *range(1, 20), 30, 40, 60]))
            self.begin_redaction(data.draw(st.sampled_from(["wf", "wf", "x", "y"])), swap, steps)

    def begin_redaction(self, state_id: str, swap: Swap, steps: int) -> None:
        if self.store.crashed:
            return
        note(f"{self.now}: redact {state_id!r}, {swap.by!r}")
        self.of, self.swap, self.disturbed = state_id, swap, bool(steps)
        self.copies_then = self.concerned()
        self.store.was_full = False
        work = self.daemon.authority.redaction.redact(self.wanted())
        self.slow["redaction"] = self.daemon.begin(work, steps, alone=True)
        self.after_slow_redaction()

    def wanted(self) -> Wanted:
        return Wanted(StateRef(self.of), Author("ann"), self.swap.text, self.swap.by, 1)

    def after_slow_redaction(self) -> None:
        slow = self.slow["redaction"]
        if self.daemon.until_held_up(slow):
            event("redaction held up")
            self.settle_redaction()
            self._check_all()
            return
        del self.slow["redaction"]
        failed = slow.task.exception()
        note(f"  {failed or slow.task.result()}")
        if self.store.crashed:
            assert isinstance(failed, (RefusedError, StoreBrokenError, type(None))), failed
            return
        self.settle_redaction()
        if isinstance(failed, NotRedactableError):
            assert self.named or self.swap.by == "a", "no name may have it"
            event("not redactable")
        elif failed is not None:
            assert isinstance(failed, RefusedError), failed
            assert (failed.reason, self.store.was_full) == ("OVERLOADED", True)
            event("redaction ended by a full disk")
        else:
            event("redacted")
            if self.model is self.done or not self.disturbed:  # or it may have leaked anew before it was wiped off the disk
                self.check_nothing_is_left()
            if not self.disturbed and self.store.crash_in <= 0 and self.store.full_in <= 0:
                done = slow.task.result()
                again = self.daemon.wait(self.daemon.authority.redaction.redact(self.wanted()))
                assert again == Redacted(done.point, 0, 0)
        self.of = ""
        self.check_everything()

    def settle_redaction(self) -> None:
        """Have the model redacted where the daemon is: as a whole or not at all."""
        self.situation = self.settle_copies(self.situation)
        lives = {name: self.model.life(name) for name in self.concerned() | self.concerned_then()}
        moved = {name for name, life in lives.items() if self.daemon.state(name).revision == life.revision + 1}
        notes = {
            of: (label and self.swap.name(label), self.swap.encoded(said)) for of, (label, said) in self.own_notes().items()
        }
        if not moved and self.notes_of(self.of) == self.own_notes():
            return
        event("settled redaction")
        model = self.model
        for name, life in lives.items():
            assert name in moved or name in self.concerned_then() or not has_text(life, self.swap.text), name
            if name in moved:
                model = model.with_life(name, redacted(life, self.swap, self.now))
        self.model = self.done = model
        self.notes.update(notes)
        assert self.notes_of(self.of) == notes

    def own_notes(self) -> dict[Named, Note]:
        return {of: self.notes.get(of, NOTHING) for of in self.notes_of(self.of)}

    def concerned(self) -> set[str]:
        """The state, and the copies that were made for its workflow."""
        points = [mark.point for mark in self.model.work(self.of).marks.values()]
        return {self.of, *(point.state_id for point in points if self.situation.hidden(point.state_id))}

    def concerned_then(self) -> set[str]:
        """Copies that were so when the redaction began, and are still there; it may have got hold of them in time."""
        return {name for name in self.copies_then if name in self.model.lives} - self.concerned()

    def check_nothing_is_left(self) -> None:
        """It may be in other states and their records, and then in the file; and in copies that others refer to."""
        found = remains(self.daemon.file.parent, self.swap.text)
        elsewhere = [each for each in found if each.owner is not None and self.may_have(each.owner)]
        left = [each for each in found if each not in elsewhere and not (elsewhere and each.owner is None)]
        assert left == [], left
        place = ""
        while True:
            findings, place = self.daemon.wait(self.daemon.authority.verify(place))
            assert findings.problems == []
            assert findings.indexes == []
            if not place:
                break

    def may_have(self, owner: str) -> bool:
        if owner in self.concerned():
            return False
        return not self.situation.hidden(owner) or bool(self.situation.pins(owner)) or self.disturbed
