"""Restoring: the corners that the model does not reach often."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine import model, strategies
from tests.engine.model import Value
from tests.engine.test_difference import after, node, opened
from tests.engine.test_workflow import mark, orders

from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.targets import CheckpointRef, StateRef
from lastgood_daemon.authority.world import NotLoadedError, TreeNeed, World
from lastgood_daemon.engine.change import Put, Remove, Splice
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.errors import ConflictError, PathError
from lastgood_daemon.engine.labour import LabourError, bounded
from lastgood_daemon.engine.log import Author, encode_entry
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition, require
from lastgood_daemon.engine.restore import bridge, bridge_paths, restored
from lastgood_daemon.engine.state import About, State, plan
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import CorruptRecordError, Head, LogId, LogRow, Store
from lastgood_proto import values

E = values.encode


def tree_of(value: object) -> Tree:
    return EMPTY_TREE.apply([Put((), E(value))], 1)


def written(state: State, *edits: Edit) -> State:
    for edit in edits:
        state, _ = state.advance(plan(state.tree, [("edit", edit)]).edits, Author(), 0)
    return state


def with_paths(now: object, target: object, *paths: str) -> Value:
    tree = tree_of(now)
    for _, changes in bridge_paths(tree, node(target), [tuple(path.split(".")) for path in paths]):
        tree = tree.apply(changes, 2)
    return tree.root.value()


@pytest.mark.parametrize(
    "edits",
    [
        [Set(("a", "x"), E(1)), Set(("a", "y"), E(1))],
        [Set(("b",), E(1)), Set(("a", "x", "1"), E(1)), Set(("a", "x", "2"), E(1)), Set(("a", "y"), E(1))],
        [Append(("m", "0"), (E(5),)), Append(("m", "1"), (E(6),))],
        [Append(("m", "0"), (E(5),)), Delete(("m", "0", "0")), Set(("m", "1", "0"), E(6)), Delete(("m", "1", "0"))],
        [Set(("d", "x"), E(1)), Set(("d", "y"), E(1)), Delete(("d",)), Set(("d", "x"), E(1))],
        [Delete(("d", "e")), Delete(("d",))],
    ],
)
def test_paths_that_part_at_the_same_place_are_bridged_once(edits: list[Edit]) -> None:
    start = written(State("s"), Set(("m",), E([[1], [2]])), Set(("d",), E({"e": {"f": 1}, "g": 2})))
    state = written(start, *edits)
    touched = state.trail.touched_since(start.revision, state.revision)
    assert touched is not None
    changes = bridge(state.tree.root, start.tree.root, within=touched)
    assert state.tree.apply(changes, 99).root.encoded() == start.tree.root.encoded()


def test_names_in_the_same_order_are_not_written_because_their_places_are_counted_differently() -> None:
    # A fork, an image, or the content of another daemon counts places anew.
    tree = tree_of({"a": 1, "b": {"x": 1}, "c": {"x": 1}})
    tree = tree.apply([Remove(("a",))], 2)
    target = {"b": {"x": 1}, "c": {"x": 1}}
    assert bridge(tree.root, node(target)) == []
    target["c"]["x"] = 2
    assert [change.path for change in bridge(tree.root, node(target))] == [("c", "x")]
    for other in ({"c": 1, "b": 2}, {"d": 1, "b": {"x": 1}, "c": {"x": 1}}, {"b": 0}, {"c": 1, "b": 1, "a": 1}, {}):
        assert after(tree.root, bridge(tree.root, node(other)), 3).encoded() == E(other)


def test_a_window_that_slid_slides_back() -> None:
    for head, tail in (([], []), (["h", 0], []), ([], ["t"]), (["h"], [0, "t"])):
        start = {"l": [*head, *range(1, 100), *tail]}
        tree = tree_of(start)
        later = tree.apply([Put(("l",), E([*head, *range(4, 103), *tail]))], 2)
        changes = bridge(later.root, tree.root)
        assert changes == [Splice(("l",), len(head) + 96, 3, []), Splice(("l",), len(head), 0, [E(1), E(2), E(3)])]
        assert later.apply(changes, 3).root.value() == start
        assert later.apply(changes, 3).last_change(("l", str(len(head) + 9))) == 3


def test_items_that_are_pushed_back_have_moved() -> None:
    tree = tree_of({"l": [{"x": 1}], "n": [[1, 2], [5]]})
    assert tree.last_change(("l", "0", "x")) == 1
    tree = tree.apply(bridge(tree.root, node({"l": [{"y": 1}, {"x": 1}], "n": [[9], [1, 2], [5]]})), 2)
    for path in (("l", "0", "x"), ("n", "0", "1"), ("l", "1", "x"), ("n", "1")):
        assert tree.last_change(path) == 2
        with pytest.raises(ConflictError):
            require(State("s", tree=tree), Precondition(None, {path: 1}))
    assert tree.last_change(("l", "never")) == 0
    assert tree.apply([Put(("l",), E(1))], 3).last_change(("l", "0", "x")) == 3


def test_paths_of_items_are_restored_from_the_front_and_deleted_from_the_back() -> None:
    many = list(range(12))
    assert with_paths({"l": [0, 1]}, {"l": many}, *(f"l.{n}" for n in range(2, 12))) == {"l": many}
    assert with_paths({"l": many}, {"l": [0, 1]}, *(f"l.{n}" for n in range(2, 12))) == {"l": [0, 1]}
    assert with_paths({"l": ["a", "b"]}, {}, "l.0", "l.1") == {"l": []}
    assert with_paths({"l": ["a", "b", "c"]}, {"l": ["x"]}, "l.2", "l.0", "l.1") == {"l": ["x"]}
    assert with_paths({"m": {"10": 1, "2": 2}}, {"m": {"2": 3}}, "m.10", "m.2") == {"m": {"2": 3}}


def test_the_paths_keep_the_places_of_the_others() -> None:
    now, target = {"a": 1, "c": 3, "e": 5}, {"a": 1, "b": {"y": 1, "x": 2}, "c": 9, "d": 4, "e": 5}
    assert list(with_paths(now, target, "b").items()) == [("a", 1), ("b", {"y": 1, "x": 2}), ("c", 3), ("e", 5)]
    assert list(with_paths(now, target, "b")["b"]) == ["y", "x"]
    assert list(with_paths({"b": 1, "a": 2}, {"a": 1, "b": 1}, "a")) == ["b", "a"]
    assert with_paths(now, target, "b.x", "d") == {"a": 1, "b": {"x": 2}, "c": 3, "d": 4, "e": 5}


def test_going_back_to_an_earlier_attempt_supersedes_the_later_one_of_the_same_step() -> None:
    world = World()
    world.states["wf"] = written(State("wf"), Set(("a",), E(1)), Set(("a",), E(2)), Set(("a",), E(3)))
    workflow = Workflow("wf")
    for checkpoint in (mark(1), mark(2, 1), mark(2, 2), mark(3, 2)):
        workflow = workflow.record(checkpoint)
    world.workflows["wf"] = workflow
    layer = Layer(world)
    Restore(StateRef("wf"), Author(), Precondition(), CheckpointRef("wf", 2, 1), (), 1).evaluate(layer, 0)
    assert orders(layer.workflow("wf")) == [(1, 1, False), (2, 1, False), (2, 2, True), (3, 2, True)]
    last_good = layer.workflow("wf").last_good()
    assert last_good is not None
    assert last_good.order == (2, 1)


def test_a_life_does_not_see_the_contents_of_the_one_before() -> None:
    world = World()
    world.states["s"] = written(State("s"), Set(("secret",), E(1)), Set(("b",), E(2)))
    with pytest.raises(NotLoadedError) as missing:
        world.tree(Point("s", 2, 1))
    assert missing.value.need == TreeNeed(Point("s", 2, 1))
    world.states["s"] = State("s", About(incarnation=2))
    with pytest.raises(NotLoadedError):
        world.tree(Point("s", 1, 1))


def test_a_deep_tree_is_bridged() -> None:
    value: object = 1
    for _ in range(128):
        value = {"a": value}
    path = ("p",) * 128
    tree = EMPTY_TREE.apply([Put(path, E(value))], 1)
    other = tree.apply([Put((*path, *["a"] * 128), E(2))], 2)
    assert after(other.root, bridge(other.root, tree.root), 3).encoded() == tree.root.encoded()
    assert isinstance(tree.root, Node)


class LogOf:
    """As much of a store as it takes to read a log, which may end before its head."""

    def __init__(self, entries: int, head: int | None = None) -> None:
        state, self.rows = State("s"), []
        for n in range(entries):
            state, entry = state.advance(plan(state.tree, [("set", Set(("n",), E(n)))]).edits, Author(), n)
            self.rows.append(LogRow(state.revision, encode_entry(entry), state.chain))
        self._head = Head(entries, state.chain) if head is None else Head(head, b"")

    async def head(self, _: LogId) -> Head:
        return self._head

    async def read_log(self, _: LogId, after: int, limit: int) -> list[LogRow]:
        return self.rows[after : after + limit]

    def now(self) -> int:
        return 0

    async def image(self, _: LogId, at_most: int) -> None:
        del at_most


async def test_a_revision_that_is_not_durable_yet_is_not_taken_for_an_earlier_one() -> None:
    world = World()
    store = LogOf(2)
    loader = Loader(cast("Store", store), world)
    world.states["s"] = State("s")
    await loader.bring(TreeNeed(Point("s", 1, 3)))
    with pytest.raises(NotLoadedError):
        world.tree(Point("s", 1, 3))
    store.rows, store._head = LogOf(3).rows, LogOf(3)._head  # noqa: SLF001 - its own module
    await loader.bring(TreeNeed(Point("s", 1, 3)))
    assert world.tree(Point("s", 1, 3)).root.value() == {"n": 2}


@pytest.mark.parametrize("need", [TreeNeed(Point("s", 1, 3)), TreeNeed(Point("s", 1, 5))])
async def test_a_log_that_ends_before_its_head_is_damaged(need: TreeNeed) -> None:
    with pytest.raises(CorruptRecordError):
        await Loader(cast("Store", LogOf(2, head=5)), World()).bring(need)


def test_a_long_list_that_differs_nearly_everywhere_is_put_as_one() -> None:
    now, target = node({"l": list(range(5_000))}), node({"l": list(range(5_000, 0, -1))})
    for one, other in [(now, target), (opened(now), opened(target))]:
        (change,) = bridge(one, other)
        assert change == Put(("l",), E(list(range(5_000, 0, -1))))


def test_of_a_long_list_that_differs_here_and_there_only_that_is_put() -> None:
    few = [{"x": number if number % 100 else -1} for number in range(5_000)]
    now, target = opened(node({"l": few})), opened(node({"l": [{"x": number} for number in range(5_000)]}))
    changes = bridge(now, target)
    assert {change.path[-1] for change in changes} == {"x"}
    assert len(changes) == 50
    assert after(now, changes).encoded() == target.encoded()


@pytest.mark.parametrize("paths", [[()], [(f"k{number}",) for number in range(300)]])
def test_a_way_back_of_many_steps_is_not_for_an_event_loop(paths: list[tuple[str, ...]]) -> None:
    now, target = tree_of({f"k{number}": 0 for number in range(5_000)}), node({f"k{number}": 1 for number in range(5_000)})
    with pytest.raises(LabourError):
        bounded(None, lambda: [changes for _, changes in bridge_paths(now, target, paths)])


@given(st.data(), strategies.maps, strategies.maps)
def test_what_paths_restored_come_to_is_known_without_the_changes(
    data: st.DataObject, now: dict[str, Value], target: dict[str, Value]
) -> None:
    places = sorted({*model.paths_of(now), *model.paths_of(target)})
    paths = data.draw(st.lists(st.sampled_from(places), max_size=4))
    tree = tree_of(now)
    try:
        expected = tree
        for _, changes in bridge_paths(tree, node(target), paths):
            expected = expected.apply(changes, 2)
    except PathError:
        with pytest.raises(PathError):
            restored(tree, node(target), paths)
        return
    assert restored(tree, node(target), paths).encoded() == expected.root.encoded()
