"""What each edit does, what it refuses and with which path, and that what is refused changes nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engine import model, strategies
from tests.engine.model import Value

from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set, evaluate
from lastgood_daemon.engine.errors import ConflictError, InvalidValueError, PathError, RefusedError
from lastgood_daemon.engine.image import Image, decode_image, encode_image, same_image
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition, require
from lastgood_daemon.engine.state import State, plan, preview
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto import values
from lastgood_proto.paths import MAX_DEPTH, Path, parse_path

E = values.encode

START = {
    "text": "x",
    "none": None,
    "true": True,
    "int": 1,
    "float": 0.5,
    "top": 2**63 - 1,
    "bottom": -(2**63),
    "list": [1, {"a": 1}, [2]],
    "map": {"0": "zero", "a": {"b": 1}},
    "a.b": {"c\\d": 1},
}


def tree_of(value: object) -> Tree:
    return EMPTY_TREE.apply(evaluate(EMPTY_TREE, Set((), E(value))).changes, 1)


def done(tree: Tree, *edits: Edit) -> Value:
    for edit in edits:
        tree = tree.apply(evaluate(tree, edit).changes, tree.revision + 1)
    return tree.root.value()


def at(path: str, edit: Edit) -> Value:
    """Give what is at a path after one edit of the start."""
    return model.lookup(done(tree_of(START), edit), parse_path(path))


REFUSED_PATHS: list[tuple[str, Edit]] = [
    ("text.a", Set(("text", "a"), E(1))),
    ("text.a.b", Set(("text", "a", "b"), E(1))),
    ("text.0", Set(("text", "0"), E(1))),
    ("none.a", Set(("none", "a"), E(1))),
    ("true.a", Set(("true", "a"), E(1))),
    ("list.3", Set(("list", "3"), E(1))),
    ("list.4", Set(("list", "4"), E(1))),
    ("list.a", Set(("list", "a"), E(1))),
    ("list.01", Set(("list", "01"), E(1))),
    ("list.00", Set(("list", "00"), E(1))),
    ("list.-1", Set(("list", "-1"), E(1))),
    ("list.+1", Set(("list", "+1"), E(1))),
    ("list.²", Set(("list", "²"), E(1))),
    ("list.9999999999999999999999", Set(("list", "9" * 22), E(1))),
    ("list.3.a", Set(("list", "3", "a"), E(1))),
    ("list.0.a", Set(("list", "0", "a"), E(1))),
    ("list.2.1", Set(("list", "2", "1"), E(1))),
    ("a\\.b.c\\\\d.e", Set(("a.b", "c\\d", "e"), E(1))),
    ("text.a", Merge(("text", "a"), E({"b": 1}))),
    ("list.3", Merge(("list", "3"), E({"b": 1}))),
    ("text.a", Append(("text", "a"), (E(1),))),
    ("text", Append(("text",), (E(1),))),
    ("none", Append(("none",), (E(1),))),
    ("map", Append(("map",), (E(1),))),
    ("int", Append(("int",), (E(1),))),
    ("", Append((), (E(1),))),
    ("list.3", Append(("list", "3"), (E(1),))),
    ("text", Increment(("text",), E(1))),
    ("none", Increment(("none",), E(1))),
    ("true", Increment(("true",), E(1))),
    ("list", Increment(("list",), E(1))),
    ("map", Increment(("map",), E(1))),
    ("", Increment((), E(1))),
    ("int.a", Increment(("int", "a"), E(1))),
    ("list.3", Increment(("list", "3"), E(1))),
]


@pytest.mark.parametrize(("path", "edit"), REFUSED_PATHS)
def test_a_path_that_does_not_allow_it(path: str, edit: Edit) -> None:
    tree = tree_of(START)
    with pytest.raises(PathError) as refused:
        evaluate(tree, edit)
    assert refused.value.metadata == {"path": path}
    assert repr(path) in refused.value.message
    assert tree.root.encoded() == E(START)


@pytest.mark.parametrize(
    ("type_name", "edit"),
    [
        ("int", Increment(("top",), E(1))),
        ("int", Increment(("bottom",), E(-1))),
        ("int", Increment(("top",), E(2**63 - 1))),
        ("bool", Increment(("int",), E(True))),  # noqa: FBT003 - a value
        ("str", Increment(("int",), E("1"))),
        ("NoneType", Increment(("int",), E(None))),
        ("list", Increment(("int",), E([]))),
    ],
)
def test_a_number_that_cannot_be_added(type_name: str, edit: Edit) -> None:
    with pytest.raises(InvalidValueError) as refused:
        evaluate(tree_of(START), edit)
    assert refused.value.metadata["type"] == type_name


@pytest.mark.parametrize("value", [None, True, 1, 1.0, "x", b"x", [], [{}], strategies.MOMENT])
def test_the_root_is_a_map(value: object) -> None:
    for edit in (Set((), E(value)), Merge((), E(value))):
        with pytest.raises(InvalidValueError) as refused:
            evaluate(tree_of(START), edit)
        assert "the root" in refused.value.message


def test_set() -> None:
    assert at("new.x.0", Set(("new", "x", "0"), E(1))) == 1
    assert at("new", Set(("new", "x", "0"), E(1))) == {"x": {"0": 1}}, "digits are an index only where a list is"
    assert at("list", Set(("list", "0"), E("new"))) == ["new", {"a": 1}, [2]]
    assert at("list.1", Set(("list", "1", "b", "c"), E(None))) == {"a": 1, "b": {"c": None}}
    assert at("map.0", Set(("map", "0"), E("one"))) == "one"
    assert done(tree_of(START), Set((), E({"b": 1, "a": 2}))) == {"b": 1, "a": 2}
    assert list(done(tree_of(START), Set(("text",), E(1)))) == list(START), "a value replaced keeps its place"
    assert list(done(tree_of({"a": 1, "b": 2}), Delete(("a",)), Set(("a",), E(1)))) == ["b", "a"], "one set anew is the last"


def test_merge() -> None:
    deep = {"a": {"b": {"x": 1, "y": [1, 2]}, "c": 1}, "l": [1]}
    merged = done(tree_of(deep), Merge((), E({"a": {"b": {"y": [3], "z": {}}, "d": None}, "l": {"0": 9}, "n": {"m": {}}})))
    assert model.exactly(merged, {"a": {"b": {"x": 1, "y": [3], "z": {}}, "c": 1, "d": None}, "l": {"0": 9}, "n": {"m": {}}})
    assert done(tree_of({}), Merge(("a", "b"), E({"c": 1}))) == {"a": {"b": {"c": 1}}}
    assert done(tree_of({"l": [{"a": 1}]}), Merge(("l", "0"), E({"b": 2}))) == {"l": [{"a": 1, "b": 2}]}
    assert done(tree_of({"a": 1}), Merge(("a",), E({"b": 2}))) == {"a": {"b": 2}}
    assert done(tree_of({"a": {"b": 2}}), Merge(("a",), E({}))) == {"a": {"b": 2}}
    assert done(tree_of({"a": {"b": 2}}), Merge(("a",), E(3))) == {"a": 3}


def test_append() -> None:
    assert at("list", Append(("list",), (E([]), E(None)))) == [1, {"a": 1}, [2], [], None]
    assert at("list.2", Append(("list", "2"), (E(3),))) == [2, 3]
    assert at("new.list", Append(("new", "list"), (E(1), E({"x": [1]})))) == [1, {"x": [1]}]
    assert evaluate(tree_of(START), Append(("text",), ())).writes is False


@pytest.mark.parametrize(
    ("path", "by", "total"),
    [
        ("int", 1, 2),
        ("int", 0, 1),
        ("int", 0.5, 1.5),
        ("int", -0.0, 1.0),
        ("float", 1, 1.5),
        ("float", 0.5, 1.0),
        ("new", 3, 3),
        ("new", 0, 0),
        ("new.deep", 0.5, 0.5),
        ("top", -1, 2**63 - 2),
        ("top", 0.0, float(2**63)),
        ("bottom", 2**63 - 1, -1),
        ("list.0", 1, 2),
        ("list.2.0", float("inf"), float("inf")),
    ],
)
def test_increment(path: str, by: float, total: float) -> None:
    edit = Increment(parse_path(path), E(by))
    assert evaluate(tree_of(START), edit).number == E(total)
    assert model.exactly(at(path, edit), total)


def test_delete() -> None:
    assert at("list", Delete(("list", "0"))) == [{"a": 1}, [2]]
    assert at("list", Delete(("list", "2", "0"))) == [1, {"a": 1}, []]
    assert at("map", Delete(("map", "0"))) == {"a": {"b": 1}}
    assert at("a\\.b", Delete(("a.b", "c\\d"))) == {}
    assert "none" not in done(tree_of(START), Delete(("none",)))
    assert done(tree_of(START), Delete(())) == {}


@pytest.mark.parametrize("path", ["new", "new.x", "text.x", "list.3", "list.a", "list.00", "none.a", "map.a.b.c"])
def test_deleting_nothing_writes_nothing(path: str) -> None:
    evaluation = evaluate(tree_of(START), Delete(parse_path(path)))
    assert (evaluation.changes, evaluation.writes) == ((), False)
    assert evaluate(EMPTY_TREE, Delete(())).writes is False


@given(strategies.maps)
def test_what_changes_nothing_makes_a_revision_without_changes(value: dict[str, Any]) -> None:
    tree = tree_of(value)
    for path in model.paths_of(value):
        there = E(model.lookup(value, path))
        for edit in (Set(path, there), Merge(path, there)):
            evaluation = evaluate(tree, edit)
            assert (evaluation.changes, evaluation.writes) == ((), True)


edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Set, strategies.paths, strategies.values.map(E)),
    st.builds(Merge, strategies.paths, strategies.values.map(E)),
    st.builds(Append, strategies.paths, st.lists(strategies.values.map(E), max_size=3).map(tuple)),
    st.builds(Increment, strategies.paths, st.sampled_from([1, -1, 0.5, 2**63 - 1, "1"]).map(E)),
    st.builds(Delete, strategies.paths),
)


@given(strategies.maps, st.lists(edits, max_size=6))
@example({"a": [1]}, [Set(("a", "1"), E(1))])
def test_edits_do_what_the_model_does(value: dict[str, Any], some: list[Edit]) -> None:
    """Each edit alone, and all of them as one plan: refused as a whole where one is refused."""
    tree, expected = tree_of(value), value
    start, refusal = tree, None
    for edit in some:
        before = tree.root.encoded()
        try:
            stage = model.perform(expected, edit)
        except model.RefusalError as error:
            refusal = error.kind
            with pytest.raises(error.kind) as refused:
                evaluate(tree, edit)
            if isinstance(refused.value, PathError):
                assert parse_path(refused.value.metadata["path"]) == edit.path
            assert tree.root.encoded() == before
            break
        evaluation = evaluate(tree, edit)
        assert evaluation.writes == (stage is not None)
        after = tree.apply(evaluation.changes, tree.revision + 1)
        assert tree.root.encoded() == before
        tree, expected = after, expected if stage is None else stage.after
        assert tree.root.encoded() == E(expected)
    named = [("edit", edit) for edit in some]
    if refusal is not None:
        with pytest.raises(refusal):
            plan(start, named)
    else:
        planned = plan(start, named)
        changes = [change for logged in planned.edits for change in logged.changes]
        assert start.apply(changes, 2).root.encoded() == E(expected)
        assert preview(start, some).root.encoded() == E(expected)
        assert preview(start, some).revision == start.revision
    assert start.root.encoded() == E(value)


def test_the_number_of_a_plan_is_that_of_its_last_increment() -> None:
    planned = plan(tree_of({"n": 1}), [("increment", Increment(("n",), E(1))), ("increment", Increment(("n",), E(1)))])
    assert planned.number == E(3)
    assert plan(tree_of({}), [("delete", Delete(("a",))), ("append", Append(("a",), ()))]).writes is False


def test_as_deep_as_it_may_be() -> None:
    path: Path = ("p",) * MAX_DEPTH
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    tree = tree_of({})
    tree = tree.apply(evaluate(tree, Set(path, E(value))).changes, 2)
    tree = tree.apply(evaluate(tree, Set((*path, "0", "0"), E({"x": 1}))).changes, 3)
    assert tree.find((*path, "0", "0", "x")) is not None
    assert tree.last_change(path) == 3
    state = State("deep").advance(plan(EMPTY_TREE, [("set", Set(path, E(value)))]).edits, Author(), 1)[0]
    assert state.tree.find(path) is not None


# Preconditions; the rules are proved in test_model, these are their shortest examples.


def history_of(*edits: Edit) -> Tree:
    tree = EMPTY_TREE
    for edit in edits:
        tree = tree.apply(evaluate(tree, edit).changes, tree.revision + 1)
    return tree


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ([], {"": 0, "a": 0, "a.0": 0}),
        ([Set(("a", "b"), E(1))], {"": 1, "a": 1, "a.b": 1, "a.c": 0, "b": 0, "a.b.c": 0}),
        ([Set(("a",), E({"x": 1, "y": 1})), Set(("a", "x"), E(2))], {"a": 2, "a.x": 2, "a.y": 1, "a.z": 0, "": 2}),
        ([Set(("a",), E({"x": 1})), Set(("a",), E({"x": 1}))], {"": 1, "a": 1, "a.x": 1}),
        ([Set(("a",), E({"x": 1, "y": 1})), Set(("a",), E({"x": 1}))], {"a": 2, "a.x": 2, "a.y": 2}),
        ([Set(("a",), E({"x": {"y": 1}})), Set(("a",), E(1)), Set(("a",), E(2))], {"a": 3, "a.x": 2, "a.x.y": 2, "a.z": 0}),
        ([Set(("a",), E(1)), Delete(("a",)), Set(("b",), E(1))], {"a": 2, "a.x": 0, "b": 3}),
        ([Set(("a", "b"), E(1)), Delete(()), Set(("a", "c"), E(1))], {"a": 3, "a.b": 2, "a.c": 3}),
        ([Set(("l",), E([1, 2])), Append(("l",), (E(3),))], {"l": 2, "l.0": 1, "l.1": 1, "l.2": 2, "l.3": 0}),
        ([Set(("l",), E([1, 2, 3])), Set(("l", "1"), E(9))], {"l": 2, "l.0": 1, "l.1": 2, "l.2": 1}),
        (
            [Set(("l",), E([1, 2])), Delete(("l", "1"))],
            {"l": 2, "l.0": 1, "l.1": 2, "l.2": 0, "l.7.x": 0, "l.x": 0},
        ),
        (
            [Set(("l",), E([1, 2])), Set(("l",), E([1])), Set(("l",), E([2]))],
            {"l.1": 3, "l.1.x": 3, "l.2": 0, "l.2.x": 0},
        ),
        ([Set(("l",), E([1, 2])), Set(("l",), E({"x": 1})), Set(("l",), E([]))], {"l.1": 2, "l.2": 0, "l.x": 3}),
        ([Set(("m", "l"), E([1, 2])), Delete(("m",))], {"m.l.1": 2, "m.l.2": 0, "m.l.2.x": 0}),
        ([Set(("l",), E([[1, 2]])), Delete(("l", "0", "0"))], {"l.0.1": 2, "l.0.2": 0, "l.1.0": 0}),
        ([Set(("l",), E([1, 2, 3])), Delete(("l", "0"))], {"l": 2, "l.0": 2, "l.1": 2, "l.2": 2}),
        ([Set(("l",), E([{"x": 1}, {"y": 1}])), Delete(("l", "0"))], {"l.0.x": 2, "l.0.y": 2, "l.1.y": 2}),
    ],
)
def test_the_last_change(edits: list[Edit], changed: dict[str, int]) -> None:
    tree = history_of(*edits)
    assert {path: tree.last_change(parse_path(path)) for path in changed} == changed
    state = State("s", tree=tree)
    for path, revision in changed.items():
        require(state, Precondition(None, {parse_path(path): revision}))
        require(state, Precondition(None, {parse_path(path): tree.revision}))
        with pytest.raises(ConflictError, match="has not reached yet") as refused:
            require(state, Precondition(None, {parse_path(path): tree.revision + 1}))
        assert refused.value.metadata == {"path": path, "expected": str(tree.revision + 1), "actual": str(revision)}
        if revision:
            with pytest.raises(ConflictError) as refused:
                require(state, Precondition(tree.revision, {parse_path(path): revision - 1}))
            assert refused.value.metadata == {"path": path, "expected": str(revision - 1), "actual": str(revision)}


def test_a_precondition_on_the_whole_state() -> None:
    tree = history_of(Set(("a",), E(1)), Set(("a",), E(1)))
    state = State("s", tree=tree)
    require(state, Precondition(2))
    for revision in (0, 1, 3):
        with pytest.raises(ConflictError) as refused:
            require(state, Precondition(revision))
        assert refused.value.metadata == {"expected": str(revision), "actual": "2"}


def test_a_refusal_is_rebuilt_from_its_parts() -> None:
    for kind in (kind for kind in RefusedError.__subclasses__() if "reason" in vars(kind)):
        refusal = RefusedError.rebuild(kind.reason, "why", {"path": "a.b"})
        assert (type(refusal), str(refusal), refusal.metadata) == (kind, "why", {"path": "a.b"})
    assert type(RefusedError.rebuild("SOMETHING", "why", {})) is RefusedError


def test_an_image_of_old_does_not_say_how_long_a_list_was() -> None:
    """Then any index may have been there, and such an image still says what its log says."""
    tree = history_of(Set(("l",), E([1, 2])), Delete(("l", "0")))
    parts = msgspec.msgpack.decode(encode_image(Image(tree, b"", 0)))
    assert parts[4] == [0, 0, {"l": [0, 2, {}, 2]}]
    parts[4][2]["l"].pop()
    old = decode_image(msgspec.msgpack.encode(parts))
    assert [old.tree.last_change(("l", index)) for index in ("1", "7")] == [2, 2]
    assert same_image(old, Image(tree, b"", 0))
    assert encode_image(old) == msgspec.msgpack.encode(parts)
