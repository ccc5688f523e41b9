"""A revision as it is stored, and the chain that holds the revisions together."""

import contextlib
from hashlib import blake2b
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import strategies
from tests.support.rows import entry_of

from lastgood_daemon.engine import encoded, log, long_changes
from lastgood_daemon.engine.change import Change, Patch, Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.labour import LONG_BYTES
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit, chain, decode_row, encode_entry, encode_squash, sealed
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.stored_value import digest_of
from lastgood_proto.values import encode

contents = st.binary(max_size=20)
simple_changes: st.SearchStrategy[SimpleChange] = st.one_of(
    st.builds(Put, strategies.paths, contents, st.none() | st.integers(0, 2**40)),
    st.builds(Remove, strategies.paths),
    st.builds(Splice, strategies.paths, st.integers(0, 2**40), st.integers(0, 5), st.lists(contents, max_size=3)),
)
authors = st.builds(
    Author, st.text(max_size=3), st.text(max_size=3), st.integers(0, 2**40), st.none() | st.integers(0, 2**63)
)
patches: st.SearchStrategy[Change] = st.builds(Patch, strategies.paths, st.lists(simple_changes, max_size=3).map(tuple))
changes = simple_changes | patches
edits = st.builds(
    LoggedEdit, st.sampled_from(["set", "restore"]), strategies.paths, st.lists(changes, max_size=4).map(tuple)
)
entries = st.builds(Entry, st.integers(0, 2**60), authors, st.lists(edits, max_size=3).map(tuple))


@settings(max_examples=50)
@given(entries, st.integers(1, 30))
def test_a_large_row_is_decoded_in_pieces_as_in_one(entry: Entry, size: int) -> None:
    squash = sealed(1, 2, 3, entry.changes(), b"chain")
    rows = [encode_entry(entry), encode_squash(squash)]
    with contextlib.ExitStack() as small:
        for module in (log, long_changes, encoded):
            small.enter_context(mock.patch.object(module, "PIECE_BYTES", size))
        assert [repr(decode_row(row)) for row in rows] == [repr(entry), repr(squash)]
        for row in rows:
            for damaged in (row[:-1], row + b"\x00"):
                with pytest.raises(msgspec.DecodeError):
                    decode_row(damaged)


@given(entries, st.integers(1, 2**40), st.binary(max_size=3))
def test_the_chain_is_the_same_in_one_call_as_in_pieces(entry: Entry, revision: int, before: bytes) -> None:
    author = entry.author[:3] if entry.author.step is None else entry.author
    pieces = b"".join(log._pieces(entry.timestamp, author, entry.edits, digest_of))  # noqa: SLF001 - the other way
    expected = blake2b(before + revision.to_bytes(8) + pieces, digest_size=16).digest()
    assert chain(before, revision, entry) == expected


@given(entries)
def test_an_entry_comes_back_from_its_bytes(entry: Entry) -> None:
    decoded = entry_of(encode_entry(entry))
    assert decoded == entry
    assert encode_entry(decoded) == encode_entry(entry)
    assert repr(decoded) == repr(entry)
    assert decoded.changes() == [change for edit in entry.edits for change in edit.changes]


@given(entries, entries, st.integers(1, 2**40), st.binary(max_size=16))
def test_the_chain_tells_entries_apart(one: Entry, other: Entry, revision: int, before: bytes) -> None:
    assert (chain(before, revision, one) == chain(before, revision, other)) == (one == other)
    assert chain(before, revision, one) == chain(before, revision, entry_of(encode_entry(one)))
    assert len(chain(before, revision, one)) == 16


ENTRY = Entry(
    7,
    Author("ann", "wf", 3),
    (
        LoggedEdit("set", ("a",), (Put(("a", "b"), b"\x01"), Put(("a",), b"\x01", 4))),
        LoggedEdit("delete", ("c",), (Remove(("c",)),)),
        LoggedEdit("append", ("l",), (Splice(("l",), 2, 1, [b"\x01", b"\x02"]),)),
        LoggedEdit("set", ("m",), (Patch(("m",), (Put(("x",), b"\x01"), Remove(("y",)))),)),
    ),
)


def _with(edit: int, change: int, **fields: object) -> Entry:
    edits = list(ENTRY.edits)
    changes: list[Any] = list(edits[edit].changes)
    changes[change] = msgspec.structs.replace(changes[change], **fields)
    edits[edit] = msgspec.structs.replace(edits[edit], changes=tuple(changes))
    return msgspec.structs.replace(ENTRY, edits=tuple(edits))


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(ENTRY, timestamp=8),
        msgspec.structs.replace(ENTRY, author=ENTRY.author._replace(agent_id="bob")),
        msgspec.structs.replace(ENTRY, author=ENTRY.author._replace(workflow_id="wg")),
        msgspec.structs.replace(ENTRY, author=ENTRY.author._replace(attempt=4)),
        msgspec.structs.replace(ENTRY, edits=ENTRY.edits[:2]),
        msgspec.structs.replace(ENTRY, edits=ENTRY.edits[::-1]),
        msgspec.structs.replace(ENTRY, edits=(*ENTRY.edits[:2], msgspec.structs.replace(ENTRY.edits[2], operation="x"))),
        msgspec.structs.replace(ENTRY, edits=(*ENTRY.edits[:2], msgspec.structs.replace(ENTRY.edits[2], path=("m",)))),
        _with(0, 0, path=("a.b",)),
        _with(0, 0, path=("a", "c")),
        _with(0, 0, value=b"\x02"),
        _with(0, 0, position=0),
        _with(0, 1, position=None),
        _with(0, 1, position=5),
        _with(1, 0, path=("d",)),
        _with(2, 0, path=("m",)),
        _with(2, 0, index=1),
        _with(2, 0, removed=0),
        _with(2, 0, items=[b"\x01", b"\x03"]),
        _with(2, 0, items=[b"\x02", b"\x01"]),
        _with(2, 0, items=[b"\x01"]),
        _with(2, 0, items=[b"\x01\x02"]),
        _with(2, 0, items=[]),
        _with(3, 0, path=("n",)),
        _with(3, 0, changes=(Put(("x",), b"\x01"),)),
        _with(3, 0, changes=(Put(("x",), b"\x02"), Remove(("y",)))),
        _with(3, 0, changes=(Put(("z",), b"\x01"), Remove(("y",)))),
        _with(3, 0, changes=(Remove(("y",)), Put(("x",), b"\x01"))),
    ],
)
def test_the_chain_changes_with_every_field(other: Entry) -> None:
    assert chain(b"before", 5, other) != chain(b"before", 5, ENTRY)


