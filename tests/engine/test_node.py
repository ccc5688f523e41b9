"""What of a value says that to encode it takes long."""

from typing import Any

import pytest

from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.node import LONG_ENCODED, MANY, ListBody, MapBody, Node
from lastgood_proto.values import encode


def opened(value: Any, levels: int) -> Node:  # noqa: ANN401 - any value
    """Give a node that somebody has looked into, so many levels deep."""
    node = Node(1, encoded=encode(value))
    level = [node]
    for _ in range(levels):
        level = [below for each in level for below in children(working(each.body))]
    return node


def children(body: MapBody | ListBody | None) -> list[Node]:
    match body:
        case MapBody(entries):
            return [entry.node for entry in entries.values()]
        case ListBody(items):
            return list(items)
    return []


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        (None, 0),
        ("x" * (LONG_ENCODED - 100), 0),
        (list(range(MANY)), 1),
        ({str(number): number for number in range(MANY)}, 1),
        ([[1] * 30] * 30, 2),
    ],
)
def test_a_value_of_few_parts_and_bytes_does_not_take_long(value: object, levels: int) -> None:
    assert not opened(value, levels).is_long()


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        ("x" * (LONG_ENCODED + 1), 0),
        (["x" * (LONG_ENCODED // 4)] * 5, 1),
        (list(range(MANY + 1)), 1),
        ({str(number): number for number in range(MANY + 1)}, 1),
        ([[1] * 40] * 40, 2),
    ],
)
def test_one_of_many_takes_long(value: object, levels: int) -> None:
    assert opened(value, levels).is_long()
