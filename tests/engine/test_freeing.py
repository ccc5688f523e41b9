"""Revisions are taken apart as far as nothing else refers to them."""

import random
import sys
import tracemalloc

from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.freeing import take_apart
from lastgood_daemon.engine.labour import LONG_BYTES
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.state import State, plan
from lastgood_daemon.engine.trail import Mark
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.values import encode


def written(state: State, edit: Edit) -> State:
    return state.advance(plan(state.tree, [("edit", edit)]).edits, Author(), 1)[0]


def drawn(choose: random.Random) -> Edit:
    name = f"k{choose.randrange(20)}"
    match choose.randrange(4):
        case 0:
            return Delete((name,))
        case 1:
            return Append(("list",), (encode(choose.random()),))
        case _:
            return Set((name, f"n{choose.randrange(5)}"), encode(choose.random()))


def test_what_others_refer_to_stays() -> None:
    choose = random.Random(1)
    state = State("s")
    for _ in range(200):
        state = written(state, drawn(choose))
    marks = [state.trail.marks[revision] for revision in range(1, 201)]
    kept = {mark.tree.revision: mark.tree for mark in marks if mark.tree.revision % 7 == 0}
    before = {revision: tree.root.encoded() for revision, tree in kept.items()}
    gone: list[Mark | Tree | bytes] = [mark for mark in marks if mark.tree.revision not in kept]
    kept[200], before[200] = state.tree, state.tree.root.encoded()
    del state, marks
    take_apart(gone)
    assert not gone
    assert {revision: tree.root.encoded() for revision, tree in kept.items()} == before


def test_what_nothing_else_refers_to_goes() -> None:
    values = [encode(f"value {number}") for number in range(1_000)]
    state = State("s")
    for number, value in enumerate(values):
        state = written(state, Set(("m", f"k{number}"), value))
    held = [sys.getrefcount(value) for value in values]
    gone: list[Mark | Tree | bytes] = [*state.trail.marks.values(), state.tree]
    del state
    take_apart(gone)
    left = [sys.getrefcount(value) for value in values]
    assert all(after < before for after, before in zip(left, held, strict=True))


def test_large_bytes_that_others_refer_to_stay() -> None:
    there = bytes(range(256)) * 4 * LONG_BYTES
    before = there[:]
    part = memoryview(there)[LONG_BYTES:]
    take_apart([there])
    assert there == before
    gone: list[Mark | Tree | bytes] = [there]
    del there, before
    take_apart(gone)
    assert part[:256] == bytes(range(256))


def test_large_bytes_go_where_nothing_else_refers_to_them() -> None:
    tracemalloc.start()
    try:
        gone: list[Mark | Tree | bytes] = [bytes(100 * LONG_BYTES)]
        take_apart(gone)
        assert tracemalloc.get_traced_memory()[0] < LONG_BYTES
    finally:
        tracemalloc.stop()
