"""Taking values apart piece by piece comes to the same as at once."""

import tracemalloc
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.drawn import any_values, keys

from lastgood_daemon.engine import encoded
from lastgood_daemon.engine.encoded import copied, is_list, is_map, is_same, joined, open_list, open_map, pieces
from lastgood_proto.values import decode, encode

containers = st.lists(any_values, max_size=40) | st.dictionaries(keys, any_values, max_size=40)


@pytest.mark.slow
@given(value=containers, size=st.sampled_from([1, 8, 40]), large=st.sampled_from([2, 16, 1_000]))
def test_pieces_hold_what_the_whole_holds_in_its_order(value: Any, size: int, large: int) -> None:  # noqa: ANN401 - any value
    with mock.patch.multiple(encoded, PIECE_BYTES=size, _LARGE_BYTES=large):
        data = encode(value)
        if isinstance(value, list):
            opened = [decode(bytes(item)) for item in open_list(data)]
            assert encode(opened) == data
            assert is_list(data)
            assert not is_map(data)
        else:
            children = {name: decode(bytes(child)) for name, child in open_map(data).items()}
            assert encode(children) == data
            assert is_map(data)
            assert not is_list(data)
        parts: list[Any] = [decode(bytes(piece)) for piece in pieces(data)]
        assert [encode(each) for part in parts for each in part] == [*map(encode, value)]


def test_a_large_list_comes_in_pieces_of_a_bounded_size() -> None:
    data = encode([{"id": number, "content": "x" * 250} for number in range(5_000)])
    sizes = [memoryview(part).nbytes for part in pieces(data)]
    assert len(sizes) > len(data) // (2 * encoded.PIECE_BYTES)
    assert max(sizes) < 2 * encoded.PIECE_BYTES


def test_an_item_that_is_larger_than_a_piece_is_one() -> None:
    large = "x" * (3 * encoded.PIECE_BYTES)
    assert [decode(bytes(item)) for item in open_list(encode([1, large, 2]))] == [1, large, 2]


@given(parts=st.lists(st.binary(max_size=20), max_size=40), size=st.sampled_from([1, 8, 40]))
def test_parts_are_joined_in_their_order(parts: list[bytes], size: int) -> None:
    with mock.patch.object(encoded, "PIECE_BYTES", size):
        assert joined(iter(parts)) == b"".join(parts)


def test_a_large_part_is_not_copied() -> None:
    large = ["x" * 1000] * 1000
    for data, opened in ((whole := encode({"a": 1, "b": large}), open_map), (encode([1, large]), open_list)):
        tracemalloc.start()
        found = opened(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found) == 2
        assert peak < len(whole) // 2


def test_the_same_bytes_are_found_in_any_form() -> None:
    data = bytes(range(256)) * 1000
    assert is_same(data, memoryview(copied(memoryview(data))))
    assert not is_same(data, data[:-1] + b"x")
    assert not is_same(data, data[:-1])


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize(
    "data", [b"\x92\x01", b"\x91\x01\x02", b"\x81\xa1a", b"\x81\xa1a\x01\x02", b"\x91\xa5a", b"\xdd\xff\xff\xff\xff\x01"]
)
def test_bytes_that_end_elsewhere_are_refused(data: bytes, size: int) -> None:
    opening = open_list if is_list(data) else open_map
    with mock.patch.object(encoded, "PIECE_BYTES", size), pytest.raises(msgspec.DecodeError):
        opening(data)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_map_with_another_key_than_text_is_refused(size: int) -> None:
    with mock.patch.object(encoded, "PIECE_BYTES", size), pytest.raises(msgspec.ValidationError):
        open_map(b"\x82\xa1a\x01\x02\x03")
