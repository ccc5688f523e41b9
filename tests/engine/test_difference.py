"""What differs, and the way back: ``differences``, ``bridge``, and which values are the same."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engine import model, strategies
from tests.engine.model import Value

from lastgood_daemon.engine.applying import apply_change, empty_root
from lastgood_daemon.engine.change import Change, Put
from lastgood_daemon.engine.difference import Difference, differences
from lastgood_daemon.engine.equality import same_value
from lastgood_daemon.engine.node import ListBody, MapBody, Node, find
from lastgood_daemon.engine.restore import bridge, minimal
from lastgood_proto import values
from lastgood_proto.paths import Path


def node(value: object, changed: int = 1) -> Node:
    return Node(changed, encoded=values.encode(value))


def opened(root: Node) -> Node:
    """Give the same value, opened at every level."""
    match root.open():
        case MapBody(entries):
            for entry in entries.values():
                opened(entry.node)
        case ListBody(items, _):
            for item in items:
                opened(item)
    return root


def after(root: Node, changes: list[Change], revision: int = 2) -> Node:
    for change in changes:
        root = apply_change(root, change, revision)
    return root


def applied(value: Value, found: list[Difference]) -> Value:
    """Make each difference by hand, having seen that its old side is what is there."""
    value = model.deep_copy(value)
    for path, kind, old, new in found:
        assert (old is None) == (kind == "added")
        assert (new is None) == (kind == "removed")
        assert model.encoded(value, path) == (None if old is None else old.encoded())
        if not path:
            assert new is not None
            value = new.value()
            continue
        parent = model.lookup(value, path[:-1])
        assert type(parent) is dict
        if new is None:
            del parent[path[-1]]
        else:
            parent[path[-1]] = new.value()
    return value


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two maps that have something in common: one is the other after some edits, or a map of its own."""
    one: Any = draw(strategies.maps)
    if draw(st.booleans()):
        return one, draw(strategies.maps)
    other = model.deep_copy(one)
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(model.paths_of(other)))
        value = draw(strategies.values if path else strategies.maps)
        other = model.remove(other, path) if draw(st.booleans()) else model.put(other, path, value)
    return (one, other) if draw(st.booleans()) else (other, one)


@given(pairs())
def test_differences_made_by_hand_lead_from_one_to_the_other(pair: tuple[Any, Any]) -> None:
    one, other = pair
    found = list(differences(opened(node(one)), node(other)))
    assert model.exactly(model.unordered(applied(one, found)), model.unordered(other))


@given(pairs())
def test_differences_are_as_few_as_can_be(pair: tuple[Any, Any]) -> None:
    found = list(differences(node(pair[0]), node(pair[1])))
    assert len({path for path, *_ in found}) == len(found)
    for path, _, old, new in found:
        assert old is None or new is None or old.encoded() != new.encoded()
        assert old is None or new is None or not (old.is_map and new.is_map)
        assert all(type(model.lookup(side, path[:depth])) is dict for side in pair for depth in range(len(path)))


@given(strategies.maps)
def test_no_differences_between_equals(value: dict[str, Any]) -> None:
    assert list(differences(node(value), opened(node(value)))) == []
    assert list(differences(node(dict(reversed(value.items()))), node(value))) == []


def test_a_subtree_that_appears_or_disappears_is_one_difference() -> None:
    small, large = node({"a": {"x": 1}}), node({"a": {"x": 1, "y": {"z": [1, {"k": 2}]}}, "b": {}})
    assert [(p, kind) for p, kind, *_ in differences(small, large)] == [(("a", "y"), "added"), (("b",), "added")]
    assert [(p, kind) for p, kind, *_ in differences(large, small)] == [(("a", "y"), "removed"), (("b",), "removed")]
    assert list(differences(None, None)) == []


def test_a_list_is_one_difference() -> None:
    (found,) = differences(node({"l": [1, {"a": 1}]}), node({"l": [1, {"a": 2}]}))
    assert (found.path, found.kind) == (("l",), "changed")


@given(pairs())
@example(({"a": 1, "b": 2}, {"b": 2, "a": 1}))
@example(({"l": [1, 2, 3]}, {"l": [1, 3]}))
@example(({"l": [1, [2, {"a": 1}], 3]}, {"l": [1, [2, {"a": True}], 3]}))
def test_a_bridge_leads_back_byte_for_byte(pair: tuple[Any, Any]) -> None:
    now, target = pair
    for old, new in [(node(now), node(target)), (opened(node(now)), opened(node(target)))]:
        assert after(old, bridge(old, new)).encoded() == values.encode(target)
        assert old.encoded() == values.encode(now)


