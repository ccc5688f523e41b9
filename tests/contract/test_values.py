"""What a value may be: it comes back equal and of the same type, or it is refused by name."""

import enum
import math
import struct
from collections import Counter, OrderedDict, UserDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lastgood_proto import values
from lastgood_proto.paths import MAX_DEPTH
from lastgood_proto.values import InvalidValue, canonical, check, decode, encode

zones = st.one_of(
    st.just(UTC),
    st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone),
    st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")]),
)
# A day off the ends, where UTC could not express it.
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)  # noqa: DTZ001 - the zones are drawn
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**n + d for n in (5, 7, 8, 15, 16, 31, 32, 53, 62) for d in (-1, 0, 1)]),
    st.floats(),
    st.text(),
    st.binary(),
    moments,
)
keys = st.text(min_size=1)
any_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(keys, inner, max_size=20), max_leaves=25
)


def same(left: Any, right: Any) -> bool:  # noqa: ANN401 - any value
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return list(left) == list(right) and all(type(k) is str for k in left) and all(same(left[k], right[k]) for k in left)
    if type(left) is list:
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is float:
        return struct.pack(">d", left) == struct.pack(">d", right)
    if type(left) is datetime:
        # Not ==: of two zones Python calls an hour that comes twice unequal to everything (PEP 495).
        return bool(left.astimezone(UTC) == right.astimezone(UTC))
    return bool(left == right)


@given(any_values)
@example(float("nan"))
@example(struct.unpack(">d", b"\xff\xf0\x00\x00\x00\x00\x00\x01")[0])
@example([True, 1, 1.0, False, 0, 0.0, -0.0, None])
@example(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
@example({"a.b": {"c\\d": {"0": []}}})
def test_a_value_comes_back(value: Any) -> None:  # noqa: ANN401 - any value
    check(value)
    back = decode(encode(value))
    assert same(back, value)
    assert encode(back) == encode(value)
    assert canonical(encode(value)) == encode(value)


@given(moments)
def test_a_datetime_comes_back_in_utc_to_the_microsecond(moment: datetime) -> None:
    back = decode(encode(moment))
    assert isinstance(back, datetime)
    assert back == moment.astimezone(UTC)
    assert back.tzinfo is UTC
    assert back.microsecond == moment.astimezone(UTC).microsecond


@given(any_values, any_values)
@example(1, True)  # noqa: FBT003 - a value
@example(1, 1.0)
@example(0.0, -0.0)
@example({"a": 1, "b": 2}, {"b": 2, "a": 1})
@example("a", b"a")
def test_values_are_the_same_exactly_if_their_bytes_are(left: Any, right: Any) -> None:  # noqa: ANN401 - any value
    assert (encode(left) == encode(right)) == same(left, right)


class Colour(enum.IntEnum):
    RED = 1


class Flavour(enum.StrEnum):
    SWEET = "sweet"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Raw(bytes):
    pass


class Items(list[int]):
    pass


class Moment(datetime):
    pass


class Pair(NamedTuple):
    left: int
    right: int


class Struct(msgspec.Struct):
    left: int = 1


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind

REFUSED: list[tuple[object, str]] = [
    ((), "tuple"),
    ((1, 2), "tuple"),
    (set(), "set"),
    (frozenset({1}), "frozenset"),
    (Colour.RED, "Colour"),
    (Flavour.SWEET, "Flavour"),
    (Text("x"), "Text"),
    (Number(1), "Number"),
    (Real(1), "Real"),
    (Raw(b"x"), "Raw"),
    (Items(), "Items"),
    (OrderedDict(a=1), "collections.OrderedDict"),
    (defaultdict(int), "collections.defaultdict"),
    (Counter("a"), "collections.Counter"),
    (UserDict(), "collections.UserDict"),
    (Pair(1, 2), "Pair"),
    (Point(1, 2), "Point"),
    (Struct(), "Struct"),
    (bytearray(b"x"), "bytearray"),
    (memoryview(b"x"), "memoryview"),
    (1 + 2j, "complex"),
    (Decimal(1), "decimal.Decimal"),
    (Fraction(1, 2), "fractions.Fraction"),
    (UUID(int=1), "uuid.UUID"),
    (Path("x"), "PosixPath"),
    (date(2026, 1, 1), "datetime.date"),
    (timedelta(1), "datetime.timedelta"),
    (Moment(2026, 1, 1, tzinfo=UTC), "Moment"),
    (datetime(2026, 1, 1), "datetime"),  # noqa: DTZ001 - the naive one is refused
    (datetime(2026, 1, 1).time(), "datetime.time"),  # noqa: DTZ001 - as above
    (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "datetime"),
    (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "datetime"),
    (2**63, "int"),
    (-(2**63) - 1, "int"),
    (10**1000, "int"),
    ("\ud800", "str"),
    ("a\udfff", "str"),
    (object(), "object"),
    (int, "type"),
    (len, "builtin_function_or_method"),
    (..., "ellipsis"),
    ({1: 1}, "int"),
    ({None: 1}, "NoneType"),
    ({b"a": 1}, "bytes"),
    ({(): 1}, "tuple"),
    ({Text("a"): 1}, "Text"),
    ({Flavour.SWEET: 1}, "Flavour"),
    ({True: 1}, "bool"),
    ({"": 1}, "str"),
    ({"\udc00": 1}, "str"),
    (msgspec.msgpack.Ext(5, b""), "msgspec.msgpack.Ext"),
    (msgspec.Raw(b"\x01"), "msgspec.Raw"),
]


@pytest.mark.parametrize(("value", "type_name"), REFUSED, ids=[f"{name}-{n}" for n, (_, name) in enumerate(REFUSED)])
def test_a_type_that_is_refused_is_named_with_its_path(value: object, type_name: str) -> None:
    places: list[tuple[object, str]] = [
        (value, ""),
        ([1, "x", value], "2"),
        ({"a": {"b.c": [None, value]}}, "a.b\\.c.1"),
        ([[{"\\": value}]], "0.0.\\\\"),
    ]
    for whole, path in places:
        for function in (check, encode):
            with pytest.raises(InvalidValue) as refused:
                function(whole)
            assert refused.value.path == path
            assert refused.value.type_name.rpartition(".")[2] == type_name.rsplit(".", maxsplit=1)[-1]
            if "." in type_name:
                assert refused.value.type_name == type_name or type_name.startswith("msgspec")
            assert repr(path) in str(refused.value) or not path


def test_the_first_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidValue) as refused:
        encode({"fine": 1, "bad": (), "worse": {1, 2}})
    assert (refused.value.path, refused.value.type_name) == ("bad", "tuple")


