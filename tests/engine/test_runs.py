"""Lists whose small items are kept in runs of bytes: the same in every respect as lists of nodes, and much smaller."""

import tracemalloc
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import strategies
from tests.engine.test_redaction import told

from lastgood_daemon.engine import node
from lastgood_daemon.engine.change import Change, Patch, Put, Splice
from lastgood_daemon.engine.compared import Compared
from lastgood_daemon.engine.delta import delta
from lastgood_daemon.engine.image import Image, decode_image, encode_image, same_image
from lastgood_daemon.engine.labour import LONG_BYTES, LabourError, working
from lastgood_daemon.engine.node import EncodedRun, ListBody, Node, opened_bytes, packed
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.restore import bridge
from lastgood_daemon.engine.rewriting import redacted_tree
from lastgood_daemon.engine.sequence import Sequence
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto.values import decode, encode

small = st.integers(-300, 300) | st.text(max_size=3) | st.just([1]) | st.just({"x": 1}) | strategies.scalars
values = st.lists(small, max_size=40)


def items_of(tree: Tree) -> list[object]:
    found = tree.root.value()
    assert isinstance(found, dict)
    items = found["l"]
    assert isinstance(items, list)
    return items


def drawn_change(data: st.DataObject, tree: Tree) -> Change:
    """A change of the list, or of an item of it, or of all of it."""
    size = len(items_of(tree))
    index = data.draw(st.integers(0, size))
    match data.draw(st.integers(0, 4)):
        case 0 if index < size:
            return Put(("l", str(index)), encode(data.draw(small)))
        case 1:
            new = encode(data.draw(values))
            changes = delta(tree.find(("l",)) or tree.root, new)
            return Patch(("l",), tuple(changes)) if changes else Put(("l",), new)
        case 2:
            return Splice(("l",), size, 0, [encode(item) for item in data.draw(st.lists(small, max_size=30))])
        case _:
            removed = data.draw(st.integers(0, size - index))
            return Splice(("l",), index, removed, [encode(item) for item in data.draw(st.lists(small, max_size=8))])


def seen(tree: Tree) -> object:
    size = len(items_of(tree))
    indexes = [str(index) for index in range(size + 2)]
    below = [tree.last_change(("l", index, name)) for index in indexes for name in ("0", "x")]
    found = [None if (item := tree.find(("l", index))) is None else item.value() for index in indexes]
    return tree.root.encoded(), told(tree), [tree.last_change(("l", index)) for index in indexes], below, repr(found)


@settings(max_examples=80)
@given(st.data(), values)
def test_a_list_in_runs_is_a_list_of_nodes(data: st.DataObject, first: list[object]) -> None:
    """Whatever is done to it: values, last changes, what is gone, images, redaction, and the way back to any version."""
    with mock.patch.multiple(node, RUN_ITEMS=7, FEW_ITEMS=3, RUN_BYTES=60, SMALL_BYTES=9):
        runs = [EMPTY_TREE.apply([Put(("l",), encode(first))], 1, 1)]
        changes: list[Change] = []
        for revision in range(2, data.draw(st.integers(2, 6))):
            changes.append(drawn_change(data, runs[-1]))
            runs.append(runs[-1].apply(changes[-1:], revision, revision))
            if data.draw(st.booleans()):
                runs[-1] = decode_image(encode_image(Image(runs[-1], b"", 0))).tree
        found = [seen(tree) for tree in runs]
        for tree in runs:
            image = Image(tree, b"", 0)
            again = decode_image(encode_image(image))
            assert same_image(again, image)
            assert seen(again.tree) == seen(tree)
            back = runs[-1].apply(bridge(runs[-1].root, tree.root), 99)
            assert back.root.encoded() == tree.root.encoded()
            redacted_tree(tree, Redactor("nowhere in it", "x"))
    with mock.patch.object(node, "FEW_ITEMS", 10**9), mock.patch.object(node, "RUN_BYTES", 0):
        nodes = [EMPTY_TREE.apply([Put(("l",), encode(first))], 1, 1)]
        for revision, change in enumerate(changes, 2):
            nodes.append(nodes[-1].apply([change], revision, revision))
        assert found == [seen(tree) for tree in nodes]


