"""What a value may be: it comes back equal and of the same type, or it is refused by name."""

import enum
import struct
from collections import Counter, OrderedDict, UserDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from tests.support.drawn import any_values, moments, same

from lastgood_proto.paths import MAX_DEPTH
from lastgood_proto.values import InvalidValue, check, decode, encode


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


@given(moments)
def test_a_datetime_comes_back_in_utc_to_the_microsecond(moment: datetime) -> None:
    back = decode(encode(moment))
    assert isinstance(back, datetime)
    assert back == moment.astimezone(UTC)
    assert back.tzinfo is UTC
    assert back.microsecond == moment.astimezone(UTC).microsecond


@pytest.mark.slow
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


@pytest.mark.parametrize("wrong", [2**63, -(2**63) - 1, "\ud800", (), 1.5 + 2j], ids=repr)
@pytest.mark.parametrize("items", [[1], ["a"], [None, True, 0.5, b"b"], [1, "a"]], ids=repr)
def test_one_that_is_wrong_among_many_is_found_where_it_stands(items: list[object], wrong: object) -> None:
    many = items * 1000
    assert decode(encode(many)) == many
    many[700] = wrong
    with pytest.raises(InvalidValue, match=r"\(at '700' inside the value\)"):
        encode(many)
