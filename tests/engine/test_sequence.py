"""The persistent list against Python's own."""

from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.engine import sequence
from lastgood_daemon.engine.sequence import Sequence, slid

WIDTHS = st.sampled_from([2, 3, 4, 32])


@given(WIDTHS, st.data())
def test_any_splices_and_replacements(width: int, data: st.DataObject) -> None:
    with mock.patch.object(sequence, "WIDTH", width):
        plain = list(range(data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 9, 31, 32, 33, 64, 65]))))
        shared = Sequence(plain)
        versions = [(list(plain), shared)]
        for step in range(data.draw(st.integers(1, 12))):
            if plain and data.draw(st.integers(0, 3)) == 0:
                index = data.draw(st.integers(0, len(plain) - 1))
                plain[index] = -step
                shared = shared.replace(index, -step)
            else:
                index = data.draw(st.integers(0, len(plain)) | st.just(len(plain)))
                removed = data.draw(st.sampled_from([0, 0, 1, len(plain) - index]) | st.integers(0, len(plain) - index))
                removed = min(removed, len(plain) - index)
                items = [1000 * step + n for n in range(data.draw(st.integers(0, 5) | st.just(40)))]
                plain[index : index + removed] = items
                shared = shared.splice(index, removed, iter(items))
            versions.append((list(plain), shared))
        for expected, version in versions:
            assert list(version) == expected
            assert len(version) == len(expected)
            assert [version[index] for index in range(len(expected))] == expected
            assert list(reversed(version)) == expected[::-1]
            start, stop = sorted(data.draw(st.integers(0, len(expected))) for _ in range(2))
            assert version.part(start, stop) == expected[start:stop]
            with pytest.raises(IndexError):
                version[len(expected)]
            _check_shape(version, width)


def _check_shape(version: Sequence[Any], width: int) -> None:
    """All leaves are equally deep, nothing is wider than it may be, nothing but the root is empty."""

    def depth(node: Any) -> int:  # noqa: ANN401 - a leaf or a branch
        assert len(node.items) <= width
        if isinstance(node, sequence.Leaf):
            assert node.size == len(node.items)
            return 0
        assert node.size == sum(child.size for child in node.items)
        assert all(child.size for child in node.items)
        (below,) = {depth(child) for child in node.items}
        return int(below) + 1

    depth(version._root)  # noqa: SLF001 - its shape is what is tested


def test_a_list_that_only_grows_is_dense_and_shares_its_front() -> None:
    shared: Sequence[int] = Sequence()
    for n in range(5_000):
        shared = shared.splice(len(shared), 0, [n])
    assert list(shared) == list(range(5_000))
    longer = shared.splice(5_000, 0, [5_000])
    nodes, more = _nodes(shared), _nodes(longer)
    assert len(nodes) < 5_000 / sequence.WIDTH * 1.1
    assert len(more.keys() - nodes.keys()) <= 4


def test_changing_one_item_copies_one_node_a_level() -> None:
    shared = Sequence(range(40_000))
    for changed in (shared.replace(20_000, -1), shared.splice(20_000, 1, []), shared.splice(20_000, 1, [7])):
        assert len(_nodes(changed).keys() - _nodes(shared).keys()) <= 6


def test_many_items_at_once_are_as_dense_as_one_by_one() -> None:
    shared = Sequence([0]).splice(1, 0, range(1, 5_000))
    assert list(shared) == list(range(5_000))
    assert len(_nodes(shared)) < 5_000 / sequence.WIDTH * 1.1
    shared = shared.splice(2_000, 1_000, range(10_000))
    _check_shape(shared, sequence.WIDTH)
    assert len(_nodes(shared)) < 14_000 / sequence.WIDTH * 1.2


class Equality:
    """Whether two numbers are equal in tens, and for how many pairs that was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, one: int, other: int) -> bool:
        self.asked += 1
        return one // 10 == other // 10


def _plain_ends(one: list[int], other: list[int]) -> tuple[int, int]:
    one, other = [n // 10 for n in one], [n // 10 for n in other]
    shorter = min(len(one), len(other))
    front = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    back = next((n for n in range(shorter - front) if one[-1 - n] != other[-1 - n]), shorter - front)
    return front, back


@given(WIDTHS, st.data())
def test_common_ends(width: int, data: st.DataObject) -> None:
    with mock.patch.object(sequence, "WIDTH", width):
        numbers = st.lists(st.sampled_from([0, 1, 10, 20]), max_size=12)
        plain = data.draw(numbers) + [100 * n for n in range(data.draw(st.sampled_from([0, 5, 70])))]
        one = other = Sequence(plain)
        for _ in range(data.draw(st.integers(0, 3))):
            index = data.draw(st.integers(0, len(other)) | st.just(len(other)))
            removed = min(data.draw(st.integers(0, 3)), len(other) - index)
            other = other.splice(index, removed, data.draw(numbers))
        for left, right in ((one, other), (other, one), (Sequence(plain), other), (other, other)):
            assert left.common_ends(right, Equality()) == _plain_ends(list(left), list(right))


def test_what_two_versions_share_is_not_compared() -> None:
    shared = Sequence(range(0, 400_000, 10))
    for other, ends, asked in (
        (shared, (40_000, 0), 0),
        (shared.splice(40_000, 0, [1, 2, 3]), (40_000, 0), 0),
        (shared.replace(20_000, -1), (20_000, 19_999), 2),
        (shared.splice(0, 0, [-1]), (0, 40_000), 2),
        (shared.splice(20_000, 1, [-1, -2]), (20_000, 19_999), 2),
        (shared.splice(20_000, 500, []), (20_000, 19_500), 2),
        (shared.splice(100, 1, [-1]).splice(30_000, 1, [-1]), (100, 9_999), 2),
    ):
        for left, right in ((shared, other), (other, shared)):
            equality = Equality()
            assert left.common_ends(right, equality) == ends
            assert equality.asked <= asked, ends
        compared = _walked(shared, other)
        assert compared <= 20 * sequence.WIDTH


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.lists(st.integers(0, 2), max_size=6))
def test_a_window_that_slides(size: int, gone: int, length: int, some: list[int]) -> None:
    old, new = list(range(size)), list(range(gone, gone + length))
    assert slid(old, new, int.__eq__) == (gone if gone < size <= gone + length else 0)
    found = slid(some, new, int.__eq__)
    assert not found or new[: len(some) - found] == some[found:]


def _walked(one: Sequence[int], other: Sequence[int]) -> int:
    """How many nodes comparing two lists opens, as far as it shows: those of which it looks at the children."""
    with mock.patch.object(sequence, "isinstance", side_effect=isinstance, create=True) as looked:
        one.common_ends(other, Equality())
    return looked.call_count


def _nodes(shared: Sequence[int]) -> dict[int, object]:
    found: dict[int, object] = {}
    waiting: list[Any] = [shared._root]  # noqa: SLF001 - its shape is what is tested
    while waiting:
        node = waiting.pop()
        found[id(node)] = node
        if not isinstance(node, sequence.Leaf):
            waiting.extend(node.items)
    return found