@given(st.lists(st.sampled_from([0, 1, [0]]), max_size=6), st.lists(st.sampled_from([0, 1, [0]]), max_size=6))
@example([0, 0], [0, 0, 0])
@example([0, 1, 0], [0])
def test_a_bridge_between_lists_that_repeat_themselves(now: list[object], target: list[object]) -> None:
    assert after(node({"l": now}), bridge(node({"l": now}), node({"l": target}))).value() == {"l": target}


@given(strategies.maps)
def test_a_bridge_between_equals_is_empty(value: dict[str, Any]) -> None:
    assert bridge(opened(node(value)), node(value, 7)) == []


@given(st.data())
def test_a_bridge_within_what_was_touched_leads_back(data: st.DataObject) -> None:
    start = opened(node(data.draw(strategies.maps)))
    root = start
    touched: list[Path] = []
    for revision in range(2, 2 + data.draw(st.integers(1, 5))):
        tree: Any = root.value()
        path = data.draw(st.sampled_from([path for path in model.paths_of(tree) if path] or [("new",)]))
        parent = find(root, path[:-1])
        changes: list[Change] = [Put(path, values.encode(data.draw(strategies.values)))]
        if data.draw(st.booleans()):
            changes = bridge(root, node(model.remove(tree, path)))
        elif parent is not None and parent.is_map and data.draw(st.booleans()):
            changes = [Put((*path[:-1], "new", "and", "below"), values.encode(1))]
        try:
            root = after(root, changes, revision)
        except Exception:  # noqa: BLE001, S112 - "new" may be no map by now: not what is asked here
            continue
        touched.extend(change.path for change in changes)
    assert after(root, bridge(root, start, within=touched), 99).encoded() == start.encoded()


def test_only_what_differs_is_written() -> None:
    start = opened(node({"a": {"x": 1, "y": [1, 2, 3]}, "b": {"z": 1}, "c": 3}))
    root = after(start, [Put(("a", "x"), values.encode(9)), Put(("a", "y", "1"), values.encode(9))], 5)
    changes = bridge(root, start)
    assert {change.path for change in changes} == {("a", "x"), ("a", "y", "1")}


@given(st.lists(strategies.paths, max_size=8))
def test_minimal_paths(paths: list[Path]) -> None:
    kept = minimal(paths)
    assert kept == sorted(set(kept))
    for path in paths:
        assert sum(path[: len(k)] == k for k in kept) == 1


@given(strategies.values, strategies.values)
@example(1, True)  # noqa: FBT003 - a value
@example(0, False)  # noqa: FBT003 - a value
@example(1, 1.0)
@example(0.0, -0.0)
@example([1], [True])
@example({"a": 1, "b": 2}, {"b": 2, "a": 1})
@example("a", b"a")
@example(float("nan"), float("nan"))
@example(None, False)  # noqa: FBT003 - a value
@example([], {})
def test_the_same_value_is_exact(left: Value, right: Value) -> None:
    same = model.exactly(left, right)
    for one, other in [
        (node(left), node(right)),
        (opened(node(left)), node(right)),
        (opened(node(left)), opened(node(right))),
    ]:
        assert same_value(one, other) is same
        assert same_value(other, one) is same
    assert same_value(node(left), opened(node(model.deep_copy(left))))


@given(strategies.values)
def test_an_opened_value_is_the_same_value(value: Value) -> None:
    closed, open_ = node(value), opened(node(value))
    assert (closed.is_map, closed.is_list) == (open_.is_map, open_.is_list) == (type(value) is dict, type(value) is list)
    assert open_.encoded() == closed.encoded()
    assert model.exactly(open_.value(), value)
    for path in model.paths_of(value):
        found = find(open_, path)
        assert found is not None
        assert found.changed == 1
        assert model.exactly(found.value(), model.lookup(value, path))


@pytest.mark.slow
def test_maps_and_lists_of_every_size_of_head() -> None:
    for size in (0, 15, 16, 32, 33, 65_535, 65_536):
        for value in ({str(n): n for n in range(size)}, list(range(size))):
            assert opened(node(value)).encoded() == values.encode(value)


def test_what_is_not_there() -> None:
    root = node({"l": [1, 2], "m": {"0": 1}, "s": "text"})
    there: list[Path] = [("l", "0"), ("l", "1"), ("m", "0"), ("s",), ("l",)]
    absent: list[Path] = [
        ("l", segment) for segment in ("2", "-1", "+1", "00", "01", " 1", "1 ", "\uff11", "²", "1.0", "1_0")
    ]
    absent += [("l", "9" * 30), ("l", "0", "0"), ("m", "00"), ("s", "0"), ("s", "a", "b"), ("x",)]
    assert all(find(root, path) is not None for path in there)
    assert [path for path in absent if find(root, path) is not None] == []
    assert find(empty_root(), ()) is not None
