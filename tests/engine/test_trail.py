"""What the trail keeps at hand is bounded by the memory that it takes, not by the bytes that were written."""

from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.state import State, plan
from lastgood_proto.values import encode

MANY = 20_000
LARGE = {f"k{number}": number for number in range(MANY)}


def written(state: State, *edits: Edit) -> State:
    """Return the next revision, worked out in a thread."""
    return working(
        lambda: state.advance(plan(state.tree, [("edit", edit) for edit in edits]).edits, Author("agent"), state.revision)[0]
    )


def test_small_revisions_stay() -> None:
    state = State("s")
    for number in range(50):
        state = written(state, Set(("a", f"k{number % 7}"), encode(number)))
    assert [*sorted(state.trail.marks)] == [*range(1, 51)]
    assert state.trail.touched_since(48, 50) == [("a", "k6"), ("a", "k0")]


def test_a_revision_of_very_many_paths_keeps_none_before_it() -> None:
    state = written(State("s"), Set(("m",), encode(LARGE)))
    state = written(state, *(Set(("m", name), encode(-1)) for name in LARGE))
    assert [*state.trail.marks] == [2]
    assert state.trail.touched_since(1, 2) is None
    state = written(state, Set(("n",), encode(1)))
    assert [*state.trail.marks] == [3], "nor does it stay when there is a next one"


def test_nor_does_one_that_replaces_very_many_parts() -> None:
    for replacing in (Set(("m",), encode({name: str(value) for name, value in LARGE.items()})), Delete(("m",))):
        state = written(State("s"), Set(("m",), encode(LARGE)))
        state = written(state, Set(("m", "k7"), encode("opened")))
        assert [*sorted(state.trail.marks)] == [1, 2]
        state = written(state, replacing)
        assert [*state.trail.marks] == [3]


def test_a_large_content_that_is_shared_counts_once() -> None:
    state = written(State("s"), Set(("l",), encode([*range(MANY)])), Set(("m",), encode(LARGE)))
    for number in range(50):
        state = written(state, Append(("l",), (encode(number),)), Set(("m", f"k{number}"), encode("x")))
    assert [*sorted(state.trail.marks)] == [*range(1, 52)]
