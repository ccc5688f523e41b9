"""The persistent list against Python's own."""

from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.engine import sequence
from lastgood_daemon.engine.sequence import Sequence

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
            with pytest.raises(IndexError):
                version[len(expected)]
            _check_shape(version, width)


def _check_shape(version: Sequence[Any], width: int) -> None:
    """All leaves are equally deep, nothing is wider than it may be, nothing but the root is empty."""

    def depth(node: Any) -> int:  # noqa: ANN401 - a leaf or a branch
        assert len(node.items) <= width
        if isinstance(node, sequence._Leaf):  # noqa: SLF001 - its shape is what is tested
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


def _nodes(shared: Sequence[int]) -> dict[int, object]:
    found: dict[int, object] = {}
    waiting: list[Any] = [shared._root]  # noqa: SLF001 - its shape is what is tested
    while waiting:
        node = waiting.pop()
        found[id(node)] = node
        if not isinstance(node, sequence._Leaf):  # noqa: SLF001 - its shape is what is tested
            waiting.extend(node.items)
    return found
