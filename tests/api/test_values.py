"""api.md, "Values"."""

import collections
import dataclasses
import decimal
import enum
import fractions
import math
import pathlib
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import Client, InvalidValueError, SharedState, TooLargeError

EAST = timezone(timedelta(hours=5, minutes=30))
MIB = 1024 * 1024

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    127,
    128,
    -32,
    -33,
    255,
    256,
    65535,
    65536,
    2**31,
    2**32,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "text",
    "null",
    "\x00",
    "ünï\u0301",
    "\U0001f600" * 20,
    "\u2028\uffff\ufeff",
    "x" * 70_000,
    b"",
    b"\x00\xff",
    bytes(range(256)) * 300,
    datetime(2026, 11, 23, 5, 34, 14, 123456, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    [],
    {},
    [[], {}, [None]],
    [1, 1.0, True, "1", b"1"],
    {"z": 1, "a": 2, "m": {"y": 1, "b": 2}},
    {"a.b": {"c\\d": 1, "0": 2, " ": 3, "\x00": 4}},
    list(range(70_000)),
    {f"k{number}": number for number in range(70_000)},
]


def _exact(value: object) -> object:
    """Something that is equal only for equal values of the same types, orders of maps included."""
    if isinstance(value, dict):
        return dict, [(name, _exact(child)) for name, child in value.items()]
    if isinstance(value, list):
        return list, [_exact(child) for child in value]
    return type(value), repr(value)


def _label(value: object) -> str:
    return repr(value)[:24]


@pytest.mark.parametrize("value", VALUES, ids=_label)
async def test_each_comes_back_equal_and_of_the_same_type(state: SharedState, value: object) -> None:
    await state.set("x", value)
    assert _exact(await state.get("x")) == _exact(value)
    await state.set("m", {"list": [value], "map": {"k": value}})
    assert _exact(await state.get("m.list.0")) == _exact(value)
    assert _exact(await state.get("m.map.k")) == _exact(value)


async def test_each_comes_back_from_everywhere(client: Client, state: SharedState) -> None:
    tree = {f"v{number}": value for number, value in enumerate(VALUES[:46])}
    await state.set("", tree)
    snapshot = await state.snapshot(metadata=tree)
    assert _exact(snapshot.metadata) == _exact(tree)
    (entry,) = await state.get_history("")
    assert _exact(entry.value) == _exact(tree)
    made = await client.checkpoints.create_checkpoint(state.state_id, 1, "a", "completed", tree, metadata=tree)
    assert _exact(made.metadata) == _exact(tree)
    await state.set("", {})
    await state.restore(made)
    assert _exact(await state.to_dict()) == _exact(tree)
    assert _exact(await (await state.fork()).to_dict()) == _exact(tree)
    await state.merge(tree, "merged")
    await state.append("list", *VALUES[:46])
    assert _exact(await state.get("merged")) == _exact(tree)
    assert _exact(await state.get("list")) == _exact(VALUES[:46])


async def test_each_survives_a_restart(folder: pathlib.Path) -> None:
    tree = {f"v{number}": value for number, value in enumerate(VALUES)}
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            state = client.state("x")
            await state.set("", tree)
            await state.set("v0", 5)
            process.kill()
            process.start()
            assert _exact(await state.to_dict()) == _exact({**tree, "v0": 5})
            await state.restore(1)
            assert _exact(await state.to_dict()) == _exact(tree)
    finally:
        process.close()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=EAST),
        datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=-3, seconds=7))),
    ],
)
async def test_a_datetime_comes_back_in_utc_to_the_microsecond(state: SharedState, moment: datetime) -> None:
    await state.set("x", moment)
    back = await state.get("x")
    assert back == moment.astimezone(UTC)
    assert back.utcoffset() == timedelta(0)
    assert back.microsecond == moment.microsecond


async def test_dots_are_literal_inside_values(state: SharedState) -> None:
    await state.set("x", {"a.b": 1})
    assert await state.get("x") == {"a.b": 1}
    assert not await state.exists("x.a")
    assert await state.get(r"x.a\.b") == 1


# What is refused


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Name(enum.StrEnum):
    A = "a"


