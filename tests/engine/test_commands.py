"""Commands, one after the other as users give them: what the model reaches too seldom."""

import time
from itertools import count
from typing import TypeVar

import msgspec
import pytest
from tests.engine.test_workflow import orders

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Resume
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.layer import Layer, checkpoint_key
from lastgood_daemon.authority.outcomes import CheckpointMade, Resumed, SnapshotTaken, Written
from lastgood_daemon.authority.targets import CheckpointRef, Revision, StateRef, Target
from lastgood_daemon.authority.world import World
from lastgood_daemon.engine.checkpoint import COMPLETED, Checkpoint
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Workflow
from lastgood_proto import values
from lastgood_proto.paths import parse_path

FAILED = 4
T = TypeVar("T")


class Daemon:
    """A world whose batches have one command each; keeps the records that were to be stored."""

    def __init__(self) -> None:
        self.world = World()
        self.records: dict[str, Checkpoint] = {}
        for state_id in ("wf", "other"):
            self.world.states[state_id] = State(state_id)
            self.world.workflows[state_id] = Workflow(state_id)
        self.author = Author("ann")

    def do(self, command: Command, kind: type[T]) -> T:
        batch = Layer(self.world)
        layer = Layer(batch)
        outcome = command.evaluate(layer, 0)
        layer.merge_down()
        unit = batch.unit(self.world)
        assert unit is not None
        batch.publish(self.world, unit)
        for key, value, _ in unit.writes:
            if key.kind == "checkpoint" and value is not None:
                self.records[key.key] = msgspec.msgpack.decode(value, type=Checkpoint)
        assert isinstance(outcome, kind)
        return outcome

    def set(self, path: str, value: object, state_id: str = "wf") -> None:
        edit = Set(parse_path(path), values.encode(value))
        self.do(Write(StateRef(state_id), self.author, Precondition(), (("set", edit),), 1), Written)

    def checkpoint(self, step: int, status: int = COMPLETED) -> Checkpoint:
        command = MakeCheckpoint("wf", step, self.author, status, StateRef("wf"), None, None, "copy", 1)
        return self.do(command, CheckpointMade).checkpoint

    def resume(self, step: int | None = None, initial: object = None) -> Resumed:
        encoded = None if initial is None else values.encode(initial)
        resumed = self.do(Resume("wf", Author("ann"), step, encoded, force=False, poison_after=0, size=1), Resumed)
        self.author = Author("ann", "wf", resumed.attempt)
        return resumed

    def restore(self, target: Target, state_id: str = "wf") -> None:
        self.do(Restore(StateRef(state_id), self.author, Precondition(), target, (), 1), Written)

    def value(self, state_id: str = "wf") -> object:
        return self.world.states[state_id].tree.root.value()

    @property
    def workflow(self) -> Workflow:
        return self.world.workflows["wf"]


def at_step(last: int) -> Daemon:
    """Give a daemon with a workflow that has completed this many steps."""
    daemon = Daemon()
    daemon.resume(initial={"steps": 0})
    for step in range(1, last + 1):
        daemon.set("steps", step)
        daemon.checkpoint(step)
    return daemon


def test_resuming_goes_back_to_the_last_good_checkpoint() -> None:
    daemon = at_step(2)
    daemon.set("steps", "garbage")
    daemon.checkpoint(3, FAILED)
    daemon.set("more", "garbage")
    resumed = daemon.resume()
    assert daemon.value() == {"steps": 2}
    assert resumed.attempt == 2
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.order == (2, 1)
    assert resumed.point == Point("wf", 1, 6)
    assert not any(c.superseded for c in daemon.workflow.in_order())


def test_resuming_without_a_checkpoint_goes_back_to_where_it_began() -> None:
    daemon = at_step(0)
    daemon.set("steps", "garbage")
    assert daemon.resume(initial={"ignored": True}).checkpoint is None
    assert daemon.value() == {"steps": 0}


def test_resuming_where_nothing_was_written_since_writes_nothing() -> None:
    daemon = at_step(1)
    assert daemon.resume().point == daemon.resume().point == Point("wf", 1, 2)


def test_resuming_at_a_step_goes_back_to_that_one_and_supersedes_the_later_for_good() -> None:
    daemon = at_step(4)
    resumed = daemon.resume(2)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.step == 2
    assert daemon.value() == {"steps": 2}
    expected = [(1, 1, False), (2, 1, False), (3, 1, True), (4, 1, True)]
    assert orders(daemon.workflow) == expected
    stored = [daemon.records[checkpoint_key("wf", (step, 1)).key] for step in range(1, 5)]
    assert [(c.step, c.attempt, c.superseded) for c in stored] == expected
    daemon.set("steps", "garbage")
    daemon.resume()
    assert daemon.value() == {"steps": 2}


def test_restoring_a_checkpoint_of_the_own_workflow_supersedes_the_later_for_good() -> None:
    daemon = at_step(3)
    daemon.restore(CheckpointRef("wf", 1, 1))
    assert daemon.value() == {"steps": 1}
    expected = [(1, 1, False), (2, 1, True), (3, 1, True)]
    assert orders(daemon.workflow) == expected
    assert [(c.step, c.attempt, c.superseded) for c in map(daemon.records.get, sorted(daemon.records)) if c] == expected
    daemon.restore(CheckpointRef("wf", 3, 1))
    assert orders(daemon.workflow) == [(1, 1, False), (2, 1, True), (3, 1, False)]
    assert daemon.records[checkpoint_key("wf", (3, 1)).key].superseded is False


def test_restoring_what_is_no_checkpoint_of_the_own_workflow_supersedes_nothing() -> None:
    daemon = at_step(3)
    daemon.restore(Revision(2))
    daemon.restore(CheckpointRef("wf", 1, 1), "other")
    assert daemon.value() == daemon.value("other") == {"steps": 1}
    assert not any(c.superseded for c in daemon.workflow.in_order())
    assert daemon.workflow.progress.line == 0


def test_the_revisions_of_two_states_are_not_compared() -> None:
    daemon = Daemon()
    daemon.set("a", 1)
    daemon.set("b", 2)
    daemon.set("c", 3, "other")
    daemon.set("d", 4, "other")
    for revision, value in [(1, {"a": 1}), (2, {"a": 1, "b": 2})]:
        daemon.restore(Point("wf", 1, revision), "other")
        assert daemon.value("other") == value


@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_one_more_costs_the_same_however_many_there_are(kind: str) -> None:
    daemon, made = Daemon(), count()
    daemon.set("a", 1)

    def make() -> None:
        number = next(made)
        if kind == "checkpoint":
            daemon.checkpoint(number, FAILED if number % 2 else COMPLETED)
        else:
            daemon.do(TakeSnapshot(StateRef("wf"), daemon.author, f"id{number}", None, None, 1), SnapshotTaken)

    def least_cost() -> float:
        costs = []
        for _ in range(100):
            begun = time.thread_time()
            make()
            costs.append(time.thread_time() - begun)
        return min(costs)

    few = least_cost()
    for _ in range(10_000):
        make()
    assert least_cost() < 3 * few
