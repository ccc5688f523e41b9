"""The JSON form of values, where it is written in pieces."""

from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from tests.engine import strategies

from lastgood_daemon.engine import encoded
from lastgood_daemon.engine.portable import value
from lastgood_daemon.engine.portable.value import value_document, value_of
from lastgood_proto import jsonform
from lastgood_proto.jsonform import text_of, text_pieces, to_json
from lastgood_proto.values import encode


@given(strategies.values, st.integers(1, 4))
def test_the_pieces_are_the_text(content: Any, few: int) -> None:  # noqa: ANN401 - any value
    document = to_json(content)
    with mock.patch.multiple(jsonform, _FEW=few, _LONG=few):
        assert "".join(text_pieces(document)) == text_of(document)


def test_no_piece_is_long() -> None:
    rows = [{"path": f"k{number}", "value": [number, {"x": "y"}]} for number in range(20_000)]
    document = {"rows": rows, "numbers": list(range(200_000)), "text": "ü" * 1_000_000}
    found = list(text_pieces(document))
    assert max(map(len, found)) < 100_000
    assert "".join(found) == text_of(document)


@given(strategies.values, st.integers(1, 40))
def test_a_large_value_is_written_as_a_small_one(content: Any, size: int) -> None:  # noqa: ANN401 - any value
    stored = encode(content)
    expected = value_document(stored)
    with mock.patch.object(value, "PIECE_BYTES", size), mock.patch.object(encoded, "PIECE_BYTES", size):
        assert text_of(value_document(stored)) == text_of(expected)
        assert value_of(value_document(stored)) == stored


def test_a_large_value_that_is_not_in_its_shortest_form_is_not_taken_for_one_that_is() -> None:
    number = encode(5)
    for stored in (
        b"\xdc\x00\x02" + number * 2,
        b"\x92" + number + b"\xcc\x05",
        b"\xde\x00\x01\xa1a" + number,
        b"\x81\xd9\x01a" + number,
        b"\x82\xa1a\xcc\x05\xa1b" + number,
    ):
        expected = value_document(stored)
        assert expected.keys() == {"$msgpack"}
        with mock.patch.object(value, "PIECE_BYTES", 1), mock.patch.object(encoded, "PIECE_BYTES", 1):
            assert value_document(stored) == expected
