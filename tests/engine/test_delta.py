"""Deltas: what is stored of a value that is set over another, and that it comes to the same as the whole value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine import model, strategies
from tests.engine.drawing import near_values
from tests.engine.model import Value
from tests.engine.promises import eager_deltas
from tests.engine.test_difference import node, opened
from tests.engine.test_restore import written

from lastgood_daemon.engine.change import Change, DamagedLogError, Patch, Put, Remove, Splice
from lastgood_daemon.engine.delta import delta
from lastgood_daemon.engine.edits import Append, Edit, Merge, Set, evaluate
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.history import Step, seen_from
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit, encode_entry
from lastgood_daemon.engine.restore import bridge
from lastgood_daemon.engine.state import State, plan
from lastgood_daemon.engine.trail import CHANGE_BYTES
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto import values
from lastgood_proto.paths import MAX_DEPTH, Path

E = values.encode
TEXT = "x" * 300


def message(number: int) -> dict[str, object]:
    return {"role": "user", "number": number, "text": f"{number:04}" + "x" * 270}


def both_ways(old: Value, new: Value) -> list[Any] | None:
    """Give the delta, which is the same whether the old value is bytes or opened."""
    found = delta(node(old), E(new))
    assert delta(opened(node(old)), E(new)) == found
    return found


BASE = {"title": TEXT, "messages": [message(0), message(1)], "draft": TEXT, "usage": {"in": 10, "out": 20}}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            {"title": TEXT, "messages": [message(0), message(1), message(2)], "usage": {"in": 10, "out": 25}, "done": True},
            [
                Remove(("draft",)),
                Splice(("messages",), 2, 0, [E(message(2))]),
                Put(("usage", "out"), E(25)),
                Put(("done",), E(True)),  # noqa: FBT003 - a value
            ],
        ),
        (BASE, []),
        ({**BASE, "usage": {"out": 20, "in": 10}}, [Put(("usage",), E({"out": 20, "in": 10}))]),
        ({**BASE, "usage": {"in": 10, "new": 1, "out": 20}}, [Put(("usage",), E({"in": 10, "new": 1, "out": 20}))]),
        ({**BASE, "usage": [10, 20]}, [Put(("usage",), E([10, 20]))]),
        ({**BASE, "usage": {"in": 10.0, "out": 20}}, [Put(("usage", "in"), E(10.0))]),
        ({**BASE, "messages": [message(1)]}, [Splice(("messages",), 0, 1, [])]),
        ({**BASE, "messages": [message(9), *BASE["messages"]]}, [Splice(("messages",), 0, 0, [E(message(9))])]),
        (
            {**BASE, "messages": [message(0), {**message(1), "number": 7}]},
            [Put(("messages", "1", "number"), E(7))],
        ),
        (
            {**BASE, "messages": [{**message(0), "number": 7}, {**message(1), "number": 8}]},
            [Put(("messages", "0", "number"), E(7)), Put(("messages", "1", "number"), E(8))],
        ),
        ({**BASE, "messages": ["short", message(1)]}, [Put(("messages", "0"), E("short"))]),
        (
            {**BASE, "messages": [message(1), message(2)]},
            [Splice(("messages",), 0, 1, []), Splice(("messages",), 1, 0, [E(message(2))])],
        ),
        ({**BASE, "messages": []}, [Splice(("messages",), 0, 2, [])]),
        ({"title": "y" * 300, "messages": []}, None),
        (dict(reversed(BASE.items())), None),
        ([BASE], None),
        (TEXT, None),
        ({"draft": TEXT}, [Remove(("title",)), Remove(("messages",)), Remove(("usage",))]),
    ],
)
def test_worked_examples(new: Value, expected: list[Change] | None) -> None:
    assert both_ways(BASE, new) == expected


def test_a_list_of_which_nothing_stays_is_replaced_as_a_whole() -> None:
    numbers = {"text": TEXT, "n": list(range(100))}
    assert both_ways(numbers, {**numbers, "n": [n + 1000 for n in range(100)]}) == [
        Put(("n",), E([n + 1000 for n in range(100)])),
    ]
    one_less = [*range(50), *range(51, 100)]
    assert both_ways(numbers, {**numbers, "n": one_less}) == [Splice(("n",), 50, 1, [])]
    other_middle = [*range(10), *range(110, 120), *range(20, 100)]
    items = [E(n) for n in range(110, 120)]
    assert both_ways(numbers, {**numbers, "n": other_middle}) == [Splice(("n",), 10, 10, items)]


def test_a_window_that_slides() -> None:
    head, window = [message(100), message(101)], [message(n) for n in range(30)]
    new = [message(n) for n in range(5, 33)]
    spliced = [Splice((), 2, 5, []), Splice((), 27, 0, [E(message(n)) for n in range(30, 33)])]
    assert both_ways([*head, *window], [*head, *new]) == spliced
    assert both_ways([*head, *window, "end"], [*head, *new, "end"]) == spliced
    assert both_ways([*head, *window], [*head, *new[:20], *new[21:]]) != spliced
    assert both_ways(window, window[5:20]) is None
    assert both_ways(window, [message(5), *(message(n) for n in range(50, 79))]) is None


def test_a_small_value_is_stored_as_it_is() -> None:
    assert both_ways({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 2, 3]}) is None
    assert both_ways({"a": 1}, {"a": True}) is None
    for shorter, longer in (({"a": 1}, {"a": 1, "b": 2}), ({"l": [1]}, {"l": [1, 2]}), ({"l": [{}]}, {"l": [{"a": 1}]})):
        assert both_ways(shorter, longer) is None
        assert both_ways(longer, shorter) is None
    assert both_ways({"a": float("nan")}, {"a": float("nan")}) == []
    assert both_ways({"text": TEXT[:200], "n": 1}, {"text": TEXT[:200], "n": 2}) is None
    assert both_ways({"text": TEXT, "n": 1}, {"text": TEXT, "n": 2}) == [Put(("n",), E(2))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0, False),
        (0.0, -0.0),
        ([1], [True]),
        ("a", b"a"),
        ({"a": 1, "b": 1}, {"b": 1, "a": 1}),
        ([], {}),
    ],
)
def test_what_python_takes_for_the_same_is_not(one: Value, other: Value) -> None:
    for same, differs in ((one, other), (other, one)):
        old = {"text": TEXT, "v": same, "l": [same, TEXT], "nan": float("nan")}
        assert both_ways(old, model.deep_copy(old)) == []
        assert both_ways(old, {**old, "v": differs}) == [Put(("v",), E(differs))]
        assert both_ways(old, {**old, "l": [differs, TEXT]}) == [Put(("l", "0"), E(differs))]


def test_as_deep_as_it_may_be() -> None:
    def deep(last: object, *, lists: bool) -> Value:
        value: Value = {"text": TEXT, "n": last}
        for _ in range(MAX_DEPTH - 1):
            value = [TEXT, value] if lists else {"a": value, "text": TEXT}
        return value

    for lists in (False, True):
        (change,) = both_ways(deep(1, lists=lists), deep(2, lists=lists)) or []
        assert change == Put(("1" if lists else "a",) * (MAX_DEPTH - 1) + ("n",), E(2))
        path: Path = ("p",) * MAX_DEPTH
        tree = EMPTY_TREE.apply([Put(path, E(deep(1, lists=lists)))], 1)
        changes = evaluate(tree, Set(path, E(deep(2, lists=lists)))).changes
        assert isinstance(changes[0], Patch)
        after = tree.apply(changes, 2).find(path)
        assert after is not None
        assert after.encoded() == E(deep(2, lists=lists))


# That a patch is a put.


def known_paths(*trees: Value) -> set[Path]:
    """All paths that exist in one of the trees, and some that do not."""
    found = {path for tree in trees for path in model.paths_of(tree)}
    return found | {(*path, name) for path in found for name in ("a", "0", "7")} | set(model.PROBES)


def assert_alike(patched: Tree, put: Tree, paths: set[Path]) -> None:
    assert patched.root.encoded() == put.root.encoded()
    assert patched.graves == put.graves
    assert {path: patched.last_change(path) for path in paths} == {path: put.last_change(path) for path in paths}


_edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Set, strategies.paths, strategies.values.map(E)),
    st.builds(Append, strategies.paths, st.lists(strategies.values.map(E), min_size=1, max_size=3).map(tuple)),
    st.builds(Merge, strategies.paths, strategies.maps.map(E)),
)


def _edited(data: st.DataObject, tree: Tree, paths: set[Path], *, times: int) -> Tree:
    """Give the tree after some edits, mostly where something is; note the paths that there are on the way."""
    for _ in range(times):
        value: Any = tree.root.value()
        path = data.draw(st.sampled_from(model.paths_of(value)))
        edit = data.draw(_edits | st.just(Set(path, data.draw(strategies.values.map(E)))))
        if data.draw(st.integers(0, 3)) == 0:
            value = model.remove(value, path)
            edit = Set((), E(value))
        try:
            tree = tree.apply(evaluate(tree, edit).changes, tree.revision + 1)
        except RefusedError:
            continue
        paths |= known_paths(tree.root.value())
    return tree


@pytest.mark.slow
@given(st.data())
def test_a_patch_comes_to_the_same_as_the_value_put_whole(data: st.DataObject) -> None:
    paths: set[Path] = set()
    tree = _edited(data, EMPTY_TREE.apply([Put((), E(data.draw(strategies.maps)))], 1), paths, times=4)
    before: Any = tree.root.value()
    holders = [path for path in model.paths_of(before) if type(model.lookup(before, path)) in {dict, list}]
    path = data.draw(st.sampled_from(holders))
    new = data.draw(near_values(model.lookup(before, path)))
    old = tree.find(path)
    assert old is not None
    with eager_deltas():
        changes = delta(old, E(new))
    if changes is None:
        return
    assert bool(changes) == (not model.exactly(model.lookup(before, path), new))
    if not changes:
        return
    revision = tree.revision + 1
    whole, patch = Put(path, E(new)), Patch(path, tuple(changes))
    put, patched = tree.apply([whole], revision), tree.apply([patch], revision)
    paths |= known_paths(before, put.root.value())
    assert_alike(patched, put, paths)
    assert tree.root.value() == before or "nan" in repr(before)

    # In the history, alone and beside other edits.
    other = LoggedEdit("other", (), evaluate(tree, Merge((), E(data.draw(strategies.maps)))).changes)
    for others in [(), (other,)]:
        seen = []
        for change in (whole, patch):
            entry = Entry(0, Author(), (LoggedEdit("set", path, (change,)), *others))
            step = Step(entry, tree, tree.apply(entry.changes(), revision))
            items = {spot: seen_from(step, spot) for spot in paths}
            seen.append({spot: item and (item.revision, item.operation) for spot, item in items.items()})
        assert seen[0] == seen[1]

    # And whatever comes after it. The same changes for both, since places in maps may be counted differently.
    for later in range(2):
        value = put.root.value()
        spot = data.draw(st.sampled_from(model.paths_of(value)))
        some = evaluate(put, Set(spot, E(data.draw(strategies.values if spot else strategies.maps)))).changes
        put, patched = put.apply(some, revision + 1 + later), patched.apply(some, revision + 1 + later)
        paths |= known_paths(put.root.value())
        assert_alike(patched, put, paths)


def test_a_list_set_whole_each_time_is_stored_message_by_message() -> None:
    state, messages = State("s"), []
    for number in range(200):
        messages.append(message(number))
        encoded = E({"messages": messages, "count": number})
        state, entry = state.advance(plan(state.tree, [("set", Set((), encoded))]).edits, Author("agent"), number)
        assert len(encode_entry(entry)) < 600
        assert state.tree.root.encoded() == encoded
    assert state.tree.last_change(("messages", "0", "text")) == 200
    assert sum(map(_stored, state.trail.marks.values())) < 200 * 400


def _stored(mark: Any) -> int:  # noqa: ANN401 - private to the trail
    return int(mark.size - CHANGE_BYTES * len(mark.touched))


def test_what_is_near_by_is_stored_by_all_that_puts_whole_values() -> None:
    tree = EMPTY_TREE.apply([Put(("a",), E({"l": [message(n) for n in range(5)], "m": {"x": 1}}))], 1)
    longer = [message(n) for n in range(6)]
    spliced = (Splice((), 5, 0, [E(message(5))]),)
    assert evaluate(tree, Set(("a", "l"), E(longer))).changes == (Patch(("a", "l"), spliced),)
    assert evaluate(tree, Merge(("a", "l"), E(longer))).changes == (Patch(("a", "l"), spliced),)
    merged = evaluate(tree, Merge(("a",), E({"m": {"x": 2}, "l": longer, "n": {}}))).changes
    assert merged == (Put(("a", "m", "x"), E(2)), Patch(("a", "l"), spliced), Put(("a", "n"), E({})))
    deeper = {"a": {"l": longer, "m": {"x": 1}}}
    changes = evaluate(tree, Set((), E(deeper))).changes
    assert changes == (Patch((), (Splice(("a", "l"), 5, 0, [E(message(5))]),)),)
    assert tree.apply(changes, 2).root.value() == deeper
    assert evaluate(tree, Set(("a", "l"), E([]))).changes == (Put(("a", "l"), E([])),)


def test_what_did_not_change_is_shared_and_counts_as_changed_all_the_same() -> None:
    value = {"l": [message(n) for n in range(5)], "m": {"x": {"y": 1}}, "text": TEXT}
    tree = EMPTY_TREE.apply([Put(("a",), E(value)), Put(("b",), E(1))], 1)
    after = tree.apply(evaluate(tree, Set(("a",), E({**value, "text": "new"}))).changes, 2)
    assert after.find(("a", "m", "x")) is tree.find(("a", "m", "x"))
    assert after.find(("a", "l")) is tree.find(("a", "l"))
    paths: list[Path] = [(), ("a",), ("a", "m"), ("a", "m", "x", "y"), ("a", "l"), ("a", "l", "3", "text"), ("b",)]
    assert [after.last_change(path) for path in paths] == [2, 2, 2, 2, 2, 2, 1]
    after = after.apply([Put(("a", "m", "x", "z"), E(1)), Remove(("a", "text"))], 3)
    assert [after.last_change(path) for path in paths] == [3, 3, 3, 2, 2, 2, 1]
    assert after.last_change(("a", "l", "7")) == 0, "the list is as it was"


def test_a_patch_goes_back_as_what_it_changed() -> None:
    value = {"l": [message(n) for n in range(5)], "m": {"x": 1, "text": TEXT}}
    state = written(State("s"), Set(("a",), E(value)))
    start = state.tree
    state = written(state, Set(("a",), E({**value, "m": {"x": 2, "text": TEXT}})))
    touched = state.trail.touched_since(1, 2)
    assert touched == [("a", "m", "x")]
    assert bridge(state.tree.root, start.root, within=touched) == [Put(("a", "m", "x"), E(1))]


@pytest.mark.parametrize(
    "patch",
    [
        Patch(("x",), (Put(("a",), E(1)),)),
        Patch(("m", "x"), (Put(("a",), E(1)),)),
        Patch(("m",), (Remove(("y",)),)),
        Patch(("m",), (Put((), E(1)),)),
        Patch(("l",), (Splice((), 1, 5, []),)),
        Patch(("l",), (Put(("7",), E(1)),)),
        Patch(("l", "7"), (Put(("a",), E(1)),)),
        Patch(("m",), ()),
    ],
)
def test_a_patch_that_does_not_fit_is_a_damaged_log(patch: Patch) -> None:
    tree = EMPTY_TREE.apply([Put((), E({"m": {"x": 1}, "l": [1, 2]}))], 1)
    with pytest.raises(DamagedLogError):
        tree.apply([patch], 2)