def big(count: int) -> Node:
    return Node(1, encoded=encode([index % 100 for index in range(count)]))


@pytest.mark.slow
def test_an_append_to_many_numbers_costs_their_bytes() -> None:
    root = EMPTY_TREE.apply([Put(("l",), big(300_000).encoded())], 1)
    tracemalloc.start()
    try:
        after = working(lambda: root.apply([Splice(("l",), 300_000, 0, [encode(7)])], 2))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 600_000, "it was 125 bytes an item"
    assert peak < 12_000_000
    assert after.last_change(("l", "300000")) == 2
    assert after.last_change(("l", "299999")) == 1
    assert len(encode_image(Image(after, b"", 0))) < 330_000
    assert opened_bytes(after.root) < 1000


def test_items_appended_at_once_become_runs() -> None:
    root = EMPTY_TREE.apply([Put(("l",), encode([0] * 100))], 1)
    after = working(lambda: root.apply([Splice(("l",), 100, 0, [encode(7)] * 10_000)], 2))
    body = (after.find(("l",)) or after.root).open()
    assert isinstance(body, ListBody)
    assert body.items.loose < 100
    assert [after.last_change(("l", index)) for index in ("99", "100", "10099", "10100")] == [1, 2, 2, 0]


def test_a_change_takes_apart_what_lies_around_it() -> None:
    root = EMPTY_TREE.apply([Put(("l",), encode([0] * 10_000))], 1)
    after = working(lambda: root.apply([Put(("l", "5000"), encode(1))], 2))
    body = (after.find(("l",)) or after.root).open()
    assert isinstance(body, ListBody)
    assert body.items.loose == 32 + 16, "and what is left over at the end"
    assert len(body.items) == 10_000


def test_what_is_large_or_has_changed_in_another_revision_is_in_no_run() -> None:
    nodes = [Node(1, encoded=encode(1)) for _ in range(100)]
    nodes += [Node(2, encoded=encode(1)) for _ in range(100)]
    nodes += [Node(2, encoded=encode("x" * 100)) for _ in range(100)]
    leaves = [*packed(nodes)]
    assert [leaf.size for leaf in leaves if isinstance(leaf, EncodedRun)] == [100, 100]
    items = Sequence.of_leaves(leaves)
    assert items.loose == 100
    assert [item.changed for item in items] == [1] * 100 + [2] * 200


def test_items_that_are_in_no_run_lie_in_full_leaves() -> None:
    nodes = [Node(index, encoded=encode(1)) for index in range(1000)]
    assert [leaf.size for leaf in packed(nodes)] == [32] * 31 + [8]


def test_a_large_value_in_the_place_of_a_small_item_is_compared_once() -> None:
    tree = working(lambda: EMPTY_TREE.apply([Put(("l",), encode([0] * 1000))], 1).apply([Splice(("l",), 0, 0, [])], 2))
    compared, new = Compared(), encode("x" * 2 * LONG_BYTES)
    with pytest.raises(LabourError) as asked:
        compared.delta(tree.find(("l", "5")) or tree.root, new)
    asked.value.work()
    assert compared.delta(tree.find(("l", "5")) or tree.root, new) is None


def test_maps_of_many_entries_weigh_what_they_take() -> None:
    entries = {f"k{index:06}": index % 100 for index in range(20_000)}
    root = Node(1, encoded=encode({"m": entries}))
    tracemalloc.start()
    try:
        tree = working(lambda: Tree(1, 0, root, EMPTY_TREE.graves).apply([Put(("m", "x"), encode(1))], 2))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < opened_bytes(tree.root) < 2 * kept
    assert decode(tree.root.encoded()) == {"m": {**entries, "x": 1}}
