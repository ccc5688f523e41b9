"""Redacting a log, and the trees that it makes."""

from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import strategies
from tests.support.drawn import any_values

from lastgood_daemon.engine import encoded, redaction
from lastgood_daemon.engine.change import Change, Patch, Put, Remove, Splice
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.errors import NotRedactableError, RefusedError
from lastgood_daemon.engine.graves import Grave
from lastgood_daemon.engine.image import Image, decode_image, encode_image
from lastgood_daemon.engine.log import (
    Author,
    Entry,
    LoggedEdit,
    Squash,
    chain,
    decode_row,
    encode_entry,
    encode_squash,
    seal_of,
    sealed,
)
from lastgood_daemon.engine.node import ListBody, MapBody, Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.rewriting import redacted_tree, rewritten_row
from lastgood_daemon.engine.state import State, plan
from lastgood_daemon.engine.stored_value import content_of, digest_of, in_place_of
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.values import decode, encode

SECRET = "sk-123"  # noqa: S105
MARK = "[redacted]"

texts = st.sampled_from([SECRET, f"a {SECRET} b", f"{SECRET}{SECRET}", "plain", "sk-12", "é" + SECRET])
leaves = st.one_of(texts, texts.map(str.encode), strategies.scalars, st.just(b"\xff" + SECRET.encode()))
secret_names = st.sampled_from([SECRET, f"x{SECRET}", "é"])


def _grown(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.one_of(strategies.names, strategies.names, secret_names)
    return st.lists(children, max_size=4) | st.dictionaries(names, children, max_size=4)


values: st.SearchStrategy[Any] = st.recursive(leaves, _grown, max_leaves=12)
long = st.lists(values, min_size=20, max_size=40)
"""Set again with a few more, what is stored is the difference."""
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Set, strategies.paths.filter(bool), st.one_of(values, values, long).map(encode)),
    st.builds(
        Append, strategies.paths.filter(bool), st.lists(values, min_size=1, max_size=3).map(lambda v: tuple(map(encode, v)))
    ),
    st.builds(Delete, strategies.paths),
)


def replaced(value: object) -> object:
    """Say what redaction is to come to, in other words."""
    match value:
        case str():
            return value.replace(SECRET, MARK)
        case bytes():
            return value.replace(SECRET.encode(), MARK.encode())
        case list():
            return [replaced(item) for item in value]
        case dict():
            return {str(replaced(name)): replaced(child) for name, child in value.items()}
        case _:
            return value


def seen(node: Node) -> object:
    """Give all that a node says, however it holds it."""
    match node.open():
        case MapBody() as body:
            below = [(name, entry.position, seen(entry.node)) for name, entry in body.ordered()]
            return node.changed, body.next_position, body.renewed, below
        case ListBody(items, renewed):
            return node.changed, renewed, [seen(item) for item in items]
        case _:
            return node.changed, node.encoded()


def graves(grave: Grave) -> object:
    return grave.revision, grave.items, {name: graves(child) for name, child in sorted(grave.below.items())}


def told(tree: Tree) -> object:
    return tree.revision, tree.timestamp, seen(tree.root), graves(tree.graves)


def log_of(drawn: list[Edit]) -> tuple[list[State], list[bytes]]:
    """Write what can be written of some edits; a set is made twice, so that there are differences."""
    states, rows = [State("s")], []
    for now, edit in enumerate(drawn):
        try:
            planned = plan(states[-1].tree, [("set", edit)])
        except RefusedError:
            continue
        if planned.writes:
            state, entry = states[-1].advance(planned.edits, Author("ann"), now)
            states.append(state)
            rows.append(encode_entry(entry))
    return states, rows


def replayed(rows: list[bytes]) -> list[State]:
    states = [State("s")]
    for row in rows:
        entry = decode_row(row)
        assert isinstance(entry, Entry)
        states.append(states[-1].replay(entry, chain(states[-1].chain, states[-1].revision + 1, entry)))
    return states


