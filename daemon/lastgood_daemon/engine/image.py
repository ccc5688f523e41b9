"""A whole tree as bytes, with all that later revisions refer to, so that no state need be rebuilt from its first revision.

The values alone would not do. A logged ``Put`` names positions in maps, preconditions ask for last changes and for what is
gone; so an image keeps positions, the revision of every node, and the graves. It is opened one level at a time, as it is
looked into: bringing back a state of 11 MB to read one key of it opens the root and the maps on the way.

    tree {a: 1, l: [x]}, all of it from revision 3, but l[0], which is from 4:

    image    [4, timestamp, chain, log_bytes, graves, 4, ROOT]
    ROOT     [0, 2, {"a": [0, 3, bin(1)],            renewed, next position, name: position, revision, what is there
                     "l": [1, 4, [0, [[4, bin(x)]]]]}]        bin: a value that nobody has looked into

A list with runs is [renewed, items, 0, [[revision, bin(run), items of the run], [revision, ...], ...]].
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec
from immutables import Map
from msgpack import Unpacker

from lastgood_daemon.engine.encoded import PIECE_BYTES, bytes_head, joined, length_in, list_head, map_head, pieces
from lastgood_daemon.engine.graves import UNKNOWN, Grave
from lastgood_daemon.engine.node import EncodedRun, Imaged, ListBody, MapBody, MapEntry, Node, map_of, packed
from lastgood_daemon.engine.order import sorted_in_runs
from lastgood_daemon.engine.sequence import Leaf, Sequence
from lastgood_daemon.engine.tree import Tree

_encode = msgspec.msgpack.Encoder().encode
_decode_image = msgspec.msgpack.Decoder(tuple[int, int, bytes, int, msgspec.Raw, int, msgspec.Raw]).decode
_decode_entries = msgspec.msgpack.Decoder(dict[str, tuple[int, int, msgspec.Raw]]).decode
_decode_bytes = msgspec.msgpack.Decoder(bytes).decode

_MAP_HEAD = 0x93
_LIST_HEAD = 0x92
_RUNS_HEAD = 0x94
"""Of a list with runs: how many items it has, and a number for later, stand between."""
_NUMBER_BYTES = 9
"""The most that an int takes."""


class _Item(msgspec.Struct, array_like=True):
    changed: int
    what: msgspec.Raw
    size: int = 0
    """Of a run, how many items it has."""


_decode_items = msgspec.msgpack.Decoder(list[_Item]).decode


class _Grave(msgspec.Struct, array_like=True):
    revision: int
    items: int
    below: dict[str, "_Grave"]
    most: int = UNKNOWN


_decode_graves = msgspec.msgpack.Decoder(_Grave).decode


class DamagedImageError(Exception):
    """Bytes that are no image."""


class Image(NamedTuple):
    """A state at a revision: its content, and where in its log that is."""

    tree: Tree
    chain: bytes
    log_bytes: int
    """As in the state."""


def encode_image(image: Image) -> bytes:
    """Give an image as bytes. O(its size): work for a thread."""
    return joined(_written(image))


def _written(image: Image) -> Iterator[bytes]:
    tree = image.tree
    yield b"\x97" + b"".join(map(_encode, (tree.revision, tree.timestamp, image.chain, image.log_bytes)))
    yield from _write_grave(tree.graves)
    yield _encode(tree.root.changed)
    yield from _write(tree.root)


def decode_image(data: bytes) -> Image:
    """Give the image of bytes that ``encode_image`` has made; its content stays unopened.

    Raises:
        DamagedImageError: they are none.
    """
    try:
        revision, timestamp, chain, log_bytes, graves, changed, root = _decode_image(data)
        tree = Tree(revision, timestamp, _node(changed, root), _grave(_decode_graves(graves)))
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
        raise DamagedImageError(str(error)) from error
    return Image(tree, chain, log_bytes)


def _write(node: Node) -> Iterator[bytes]:
    sealed = node.sealed()
    if isinstance(sealed, bytes):
        yield from _write_value(sealed)
    elif isinstance(sealed, Imaged):
        yield sealed.data
    else:
        yield from _write_body(node.open())


def _write_value(value: bytes) -> Iterator[bytes]:
    """Encode what nobody has looked into; a large one is not copied."""
    if len(value) <= PIECE_BYTES:
        yield _encode(value)
    else:
        yield bytes_head(len(value))
        yield value


def _write_body(body: MapBody | ListBody | None) -> Iterator[bytes]:
    match body:
        case MapBody(entries, next_position, renewed):
            yield b"\x93" + _encode(renewed) + _encode(next_position) + map_head(len(entries))
            for name in body.names():
                position, child = entries[name]
                head = _encode(name) + b"\x93" + _encode(position) + _encode(child.changed)
                if 0 < child.sealed_bytes <= PIECE_BYTES:
                    yield head + _encode(child.encoded())
                else:
                    yield head
                    yield from _write(child)
        case ListBody(items, renewed):
            yield from _write_list(items, renewed)


def _write_list(items: Sequence[Node], renewed: int) -> Iterator[bytes]:
    runs = sum(isinstance(leaf, EncodedRun) for leaf in items.leaves())
    if runs:
        yield b"\x94" + _encode(renewed) + _encode(len(items)) + _encode(0) + list_head(runs + items.loose)
    else:
        yield b"\x92" + _encode(renewed) + list_head(len(items))
    for leaf in items.leaves():
        if isinstance(leaf, EncodedRun):
            yield b"\x93" + _encode(leaf.changed) + _encode(leaf.data) + _encode(leaf.size)
            continue
        for item in leaf.items:
            yield b"\x92" + _encode(item.changed)
            yield from _write(item)


def _node(changed: int, raw: msgspec.Raw) -> Node:
    data = bytes(raw)
    if data[0] == _MAP_HEAD:
        return Node(changed, body=Imaged(data, is_map=True, open=_open_map, length=_length))
    if data[0] in {_LIST_HEAD, _RUNS_HEAD}:
        return Node(changed, body=Imaged(data, is_map=False, open=_open_list, length=_length))
    return Node(changed, encoded=_decode_bytes(data))


def _open_map(data: bytes) -> MapBody:
    (renewed, next_position), below = _taken_apart(data, 2)
    children = ((name, *child) for piece in pieces(below) for name, child in _decode_entries(piece).items())
    entries = ((name, MapEntry(position, _node(changed, raw))) for name, position, changed, raw in children)
    return MapBody(map_of(entries), next_position, renewed)


def _open_list(data: bytes) -> ListBody:
    (renewed, *_), below = _taken_apart(data, 3 if data[0] == _RUNS_HEAD else 1)
    items = (item for piece in pieces(below) for item in _decode_items(piece))
    return ListBody(Sequence.of_leaves(_leaves(items)), renewed)


def _leaves(items: Iterator[_Item]) -> Iterator[Leaf[Node] | EncodedRun]:
    for single, group in groupby(items, lambda item: not item.size):
        if single:
            yield from packed(_node(item.changed, item.what) for item in group)
        else:
            yield from (EncodedRun(item.size, _decode_bytes(item.what), item.changed) for item in group)


def _length(data: bytes) -> int:
    if data[0] == _RUNS_HEAD:
        return _taken_apart(data, 3)[0][1]
    return length_in(_taken_apart(data, 1)[1])


def _taken_apart(data: bytes, numbers: int) -> tuple[list[int], memoryview]:
    """Give the numbers that stand before a map or a list, and it; looks no further."""
    begin = Unpacker()
    begin.feed(memoryview(data)[: 1 + numbers * _NUMBER_BYTES])
    begin.read_array_header()
    found = [begin.unpack() for _ in range(numbers)]
    return found, memoryview(data)[begin.tell() :]


def _write_grave(grave: Grave) -> Iterator[bytes]:
    """Encode a grave, the names in order. Images of old do not say how many items there were at most."""
    known = grave.items and grave.most != UNKNOWN
    yield (b"\x94" if known else b"\x93") + _encode(grave.revision) + _encode(grave.items) + map_head(len(grave.below))
    for name in sorted_in_runs(grave.below):
        yield _encode(name)
        yield from _write_grave(grave.below[name])
    if known:
        yield _encode(grave.most)


def _grave(stored: _Grave) -> Grave:
    inner = Map({name: _grave(child) for name, child in stored.below.items()})
    return Grave(stored.revision, stored.items, inner, stored.most if stored.items else 0)


def same_image(one: Image, other: Image) -> bool:
    """Whether two images say the same, in whatever form their nodes are. O(their size), and opens all of it."""
    trees = one.tree, other.tree
    if (one.chain, one.log_bytes, *trees[0][:2]) != (other.chain, other.log_bytes, *trees[1][:2]):
        return False
    return _same_graves(trees[0].graves, trees[1].graves) and _same(trees[0].root, trees[1].root)


def _same_graves(one: Grave, other: Grave) -> bool:
    if (one.revision, one.items) != (other.revision, other.items) or {*one.below} != {*other.below}:
        return False
    if one.most != other.most and UNKNOWN not in {one.most, other.most}:
        return False
    return all(_same_graves(child, other.below[name]) for name, child in one.below.items())


def _same(one: Node, other: Node) -> bool:
    if one.changed != other.changed or one.is_map != other.is_map or one.is_list != other.is_list:
        return False
    sealed = one.sealed(), other.sealed()
    if one is other or (sealed[0] is not None and sealed[0] == sealed[1]):
        return True
    match one.open(), other.open():
        case MapBody(entries) as body, MapBody(others) as other_body:
            pairs = ((entry, others.get(name)) for name, entry in entries.items())
            return (len(entries), *body[1:]) == (len(others), *other_body[1:]) and all(
                b is not None and a.position == b.position and _same(a.node, b.node) for a, b in pairs
            )
        case ListBody(items, renewed), ListBody(other_items, other_renewed):
            return (len(items), renewed) == (len(other_items), other_renewed) and all(map(_same, items, other_items))
    return one.encoded() == other.encoded()
