"""The history of a path: exactly the revisions in which the value there changed. Proved in test_model; here its corners."""

import pytest

from lastgood_daemon.engine.change import Patch
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set
from lastgood_daemon.engine.history import Step, seen_from
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.state import State, plan
from lastgood_proto import values
from lastgood_proto.paths import parse_path

E = values.encode


def steps_of(*revisions: list[tuple[str, Edit]]) -> list[Step]:
    state, steps = State("s"), []
    for edits in revisions:
        after, entry = state.advance(plan(state.tree, edits).edits, Author(), 0)
        steps.append(Step(entry, state.tree, after.tree))
        state = after
    return steps


def revisions_of(steps: list[Step], path: str) -> list[int]:
    seen = [seen_from(step, parse_path(path)) for step in steps]
    return [item.revision for item in seen if item is not None]


def one(operation: str, edit: Edit) -> list[tuple[str, Edit]]:
    return [(operation, edit)]


@pytest.mark.parametrize(
    ("path", "revisions"),
    [
        ("", [1, 2, 4, 5, 6]),
        ("a", [1, 2, 4, 6]),
        ("a.x", [1, 2, 6]),
        ("a.y", [1, 6]),
        ("a.z.w", [4, 6]),
        ("b", [5]),
        ("c", []),
    ],
)
def test_through_ancestors_and_descendants(path: str, revisions: list[int]) -> None:
    steps = steps_of(
        one("set", Set(("a",), E({"x": 1, "y": 1}))),
        one("set", Set(("a",), E({"x": 2, "y": 1}))),
        one("set", Set(("a", "x"), E(2))),
        one("set", Set(("a", "z", "w"), E(None))),
        one("set", Set(("b",), E(1))),
        one("delete", Delete(("a",))),
    )
    assert revisions_of(steps, path) == revisions


def test_what_several_edits_do_and_undo_is_no_change() -> None:
    steps = steps_of(
        one("set", Set((), E({"l": [1, 2], "m": {"x": 1, "y": 1}}))),
        [("append", Append(("l",), (E(3),))), ("delete", Delete(("l", "2")))],
        [("set", Set(("m", "x"), E(2))), ("set", Set(("m", "x"), E(1)))],
        [("set", Set(("new",), E(2))), ("delete", Delete(("new",)))],
        [("delete", Delete(("l", "0"))), ("append", Append(("l",), (E(1),)))],
    )
    assert [seen_from(step, ()) is not None for step in steps] == [True, False, False, False, True]
    assert revisions_of(steps, "l") == [1, 5]
    assert revisions_of(steps, "l.0") == [1, 5]
    assert revisions_of(steps, "l.2") == []
    assert revisions_of(steps, "m") == revisions_of(steps, "m.x") == [1]
    assert revisions_of(steps, "new") == []


def test_another_order_of_names_is_a_change_of_the_map() -> None:
    steps = steps_of(
        one("set", Set(("m",), E({"x": 1, "y": 1}))),
        [("delete", Delete(("m", "x"))), ("set", Set(("m", "x"), E(1)))],
        [("delete", Delete(("m", "x"))), ("set", Set(("m", "x"), E(1)))],
    )
    assert steps[1].before.root.encoded() != steps[1].after.root.encoded()
    assert revisions_of(steps, "m") == revisions_of(steps, "") == [1, 2]
    assert revisions_of(steps, "m.x") == revisions_of(steps, "m.y") == [1]


def test_the_operation_is_the_last_that_touched_the_path() -> None:
    (step,) = steps_of(
        [("set", Set(("a",), E({}))), ("merge", Merge(("a",), E({"x": 1}))), ("append", Append(("l",), (E(1),)))]
    )
    for path, operation in [("", "append"), ("a", "merge"), ("a.x", "merge"), ("l.0", "append")]:
        item = seen_from(step, parse_path(path))
        assert item is not None
        assert item.operation == operation


def test_a_whole_value_set_beside_other_edits_is_named_for_all_that_differs_in_it() -> None:
    text = "x" * 300
    steps = steps_of(
        one("set", Set(("a",), E({"x": 1, "y": 1, "z": 1, "text": text}))),
        [("increment", Increment(("a", "y"), E(1))), ("set", Set(("a",), E({"x": 2, "y": 2, "z": 1, "text": text})))],
        one("set", Set((), E({"a": {"x": 2, "y": 2, "z": 3, "text": text}}))),
    )
    assert all(isinstance(change, Patch) for step in steps[2:] for change in step.entry.changes())
    for path, seen in (
        ("a.x", [1, 2]),
        ("a.y", [1, 2]),
        ("a.z", [1, 3]),
        ("a.text", [1]),
        ("a", [1, 2, 3]),
        ("", [1, 2, 3]),
    ):
        assert revisions_of(steps, path) == seen
    for path in ("", "a", "a.x", "a.y"):
        item = seen_from(steps[1], parse_path(path))
        assert item is not None
        assert item.operation == "set"
