"""Requests that are read piece by piece: they say the same as read at once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.authority.sessions import digest_of
from lastgood_daemon.rpc import large
from lastgood_daemon.rpc.incoming import PIECE_BYTES, BrokenStreamError, varint
from lastgood_daemon.rpc.large import Large, at_hand, entries_of, payload_of, read_call, read_request
from lastgood_proto.v1 import common_pb2, state_pb2
from lastgood_proto.v1.common_pb2 import Value
from lastgood_proto.v1.session_pb2 import Call


@contextmanager
def by_pieces(size: int) -> Iterator[None]:
    """Have what is larger than so many bytes opened."""
    with mock.patch.object(large, "PIECE_BYTES", size):
        yield


def parts_of(encoded: bytes, size: int) -> list[bytes]:
    return [encoded[begin : begin + size] for begin in range(0, len(encoded), size)]


def whole(read: Large[Any]) -> Message:
    """Return a message that was read, with what was set aside where it belongs."""
    with at_hand(read):
        for value in values_in(read.message):
            if value.HasField("msgpack"):
                value.msgpack = payload_of(value)
    message: Message = read.message
    return message


def values_in(message: Message) -> Iterator[Value]:
    if isinstance(message, Value):
        yield message
    for field, found in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for child in found if field.is_repeated else (found,):
                yield from values_in(child)


texts = st.text(max_size=40)
values = st.builds(Value, msgpack=st.binary(max_size=200)) | st.builds(Value, json=texts)
contexts = st.builds(
    common_pb2.WriteContext,
    state=st.builds(common_pb2.StateRef, state_id=texts),
    agent_id=texts,
    expected=st.builds(common_pb2.Precondition, revision=st.integers(0, 9)),
)
edits = st.one_of(
    st.builds(state_pb2.Edit, path=texts, set=values),
    st.builds(state_pb2.Edit, path=texts, append=st.builds(state_pb2.AppendEdit, items=st.lists(values))),
    st.builds(state_pb2.Edit, path=texts, delete=st.just(state_pb2.DeleteEdit())),
)
operations = st.one_of(
    st.fixed_dictionaries({"set": st.builds(state_pb2.SetRequest, context=contexts, path=texts, value=values)}),
    st.fixed_dictionaries({"append": st.builds(state_pb2.AppendRequest, context=contexts, items=st.lists(values))}),
    st.fixed_dictionaries({"transact": st.builds(state_pb2.TransactRequest, context=contexts, edits=st.lists(edits))}),
    st.fixed_dictionaries({"read": st.builds(state_pb2.ReadRequest, path=texts, pending=st.lists(edits))}),
)
numbers = st.fixed_dictionaries({name: st.integers(0, 300) for name in ("sequence", "timeout_ms", "after")})
calls = st.builds(lambda numbers, operation: Call(**numbers, **operation), numbers, operations)
sizes = st.integers(20, 80)  # no number is larger than the least


@given(calls, sizes, sizes)
def test_a_call_in_pieces_is_the_call(call: Call, piece: int, part: int) -> None:
    name = call.WhichOneof("operation") or ""
    request = getattr(call, name)
    digest = digest_of(name, request.SerializeToString(deterministic=True))
    with by_pieces(piece):
        read = read_call(parts_of(call.SerializeToString(), part))
        alone = read_request(name, type(request)(), parts_of(request.SerializeToString(), part))
    assert (whole(read), whole(alone)) == (call, request)
    assert read.digest == digest or (read.digest is None and request.ByteSize() <= piece)
    assert alone.digest == digest


@given(calls, sizes, sizes, st.data())
def test_a_call_that_is_cut_off_is_refused_where_it_is_at_once(
    call: Call, piece: int, part: int, data: st.DataObject
) -> None:
    encoded = call.SerializeToString()
    cut = encoded[: data.draw(st.integers(0, len(encoded)))]
    assert read_by_pieces(cut, piece, part) == read_at_once(cut)


@given(st.lists(st.binary(min_size=1, max_size=80) | st.sampled_from([b"\x62", b"\x0a", b"\xff", b"\x12\x01"]), max_size=6))
def test_any_bytes_are_read_or_refused_as_at_once(pieces: list[bytes]) -> None:
    encoded = b"".join(pieces)
    found = read_by_pieces(encoded, 20, 5)
    has_groups = any(byte & 7 in (3, 4) for byte in encoded)  # which the contract does not use
    assert found == read_at_once(encoded) or (found is None and has_groups)


def read_at_once(encoded: bytes) -> Message | None:
    try:
        return Call.FromString(encoded)
    except DecodeError:
        return None


def read_by_pieces(encoded: bytes, piece: int, part: int) -> Message | None:
    try:
        with by_pieces(piece):
            return whole(read_call(parts_of(encoded, part)))
    except (BrokenStreamError, DecodeError):
        return None


def test_a_large_value_is_never_in_a_message() -> None:
    request = state_pb2.UpdateRequest()
    for size in (10, 100_000, 1_000_000):
        request.assignments.add(path="a", value=Value(msgpack=b"a" * size))
    read = read_request("update", state_pb2.UpdateRequest(), [request.SerializeToString()])
    assert read.message.ByteSize() < 200
    assert sorted(map(len, read.payloads.values())) == [100_000, 1_000_000]
    assert whole(read) == request


def test_what_was_set_aside_is_found_only_with_its_message() -> None:
    request = state_pb2.SetRequest(value=Value(msgpack=b"a" * 100_000))
    first, second = (read_request("set", state_pb2.SetRequest(), [request.SerializeToString()]) for _ in range(2))
    with at_hand(second):
        assert payload_of(first.message.value) == first.message.value.msgpack
    assert payload_of(first.message.value) == first.message.value.msgpack


def conditional(conditions: Iterable[tuple[str, int]]) -> bytes:
    """Encode a request with conditions as a client does that writes a map in that order."""
    expected = b"".join(common_pb2.Precondition(paths={path: since}).SerializeToString() for path, since in conditions)
    context = b"\x22" + varint(len(expected)) + expected
    return b"\x0a" + varint(len(context)) + context


@pytest.mark.parametrize("count", [3, 10_000])
def test_the_order_of_a_map_says_nothing(count: int) -> None:
    conditions = [(f"path.{number}", number) for number in range(count)]
    encoded = conditional(conditions)

    def read(encoded: bytes) -> Large[state_pb2.SetRequest]:
        return read_request("set", state_pb2.SetRequest(), [encoded])

    found = read(encoded)
    with at_hand(found):
        assert dict(entries_of(found.message.context.expected.paths)) == dict(conditions)
    assert found.message.ByteSize() < PIECE_BYTES
    assert read(conditional(reversed(conditions))).digest == read(encoded).digest
    assert read(conditional([*conditions[:-1], ("path", 1)])).digest != read(encoded).digest