def nested(depth: int, *, kind: type) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
def test_the_depth_is_bounded(kind: type) -> None:
    assert same(decode(encode(nested(MAX_DEPTH, kind=kind))), nested(MAX_DEPTH, kind=kind))
    for depth in (MAX_DEPTH + 1, 5_000):
        with pytest.raises(InvalidValue, match="nested deeper than 128 levels") as refused:
            encode(nested(depth, kind=kind))
        assert refused.value.type_name == kind.__name__


def test_what_contains_itself_is_refused() -> None:
    items: list[object] = []
    items.append(items)
    mapping: dict[str, object] = {"a": items}
    mapping["self"] = [mapping]
    items.append(mapping)
    for value in (items, mapping):
        with pytest.raises(InvalidValue, match="contains itself"):
            encode(value)


def test_the_same_object_twice_is_two_values() -> None:
    shared = {"x": [1]}
    back = decode(encode([shared, shared]))
    assert back == [shared, shared]
    assert isinstance(back, list)
    assert back[0] is not back[1]


# Bytes from elsewhere.


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
        b"\x91" * 5_000 + b"\x01",
    ],
)
def test_foreign_bytes_that_are_no_message_pack(foreign: bytes) -> None:
    with pytest.raises(InvalidValue, match="not one MessagePack value"):
        canonical(foreign)


def test_foreign_bytes_nested_too_deep() -> None:
    assert canonical(b"\x91" * MAX_DEPTH + b"\x01") == b"\x91" * MAX_DEPTH + b"\x01"
    with pytest.raises(InvalidValue, match="nested deeper"):
        canonical(b"\x91" * (MAX_DEPTH + 1) + b"\x01")


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


@given(value=any_values, piece=st.sampled_from([0, 1, 8, 40]))
def test_a_large_value_is_checked_part_by_part_with_the_same_result(value: Any, piece: int) -> None:  # noqa: ANN401
    with mock.patch.object(values, "_PIECE_BYTES", piece):
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
def test_foreign_bytes_are_judged_the_same_part_by_part(foreign: bytes, piece: int) -> None:
    def judged() -> tuple[object, ...]:
        try:
            return (canonical(foreign),)
        except InvalidValue as error:
            return error.path, error.type_name, str(error).split(":")[0]

    whole = judged()
    with mock.patch.object(values, "_PIECE_BYTES", piece):
        assert judged() == whole