def rewritten(rows: list[bytes], redactor: Redactor) -> list[bytes]:
    return [rewritten_row(number, row, redactor) or row for number, row in enumerate(rows, 1)]


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(edits, min_size=1, max_size=8))
def test_replaying_a_redacted_log_is_replacing_in_every_tree(drawn: list[Edit]) -> None:
    states, rows = log_of(drawn)
    redactor = Redactor(SECRET, MARK)
    after = replayed(rewritten(rows, redactor))
    redactor.require_apart()
    assert [state.chain for state in after] == [state.chain for state in states]
    for before, now in zip(states, after, strict=True):
        assert now.tree.root.encoded() == encode(replaced(before.tree.root.value()))
        assert told(redacted_tree(before.tree, Redactor(SECRET, MARK)).tree) == told(now.tree)
        assert SECRET.encode() not in encode_image(Image(now.tree, now.chain, 0))


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(edits, min_size=1, max_size=6))
def test_the_present_is_written_again_where_it_has_changed_and_only_there(drawn: list[Edit]) -> None:
    states, _ = log_of(drawn)
    before = states[-1].tree
    data = encode_image(Image(before, b"", 0))
    tree, changes = redacted_tree(decode_image(data).tree, Redactor(SECRET, MARK))
    assert told(tree) == told(redacted_tree(before, Redactor(SECRET, MARK)).tree)
    assert told(decode_image(encode_image(Image(tree, b"", 0))).tree) == told(tree)
    after = tree.apply(changes, tree.revision + 1)
    assert after.root.encoded() == tree.root.encoded() == encode(replaced(before.root.value()))
    assert bool(changes) == (encode(replaced(before.root.value())) != before.root.encoded())
    for change in changes:
        assert after.last_change(change.path) == tree.revision + 1
    assert graves(after.graves) == graves(tree.graves)


@pytest.mark.slow
@given(st.lists(edits, min_size=1, max_size=6))
def test_redacting_twice_keeps_the_first_hash(drawn: list[Edit]) -> None:
    states, rows = log_of(drawn)
    once = rewritten(rows, Redactor(SECRET, MARK))
    assert rewritten(once, Redactor(SECRET, MARK)) == once
    twice = rewritten(once, Redactor("plain", "other"))
    assert [state.chain for state in replayed(twice)] == [state.chain for state in states]


def test_a_redacted_value_is_told_by_its_first_byte_and_keeps_the_hash() -> None:
    value, other = encode(SECRET), encode(MARK)
    stored = in_place_of(value, other)
    assert stored[:1] == b"\xc1"
    assert content_of(stored) == other
    assert content_of(value) == value
    assert digest_of(stored) == digest_of(value) != digest_of(other)
    assert digest_of(in_place_of(stored, encode("x"))) == digest_of(value)


