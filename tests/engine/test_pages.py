"""What a page costs: what it gives, wherever it begins."""

import gc
from itertools import islice
from typing import Any
from unittest import mock
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from tests.engine.test_difference import node, opened, pairs

from lastgood_daemon.engine import order
from lastgood_daemon.engine.difference import Difference, NoSuchDifferenceError, differences
from lastgood_daemon.engine.labour import LabourError, bounded
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.order import in_order, values_from

MANY = 20_000


def as_bytes(found: list[Difference]) -> list[tuple[Any, ...]]:
    return [(path, kind, old and old.encoded(), new and new.encoded()) for path, kind, old, new in found]


@given(pairs())
def test_differences_go_on_from_any_of_them(pair: tuple[Any, Any]) -> None:
    old, new = opened(node(pair[0])), node(pair[1])
    found = list(differences(old, new))
    for index, begin in enumerate(found):
        assert as_bytes(list(differences(old, new, start=begin.path))) == as_bytes(found[index:])


@pytest.mark.parametrize("start", [("no",), ("a", "no"), ("b", "no")])
def test_a_place_that_is_nowhere(start: tuple[str, ...]) -> None:
    with pytest.raises(NoSuchDifferenceError):
        list(differences(node({"a": {"x": 1}, "b": {"y": 1}}), node({"a": {"z": 1}, "b": {}}), start=start))


def two_versions() -> tuple[Node, Node]:
    return tuple(opened(node({f"k{number}": number + more for number in range(MANY)})) for more in (0, 1))  # type: ignore[return-value]


def test_a_page_looks_at_no_more_than_it_gives() -> None:
    old, new = two_versions()
    everything = list(differences(old, new))
    assert len(everything) == MANY

    def page(start: int) -> list[Difference]:
        """A page of 500, which looks at two thousand parts at most, or it is no work for an event loop."""
        return list(islice(differences(old, new, start=everything[start].path), 500))

    for start in (0, 500, MANY // 2, MANY - 500):
        assert bounded(None, lambda start=start: page(start)) == everything[start : start + 500]  # type: ignore[misc]


def test_what_looks_at_many_parts_is_not_for_an_event_loop() -> None:
    old, new = two_versions()
    with pytest.raises(LabourError):
        bounded(None, lambda: list(differences(old, new)))
    one, other = (opened(node(["text" * 100] * MANY + [last])) for last in (0, 1))
    with pytest.raises(LabourError):
        bounded(None, lambda: list(differences(one, other)))


def test_an_order_is_found_once_for_each_version_of_a_map() -> None:
    entries = Map({f"k{number}": -number for number in range(3 * order.RUN)})
    with pytest.raises(LabourError):
        bounded(None, lambda: in_order(entries, int))
    found = in_order(entries, int)
    assert bounded(None, lambda: in_order(entries, int)) is found
    assert in_order(entries.set("new", 1), int) is not found


def test_an_order_does_not_keep_its_map() -> None:
    entries = Map({number: number for number in range(2 * order.RUN)})
    in_order(entries, int)
    weak = ref(entries)
    del entries
    gc.collect()
    assert weak() is None


def test_no_more_orders_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "MOST", 3 * order.RUN)
    maps = [Map({number: number + each for number in range(2 * order.RUN)}) for each in range(3)]
    found = [in_order(each, int) for each in maps]
    assert [in_order(maps[index], int) is found[index] for index in (2, 1, 0)] == [True, True, False]


@given(st.dictionaries(st.text(max_size=3), st.integers(-5, 5) | st.integers(0, 2**60), max_size=40), st.data())
def test_an_order_is_that_of_the_positions(values: dict[str, int], data: st.DataObject) -> None:
    expected = sorted(values, key=lambda name: (values[name], name))
    with mock.patch.object(order, "RUN", data.draw(st.integers(1, 5))):
        entries = Map(values)
        assert in_order(entries, int) == expected
        for name in expected:
            place = (values[name], name)
            assert list(values_from(entries, int, place)) == [values[each] for each in expected[expected.index(name) :]]