class Pair(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Thing:
    x: int


class MyDict(dict[str, int]):
    pass


class MyList(list[int]):
    pass


class MyStr(str):
    __slots__ = ()


class MyInt(int):
    pass


class MyFloat(float):
    pass


class MyBytes(bytes):
    pass


class MyDatetime(datetime):
    pass


class Nowhere(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        del dt

    def dst(self, dt: datetime | None) -> None:
        del dt

    def tzname(self, dt: datetime | None) -> None:
        del dt


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: (1, 2), "tuple"),
    (lambda: {1, 2}, "set"),
    (lambda: frozenset({1}), "frozenset"),
    (lambda: bytearray(b"x"), "bytearray"),
    (lambda: memoryview(b"x"), "memoryview"),
    (lambda: 1j, "complex"),
    (lambda: 2**63, "int"),
    (lambda: -(2**63) - 1, "int"),
    (lambda: 2**64 - 1, "int"),
    (lambda: decimal.Decimal(1), "Decimal"),
    (lambda: fractions.Fraction(1), "Fraction"),
    (uuid.uuid4, "UUID"),
    (lambda: pathlib.Path("x"), "PosixPath"),
    (lambda: date(2026, 1, 1), "date"),
    (lambda: timedelta(1), "timedelta"),
    (lambda: datetime(2026, 1, 1), "datetime"),  # noqa: DTZ001 - naive: that is the point
    (lambda: datetime(2026, 1, 1, tzinfo=Nowhere()), "datetime"),
    (lambda: datetime(1, 1, 1, tzinfo=EAST), "datetime"),
    (lambda: "\ud800", "str"),
    (lambda: {"\udfff": 1}, "str"),
    (lambda: {"": 1}, "str"),
    (lambda: {1: 1}, "int"),
    (lambda: {None: 1}, "NoneType"),
    (lambda: {("a",): 1}, "tuple"),
    (lambda: {MyStr("a"): 1}, "MyStr"),
    (lambda: Color.RED, "Color"),
    (lambda: Number.ONE, "Number"),
    (lambda: Name.A, "Name"),
    (lambda: Pair(1, 2), "Pair"),
    (lambda: Thing(1), "Thing"),
    (lambda: collections.OrderedDict(a=1), "OrderedDict"),
    (lambda: collections.defaultdict(int), "defaultdict"),
    (lambda: MyDict(a=1), "MyDict"),
    (lambda: MyList([1]), "MyList"),
    (lambda: MyStr("a"), "MyStr"),
    (lambda: MyInt(1), "MyInt"),
    (lambda: MyFloat(1), "MyFloat"),
    (lambda: MyBytes(b"x"), "MyBytes"),
    (lambda: MyDatetime(2026, 1, 1, tzinfo=UTC), "MyDatetime"),
    (object, "object"),
    (lambda: int, "type"),
    (lambda: len, "builtin_function_or_method"),
    ({"a": 1}.keys, "dict_keys"),
    (lambda: (x for x in "x"), "generator"),
    (lambda: NotImplemented, "NotImplementedType"),
]


@pytest.mark.parametrize(("make", "name"), REFUSED, ids=[name for _, name in REFUSED])
async def test_anything_else_is_refused_by_name_and_writes_nothing(
    state: SharedState, make: Callable[[], Any], name: str
) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: state.set("x", make()),
        lambda: state.update({"fine": 1, "x": make()}),
        lambda: state.merge(make(), "x"),
        lambda: state.append("x", 1, make()),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError) as caught:
            await call()
        assert name in caught.value.type_name
        assert name in str(caught.value)
    with pytest.raises(InvalidValueError) as caught:
        await state.set("x", {"deep": [0, {"a.b": make()}]})
    assert caught.value.path == r"deep.1.a\.b"
    assert name in caught.value.type_name
    assert r"deep.1.a\.b" in str(caught.value).replace("\\\\", "\\")
    assert await state.revision() == 0
    assert await state.to_dict() == {}


async def test_a_value_that_contains_itself_is_refused(state: SharedState) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValueError):
        await state.set("x", endless)


async def test_a_value_of_64_levels(state: SharedState) -> None:
    value: object = "deep"
    for level in range(64):
        value = {"m": value} if level % 2 else [value]
    await state.set("x", value)
    assert await state.get("x") == value
    assert await (await state.fork()).get("x") == value


async def test_deeper_than_python_recurses_is_refused(state: SharedState) -> None:
    value: object = 1
    for _ in range(sys.getrecursionlimit() * 2):
        value = [value]
    with pytest.raises(InvalidValueError):
        await state.set("x", value)
    assert await state.revision() == 0


# Sizes


async def test_a_value_of_5_mb(state: SharedState) -> None:
    values: list[Any] = [b"\x01" * 5_000_000, "ü" * 2_500_000, {f"k{n}": b"x" * 1_000_000 for n in range(5)}]
    for value in values:
        await state.set("x", value)
        assert await state.get("x") == value
    assert [entry.value for entry in await state.get_history("x")] == values
    await state.restore(1)
    assert await state.get("x") == values[0]
    await state.append("list", *[b"y" * 1_000_000] * 5)
    assert await state.get("list.4") == b"y" * 1_000_000
    await state.update({f"u{n}": b"z" * 1_000_000 for n in range(5)})
    assert await state.keys() == ["x", "list", "u0", "u1", "u2", "u3", "u4"]


@pytest.mark.slow
async def test_a_value_of_64_mib_and_one_beyond(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    value = bytes(64 * MIB)
    assert await state.set("x", value, timeout=60) == 1
    assert await state.get("x", timeout=60) == value
    for beyond in (bytes(64 * MIB + 1), "y" * (64 * MIB + 1)):
        with pytest.raises(TooLargeError) as caught:
            await state.set("y", beyond, timeout=60)
        assert caught.value.reason == "TOO_LARGE"
    assert await state.revision() == 1
    assert not await state.exists("y")
    assert await state.set("small", 1) == 2, "and the client goes on"
    await client.delete_state(state_id)


@pytest.mark.slow
async def test_a_call_beyond_64_mib(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    half = bytes(33 * MIB)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: state.update({"a": half, "b": half}, timeout=60),
        lambda: state.append("list", half, half, timeout=60),
    ]
    for call in calls:
        with pytest.raises(TooLargeError):
            await call()
    with pytest.raises(TooLargeError):  # noqa: PT012 - what a block does
        async with state.transaction(timeout=60) as tx:
            tx.set("a", half)
            tx.set("b", half)
    assert await state.revision() == 0
    assert await state.to_dict() == {}