def test_the_chain_changes_with_the_revision_and_what_was_before() -> None:
    assert len({chain(before, revision, ENTRY) for before in (b"", b"a", b"b") for revision in (1, 2, 256)}) == 9


@pytest.mark.parametrize("step", [None, 4])
def test_the_chain_can_be_computed_without_the_values(step: int | None) -> None:
    def digest(value: bytes) -> bytes:
        return blake2b(value, digest_size=16).digest()

    redacted = (
        7,
        ("ann", "wf", 3) if step is None else ("ann", "wf", 3, step),  # as before there were steps
        (
            LoggedEdit("set", ("a",), (Put(("a", "b"), digest(b"\x01")), Put(("a",), digest(b"\x01"), 4))),
            LoggedEdit("delete", ("c",), (Remove(("c",)),)),
            LoggedEdit("append", ("l",), (Splice(("l",), 2, 1, [digest(b"\x01"), digest(b"\x02")]),)),
            LoggedEdit("set", ("m",), (Patch(("m",), (Put(("x",), digest(b"\x01")), Remove(("y",)))),)),
        ),
    )
    by_hand = blake2b(b"before" + (5).to_bytes(8, "big") + msgspec.msgpack.encode(redacted), digest_size=16).digest()
    assert by_hand == chain(b"before", 5, Entry(7, Author("ann", "wf", 3, step), ENTRY.edits))


def test_an_entry_from_before_there_were_steps_is_read() -> None:
    old = msgspec.msgpack.encode((ENTRY.timestamp, ENTRY.author[:3], ENTRY.edits))
    assert decode_row(old) == ENTRY


def test_bytes_that_are_no_entry() -> None:
    for damaged in (b"", b"\x90", encode_entry(ENTRY)[:-1], encode_entry(ENTRY) + b"\x00", b"\xc1"):
        with pytest.raises(msgspec.DecodeError):
            decode_row(damaged)


def test_a_text_that_is_none_is_no_entry_either() -> None:
    """What msgspec raises for it is no ``DecodeError``."""
    encoded = encode_entry(Entry(1, Author("agent"), ()))
    with pytest.raises(msgspec.DecodeError):
        decode_row(encoded.replace(b"agent", b"a\xa4ent"))


def many_changes() -> Entry:
    """An entry that is encoded in pieces: of every kind of change, with few and many, small and large values."""
    large = encode("x" * (LONG_BYTES + 1))
    items = [encode(n) for n in range(100)] + [large]
    inner = (Put(("a",), large, 4), Remove(("b",)), Splice(("c",), 1, 2, items))
    edits = [
        *(LoggedEdit("update", (f"k{n}",), (Put((f"k{n}",), encode(n)), Remove((f"r{n}",)))) for n in range(100)),
        LoggedEdit("set", ("m",), (Patch(("m",), inner), Put(("n",), large))),
        LoggedEdit("append", ("l",), (Splice(("l",), 70_000, 0, items),)),
        LoggedEdit("restore", (), (), Point("s", 1, 2)),
    ]
    return Entry(1, Author("ann", "wf", 3, 7), tuple(edits))


def test_an_entry_in_pieces_is_what_one_call_makes_of_it() -> None:
    entry = many_changes()
    for edits in (entry.edits, *((edit,) for edit in entry.edits[-4:])):
        part = Entry(entry.timestamp, entry.author, edits)
        assert encode_entry(part) == msgspec.msgpack.encode(part)
        assert entry_of(encode_entry(part)) == part


def test_the_chain_of_an_entry_in_pieces_is_over_the_hashes_of_its_values() -> None:
    def hashed(change: Change) -> Change:
        match change:
            case Put(path, value, position):
                return Put(path, digest_of(value), position)
            case Splice(path, index, removed, items):
                return Splice(path, index, removed, [digest_of(item) for item in items])
            case Patch(path, changes):
                return Patch(path, tuple(hashed(inner) for inner in changes))  # type: ignore[misc]  # simple ones stay so
            case _:
                return change

    entry = many_changes()
    edits = tuple(LoggedEdit(e.operation, e.path, tuple(map(hashed, e.changes)), e.source) for e in entry.edits)
    skeleton = msgspec.msgpack.encode((entry.timestamp, entry.author, edits))
    by_hand = blake2b(b"before" + (5).to_bytes(8) + skeleton, digest_size=16).digest()
    assert chain(b"before", 5, entry) == by_hand
