"""Bytes that other programs send: what becomes of them, and what is refused."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.drawn import any_values, same

from lastgood_daemon.engine import encoded
from lastgood_daemon.rpc import canonical as checking
from lastgood_daemon.rpc.canonical import canonical
from lastgood_proto.paths import MAX_DEPTH
from lastgood_proto.values import InvalidValue, decode, encode


@contextmanager
def by_parts(piece: int) -> Iterator[None]:
    """Have values taken apart that are larger than so many bytes."""
    with mock.patch.object(checking, "_PIECE_BYTES", piece), mock.patch.object(encoded, "PIECE_BYTES", max(piece, 1)):
        yield


@pytest.mark.parametrize(
    ("foreign", "value"),
    [
        (b"\xcc\x01", 1),
        (b"\xcd\x00\x01", 1),
        (b"\xce\x00\x00\x00\x01", 1),
        (b"\xcf" + b"\x00" * 7 + b"\x01", 1),
        (b"\xd0\x01", 1),
        (b"\xd3" + b"\xff" * 8, -1),
        (b"\xcf\x7f" + b"\xff" * 7, 2**63 - 1),
        (b"\xd3\x80" + b"\x00" * 7, -(2**63)),
        (b"\xca\x3f\x80\x00\x00", 1.0),
        (b"\xca\x7f\x80\x00\x00", math.inf),
        (b"\xd9\x01a", "a"),
        (b"\xda\x00\x01a", "a"),
        (b"\xdb\x00\x00\x00\x01a", "a"),
        (b"\xc6\x00\x00\x00\x01a", b"a"),
        (b"\xdc\x00\x01\xc0", [None]),
        (b"\xdd\x00\x00\x00\x00", []),
        (b"\xde\x00\x01\xd9\x01a\xcc\x01", {"a": 1}),
        (b"\xdf\x00\x00\x00\x00", {}),
        (b"\xc7\x0c\xff" + struct.pack(">iq", 1000, 0), datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)),
        (b"\xd7\xff" + struct.pack(">Q", 1), datetime(1970, 1, 1, second=1, tzinfo=UTC)),
    ],
)
def test_foreign_bytes_become_the_shortest(foreign: bytes, value: object) -> None:
    assert canonical(foreign) == encode(value)
    assert same(decode(canonical(foreign)), value)
    assert len(canonical(foreign)) <= len(foreign) or type(value) is float


@pytest.mark.parametrize(
    ("foreign", "type_name"),
    [
        (b"\xcf" + b"\xff" * 8, "int"),
        (b"\xcf\x80" + b"\x00" * 7, "int"),
        (b"\xd4\x05\x01", "msgspec.msgpack.Ext"),
        (b"\xc7\x00\x2a", "msgspec.msgpack.Ext"),
        (b"\x81\x01\x01", "int"),
        (b"\x81\xc0\x01", "NoneType"),
        (b"\x81\xc4\x01a\x01", "bytes"),
        (b"\x81\x91\x01\x01", "tuple"),
        (b"\x81\xa0\x01", "str"),
        (b"\x81\xc2\x01", "bool"),
    ],
)
def test_foreign_bytes_of_what_is_no_value(foreign: bytes, type_name: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        canonical(foreign)
    assert (refused.value.path, refused.value.type_name) == ("", type_name)
    with pytest.raises(InvalidValue) as refused:
        canonical(b"\x81\xa1a\x92\x01" + foreign)
    assert (refused.value.path, refused.value.type_name) == ("a.1", type_name)


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"\xc1",
        b"\x01\x01",
        b"\x91",
        b"\xa2a",
        b"\xa1\xff",
        b"\xa3\xed\xa0\x80",
        b"\x81\xa1\xff\x01",
        b"\x81\x81\x01\x01\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff\xa1a",
        b"\xdb\xff\xff\xff\xffa",
        b"\xc6\xff\xff\xff\xffa",
        b"\xd4\xff\x01",
        b"\xc7\x0c\xff" + struct.pack(">iq", 0, 2**62),
    ],
)
def test_foreign_bytes_that_are_no_message_pack(foreign: bytes) -> None:
    with pytest.raises(InvalidValue, match="not one MessagePack value"):
        canonical(foreign)


def test_foreign_bytes_nested_too_deep() -> None:
    assert canonical(b"\x91" * MAX_DEPTH + b"\x01") == b"\x91" * MAX_DEPTH + b"\x01"
    for depth in (MAX_DEPTH + 1, 5_000, 200_000):
        with pytest.raises(InvalidValue, match="nested deeper"):
            canonical(b"\x91" * depth + b"\x01")


def test_of_a_foreign_key_that_comes_twice_the_last_value_counts() -> None:
    # As in every MessagePack and JSON decoder of Python; the bytes that are kept have it once.
    assert canonical(b"\x83\xa1a\x01\xa1b\x02\xa1a\x03") == encode({"a": 3, "b": 2})


@given(st.binary(max_size=30))
def test_any_bytes_are_refused_or_become_canonical(foreign: bytes) -> None:
    try:
        shortest = canonical(foreign)
    except InvalidValue:
        return
    assert canonical(shortest) == shortest == encode(decode(shortest))


@pytest.mark.slow
@given(value=any_values, piece=st.sampled_from([0, 1, 8, 40, 1_000_000]))
def test_a_large_value_is_checked_part_by_part_with_the_same_result(value: Any, piece: int) -> None:  # noqa: ANN401
    with by_parts(piece):
        assert canonical(encode(value)) == encode(value)


@given(foreign=st.binary() | any_values.map(msgspec.msgpack.Encoder().encode), piece=st.sampled_from([0, 1, 8]))
@example(foreign=b"\x82\xa1a\x01\xa1a\x02", piece=0)  # a key that comes twice
@example(foreign=b"\x81\x01\x02", piece=0)
@example(foreign=b"\x81\xa0\x02", piece=0)
@example(foreign=b"\x92\x01\x81\xa1\xff\x02", piece=0)
@example(foreign=b"\xdd\x00\x00\x00\x01\xd3\x00\x00\x00\x00\x00\x00\x00\x01", piece=0)
@example(foreign=b"\x91" * 200 + b"\x01", piece=0)
@example(foreign=b"\x81\xa1a" * 200 + b"\x01", piece=1)
@example(foreign=b"\x92\x01", piece=0)
@example(foreign=b"\x91\xd4\x00\x00\x00", piece=0)  # wrong in two ways
def test_foreign_bytes_are_judged_the_same_part_by_part(foreign: bytes, piece: int) -> None:
    def judged() -> tuple[object, ...]:
        try:
            return (canonical(foreign),)
        except InvalidValue as error:
            return error.path, error.type_name, str(error).split(":")[0]

    whole = judged()
    with by_parts(piece):
        assert judged() == whole
