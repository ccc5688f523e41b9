"""What a step of the model test is about: authors, states, edits and targets, drawn so that they often meet."""

from typing import Any

from hypothesis import strategies as st
from tests.engine import model, strategies
from tests.engine.model import PointOf, Value
from tests.engine.promises import STATES, WORKFLOWS, PromisesMachine

from lastgood_daemon.authority import targets
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine import edits
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_proto import values
from lastgood_proto.paths import Path

MOSTLY = ("wf", "wf", "wf", "wf", "x", "y")
MOSTLY_ONE = ("wf", "wf", "wf", "x")


class DrawingMachine(PromisesMachine):
    """Draws with an eye on the model."""

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
                near = [near_values(present)] * 3 if type(present) in {dict, list} else []
                return operation, edits.Set(path, values.encode(data.draw(st.one_of(new, new, *equal_ish, *near))))
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


@st.composite
def near_values(draw: st.DrawFn, value: Value) -> Value:
    """Draw a map or list that differs in a few places from one: what agents set who change a value and set it whole."""
    held: Value = {"value": value}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(model.paths_of(held)[1:]))
        present = model.lookup(held, path)
        if draw(st.booleans()) and type(present) is dict:
            held = model.put(held, (*path, draw(strategies.names)), draw(strategies.values))
        elif type(present) is list and draw(st.booleans()):
            index = draw(st.just(len(present)) | st.integers(0, len(present)))
            first = draw(st.sampled_from([0, 0, 1, 2]))
            held = model.put(held, path, [*present[first:index], draw(strategies.values), *present[index:]])
        elif len(path) > 1:
            held = model.remove(held, path) if draw(st.booleans()) else model.put(held, path, draw(strategies.values))
    return held["value"]


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
