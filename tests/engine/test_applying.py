"""Many changes applied together come to what they come to one by one: values, order, last changes and what is gone."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.engine.applying import Draft
from lastgood_daemon.engine.change import Change, DamagedLogError, Patch, Put, Remove, Splice
from lastgood_daemon.engine.edits import Append, Delete, Edit, Merge, Set, evaluate
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.image import Image, same_image
from lastgood_daemon.engine.state import plan, preview
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto.paths import Path
from lastgood_proto.values import encode

LONG = [*range(200)]
START: dict[str, object] = {"m": {"a": 1, "b": {"x": 1, "y": [1, 2]}, "c": LONG}, "n": {"a": 1}, "l": [1, {"a": 2}]}

# Few places, so that many edits in a row are in one map, above it, below it or beside it.
paths: st.SearchStrategy[Path] = st.sampled_from(
    [("m", name) for name in "abcde"]
    + [("m", "b", name) for name in "xyz"]
    + [("m", "d", "x"), ("m", "c", "0"), ("n", "a"), ("n", "b", "c"), ("l", "1", "a"), ("l",), ("m",), ("n",), ()]
)
values = st.sampled_from([1, "t", {}, {"x": 1}, {"x": {"y": 1}, "z": 2}, [], [1], [1, 2, 3], [*LONG, 1], LONG[1:]]).map(
    encode
)
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Set, paths, values),
    st.builds(Set, paths, values),
    st.builds(Merge, paths, values),
    st.builds(Append, paths, st.lists(values, max_size=2).map(tuple)),
    st.builds(Delete, paths),
)


def start() -> Tree:
    return EMPTY_TREE.apply([Put((), encode(START)), Patch(("m",), (Put(("a",), encode(3)),))], 1)


@given(st.lists(edits, max_size=12))
def test_a_plan_comes_to_the_same_as_its_edits_one_by_one(some: list[Edit]) -> None:
    tree, changes, done = start(), list[Change](), list[Edit]()
    for edit in some:
        with suppress(RefusedError):
            evaluation = evaluate(tree, edit)
            for change in evaluation.changes:
                tree = tree.apply([change], 2)
            if evaluation.writes:
                done.append(edit)
            changes.extend(evaluation.changes)
    planned = plan(start(), [("edit", edit) for edit in done])
    assert [change for logged in planned.edits for change in logged.changes] == changes
    for together in (planned.tree, start().apply(changes, 2)):
        assert same_image(Image(tree._replace(revision=2), b"", 0), Image(together, b"", 0))
    assert preview(start(), done).root.encoded() == tree.root.encoded()


@pytest.mark.parametrize(
    "damaged",
    [Remove(("m", "no")), Splice(("m", "no"), 0, 0, []), Remove(("m", "no", "x")), Splice(("m", "c"), 500, 1, [])],
)
def test_a_change_that_does_not_fit_an_open_map_is_damage(damaged: Change) -> None:
    draft = Draft(start().root, 2)
    draft.apply(Put(("m", "a"), encode(2)))
    draft.apply(Put(("m", "b"), encode(2)))
    with pytest.raises(DamagedLogError, match="does not fit"):
        draft.apply(damaged)


def test_what_is_read_meanwhile_is_what_is_there_by_then() -> None:
    draft = Draft(start().root, 2)
    for number in range(3):
        draft.apply(Put(("m", f"k{number}"), encode(number)))
    there = map(draft.find, [("m", "k2"), ("m", "k3"), ("m", "b", "x"), ("n", "a")])
    assert [node and node.value() for node in there] == [2, None, 1, 1]
    assert draft.is_in_map(("m", "new"))
    assert draft.is_in_map(("m", "b", "new"))
    assert not draft.is_in_map(("l", "0"))
    whole = draft.find(("m",))
    assert whole is not None
    draft.apply(Put(("m", "k3"), encode(3)))
    assert "k3" not in whole.value()  # type: ignore[operator]