def test_a_flipped_bit_in_what_stands_there_now_breaks_the_chain() -> None:
    stored = in_place_of(encode(SECRET), encode(MARK))
    for bit in range(len(stored) * 8):
        flipped = bytearray(stored)
        flipped[bit // 8] ^= 1 << bit % 8
        assert digest_of(bytes(flipped)) != digest_of(encode(SECRET)), bit


def test_a_squashed_delta_keeps_its_seal() -> None:
    changes: list[Change] = [
        Put(("k",), encode(SECRET)),
        Splice(("l",), 0, 1, [encode([SECRET]), encode(1)]),
        Remove(("r",)),
    ]
    squash = sealed(3, 9, 7, changes, b"chain")
    row = rewritten_row(9, encode_squash(squash), Redactor(SECRET, MARK))
    assert row is not None
    after = decode_row(row)
    assert isinstance(after, Squash)
    assert SECRET.encode() not in row
    assert seal_of(after, 9, b"chain") == after.seal == squash.seal
    first, second, third = after.changes
    assert isinstance(first, Put)
    assert isinstance(second, Splice)
    assert content_of(first.value) == encode(MARK)
    assert [content_of(item) for item in second.items] == [encode([MARK]), encode(1)]
    assert second.items[1] == encode(1)
    assert third == Remove(("r",))


ENTRY = Entry(1, Author("ann"), (LoggedEdit("set", ("k",), (Put(("k",), encode(1)),)),))


def _edit(**fields: object) -> Entry:
    return msgspec.structs.replace(ENTRY, edits=(msgspec.structs.replace(ENTRY.edits[0], **fields),))


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (_edit(changes=(Put(("a", f"x{SECRET}"), encode(1)),)), "a path that revision 7 writes, 'a.x[redacted]'"),
        (_edit(path=(SECRET,)), "a path that revision 7 writes, '[redacted]'"),
        (_edit(changes=(Remove((SECRET, "a")),)), "a path that revision 7 writes, '[redacted].a'"),
        (_edit(changes=(Splice((SECRET,), 0, 0, []),)), "a path that revision 7 writes"),
        (_edit(changes=(Patch(("m",), (Remove((SECRET,)),)),)), "a path that revision 7 writes"),
        (_edit(changes=(Patch((SECRET,), (Remove(("m",)),)),)), "a path that revision 7 writes"),
        (_edit(source=Point(f"of {SECRET}", 1, 1)), "the id of the state that revision 7 was copied from"),
        (msgspec.structs.replace(ENTRY, author=Author(SECRET)), "the author of revision 7"),
        (msgspec.structs.replace(ENTRY, author=Author("", SECRET, 1)), "the author of revision 7"),
    ],
)
def test_what_the_chain_is_over_cannot_be_replaced(entry: Entry, where: str) -> None:
    with pytest.raises(NotRedactableError) as caught:
        rewritten_row(7, encode_entry(entry), Redactor(SECRET, MARK))
    assert caught.value.metadata["revision"] == "7"
    assert caught.value.metadata["where"].startswith(where)
    assert SECRET not in str(caught.value)
    assert "compact it past revision 7" in caught.value.message


@pytest.mark.parametrize(
    "contents",
    [
        [{SECRET: 1, MARK: 2}],
        [{"a": {SECRET: 1}}, {"b": {MARK: 2}}],
        [{f"{SECRET}{MARK}": 1, f"{MARK}{SECRET}": 2}],
    ],
)
def test_names_that_would_become_one_are_refused(contents: list[object]) -> None:
    redactor = Redactor(SECRET, MARK)
    for content in contents:
        redactor.value(encode(content))
    with pytest.raises(NotRedactableError, match="choose another replacement"):
        redactor.require_apart()
    other = Redactor(SECRET, "<gone>")
    for content in contents:
        other.value(encode(content))
    other.require_apart()


def test_a_name_in_a_path_counts_as_met() -> None:
    redactor = Redactor(SECRET, MARK)
    rewritten_row(1, encode_entry(_edit(changes=(Put(("m", MARK), encode({SECRET: 1})),))), redactor)
    with pytest.raises(NotRedactableError, match="choose another replacement"):
        redactor.require_apart()


def test_nothing_is_left_however_it_falls_together() -> None:
    redactor = Redactor("aabb", "ab")
    assert decode(redactor.value(encode(["aaabbb", b"aaabbb", "xaabb"]))) == ["ab", b"ab", "xab"]


def test_numbers_that_look_like_it_are_left_alone() -> None:
    value = encode([115, 107, 45, 49, 50, 51])
    assert SECRET.encode() in value
    assert Redactor(SECRET, MARK).value(value) is value


@given(value=any_values, size=st.sampled_from([1, 8, 40]))
def test_a_large_value_is_redacted_in_pieces_as_at_once(value: Any, size: int) -> None:  # noqa: ANN401 - any value
    whole = encode({"a": ["secret", value], "secret": value, "l": [[value], "x" * 50, {"secret": b"secret"}]})
    expected = Redactor("secret", "[r]").value(whole)
    with (
        mock.patch.multiple(redaction, PIECE_BYTES=size),
        mock.patch.multiple(encoded, PIECE_BYTES=size, _LARGE_BYTES=2 * size),
    ):
        assert Redactor("secret", "[r]").value(whole) == expected
