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

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec
from msgpack import Unpacker

from lastgood_daemon.engine.encoded import (
    PIECE_BYTES,
    Encoded,
    bytes_head,
    copied,
    is_same,
    joined,
    length_in,
    list_head,
    map_head,
    open_list,
    open_map,
    pieces,
    sliced,
)
from lastgood_daemon.engine.graves import UNKNOWN, Grave
from lastgood_daemon.engine.node import EncodedRun, Imaged, ListBody, MapBody, MapEntry, Node, map_of, packed
from lastgood_daemon.engine.order import sorted_in_runs
from lastgood_daemon.engine.sequence import Leaf, Sequence
from lastgood_daemon.engine.tree import Tree

_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(tuple[int, int, bytes, int]).decode
_decode_number = msgspec.msgpack.Decoder(int).decode
_decode_entries = msgspec.msgpack.Decoder(dict[str, tuple[int, int, msgspec.Raw]]).decode
_decode_bytes = msgspec.msgpack.Decoder(bytes).decode

_MAP_HEAD = 0x93
_LIST_HEAD = 0x92
_RUNS_HEAD = 0x94
"""Of a list with runs: how many items it has, and a number for later, stand between."""
_NUMBER_BYTES = 9
"""The most that an int takes."""
_LONG_BYTES = 0xC6
_LONG_BYTES_HEAD = 5
_PIECE = 2 * PIECE_BYTES
"""Up to this, a piece is decoded in one call."""


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
_decode_names = msgspec.msgpack.Decoder(dict[str, _Grave]).decode


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


def _written(image: Image) -> Iterator[bytes | memoryview]:
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
        *head, graves, changed, root = open_list(data)
        revision, timestamp, chain, log_bytes = _decode_head(list_head(len(head)) + b"".join(head))
        tree = Tree(revision, timestamp, _node(_decode_number(changed), root, len(data)), _read_grave(graves))
    except (ValueError, IndexError) as error:  # a msgspec.DecodeError is one
        raise DamagedImageError(str(error)) from error
    return Image(tree, chain, log_bytes)


def _write(node: Node) -> Iterator[bytes | memoryview]:
    sealed = node.sealed()
    if isinstance(sealed, bytes):
        yield from _write_value(sealed)
    elif isinstance(sealed, Imaged):
        yield from sliced(memoryview(sealed.data))
    else:
        yield from _write_body(node.open())


def _write_value(value: bytes) -> Iterator[bytes]:
    """Encode what nobody has looked into; a large one is not copied."""
    if len(value) <= PIECE_BYTES:
        yield _encode(value)
    else:
        yield bytes_head(len(value))
        yield value


def _write_body(body: MapBody | ListBody | None) -> Iterator[bytes | memoryview]:
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


def _write_list(items: Sequence[Node], renewed: int) -> Iterator[bytes | memoryview]:
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


def _node(changed: int, raw: Encoded, within: int = 0) -> Node:
    """Return what stands in something of so many bytes."""
    view = memoryview(raw)
    if view[0] == _MAP_HEAD:
        return Node(changed, body=Imaged(_held(view, within), is_map=True, open=_open_map, length=_length))
    if view[0] in {_LIST_HEAD, _RUNS_HEAD}:
        return Node(changed, body=Imaged(_held(view, within), is_map=False, open=_open_list, length=_length))
    return Node(changed, encoded=_bytes_of(view))


def _held(view: memoryview, within: int) -> Encoded:
    """Return a part as it is to be kept: not copied where it is most of what it stands in, which is then kept with it."""
    return view if 2 * view.nbytes > within else copied(view)


def _bytes_of(view: memoryview) -> bytes:
    return _decode_bytes(view) if view.nbytes <= PIECE_BYTES or view[0] != _LONG_BYTES else copied(view[_LONG_BYTES_HEAD:])


def _open_map(data: Encoded) -> MapBody:
    (renewed, next_position), below = _taken_apart(data, 2)
    return MapBody(map_of(_entries(below)), next_position, renewed)


def _entries(below: memoryview) -> Iterator[tuple[str, MapEntry]]:
    for piece in pieces(below):
        if memoryview(piece).nbytes <= _PIECE:
            for name, (position, changed, raw) in _decode_entries(piece).items():
                yield name, MapEntry(position, _node(changed, raw))
            continue
        for name, entry in open_map(piece).items():
            (position, changed), what = _taken_apart(entry, 2)
            yield name, MapEntry(position, _node(changed, what, below.nbytes))


def _open_list(data: Encoded) -> ListBody:
    (renewed, *_), below = _taken_apart(data, 3 if memoryview(data)[0] == _RUNS_HEAD else 1)
    return ListBody(Sequence.of_leaves(_leaves(_items(below), below.nbytes)), renewed)


def _items(below: memoryview) -> Iterator[_Item]:
    for piece in pieces(below):
        if memoryview(piece).nbytes <= _PIECE:
            yield from _decode_items(piece)
            continue
        for item in open_list(piece):
            changed, what, *size = open_list(item)
            yield _Item(_decode_number(changed), what, *map(_decode_number, size))


def _leaves(items: Iterator[_Item], within: int) -> Iterator[Leaf[Node] | EncodedRun]:
    for single, group in groupby(items, lambda item: not item.size):
        if single:
            yield from packed(_node(item.changed, item.what, within) for item in group)
        else:
            yield from (EncodedRun(item.size, _bytes_of(memoryview(item.what)), item.changed) for item in group)


def _length(data: Encoded) -> int:
    if memoryview(data)[0] == _RUNS_HEAD:
        return _taken_apart(data, 3)[0][1]
    return length_in(_taken_apart(data, 1)[1])


def _taken_apart(data: Encoded, numbers: int) -> tuple[list[int], memoryview]:
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


def _read_grave(raw: Encoded) -> Grave:
    """Return the grave that lies in an image, taken apart in pieces."""
    if memoryview(raw).nbytes <= PIECE_BYTES:
        return _grave(_decode_graves(raw))
    revision, items, below, *most = open_list(raw)
    whole = _Grave(_decode_number(revision), _decode_number(items), {}, *map(_decode_number, most))
    return _grave(whole, _below(below))


def _below(raw: Encoded) -> Iterator[tuple[str, Grave]]:
    for piece in pieces(raw):
        if memoryview(piece).nbytes <= _PIECE:
            yield from ((name, _grave(child)) for name, child in _decode_names(piece).items())
        else:
            yield from ((name, _read_grave(child)) for name, child in open_map(piece).items())


def _grave(stored: _Grave, below: Iterable[tuple[str, Grave]] | None = None) -> Grave:
    if below is None:
        below = ((name, _grave(child)) for name, child in stored.below.items())
    return Grave(stored.revision, stored.items, map_of(below), stored.most if stored.items else 0)


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


def _same_sealed(one: bytes | Imaged | None, other: bytes | Imaged | None) -> bool:
    if isinstance(one, Imaged) and isinstance(other, Imaged):
        return is_same(one.data, other.data)
    return isinstance(one, bytes) and isinstance(other, bytes) and is_same(one, other)


def _same(one: Node, other: Node) -> bool:
    if one.changed != other.changed or one.is_map != other.is_map or one.is_list != other.is_list:
        return False
    if one is other or _same_sealed(one.sealed(), other.sealed()):
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
