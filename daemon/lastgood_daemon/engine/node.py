"""A value inside a tree, and the revision that last changed it or anything below it.

A node is immutable in what it means, and has two forms of it: **encoded**, one run of MessagePack bytes, and **opened**, a
map or list of nodes. It starts in whichever it was made from and turns into the other when that is asked for. So a value
that nobody looks into stays the bytes it arrived as, and a value that is written into shares all of its untouched parts with
its earlier versions:

    set("a", {"x": 1, "y": [..]})       root ── a: bytes                          one run of bytes, not looked into
    set("a.x", 2)                       root ── a ─┬─ x: 2        opened one level; y is still bytes, and shared
                                                   └─ y: bytes    with the version before

What is opened below inherits the revision of the whole: a part of a value has changed when the value was put there.
"""

from struct import pack
from typing import NamedTuple

import msgspec
from immutables import Map

from lastgood_daemon.engine.sequence import Sequence
from lastgood_proto.paths import Path

_open_map = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode
_open_list = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class MapEntry(NamedTuple):
    """A child of a map, and its place: entries are in the order of their positions, which need not be dense."""

    position: int
    node: "Node"


class MapBody(NamedTuple):
    """An opened map. New names go to ``next_position``, so that a map keeps the order of insertion."""

    entries: Map[str, MapEntry]
    next_position: int
    renewed: int = 0
    """The last revision since which all below counts as changed, because the whole was set anew."""

    def ordered(self) -> list[tuple[str, MapEntry]]:
        """Give names and entries in order. Two entries share a position only after a restore of single paths."""
        return sorted(self.entries.items(), key=lambda item: (item[1].position, item[0]))


class ListBody(NamedTuple):
    """An opened list."""

    items: Sequence["Node"]
    renewed: int
    """The last revision since which all below counts as changed: items moved, or the whole was set anew."""


class Node:
    """See the module. ``changed`` is the revision that last changed it or anything below it."""

    __slots__ = ("_body", "_encoded", "changed")

    def __init__(self, changed: int, *, encoded: bytes | None = None, body: MapBody | ListBody | None = None) -> None:
        self.changed = changed
        self._encoded = encoded
        self._body = body

    @property
    def is_map(self) -> bool:
        """Whether the value is a map; looks at one byte."""
        encoded = self._encoded
        return type(self._body) is MapBody if encoded is None else encoded[0] in _MAP_HEADS

    @property
    def is_list(self) -> bool:
        """Whether the value is a list; looks at one byte."""
        encoded = self._encoded
        return type(self._body) is ListBody if encoded is None else encoded[0] in _LIST_HEADS

    @property
    def sealed_bytes(self) -> int:
        """How many bytes the value has, where nobody has looked into it; 0 where it is opened."""
        return 0 if self._encoded is None else len(self._encoded)

    def body(self) -> MapBody | ListBody | None:
        """Open the value; nothing where it is neither a map nor a list. From then on it is held opened."""
        # Read once: a thread that reads history may open the same node at the same time, with the same result.
        encoded = self._encoded
        if encoded is None:
            return self._body
        if self.is_map:
            self._body = _opened_map(encoded, self.changed)
            self._encoded = None
        elif self.is_list:
            self._body = _opened_list(encoded, self.changed)
            self._encoded = None
        return self._body

    def encoded(self) -> bytes:
        """Give the value as bytes; O(its size) where it is opened."""
        encoded = self._encoded
        if encoded is not None:
            return encoded
        parts: list[bytes] = []
        self._encode_into(parts)
        return b"".join(parts)

    def _encode_into(self, parts: list[bytes]) -> None:
        encoded = self._encoded
        if encoded is not None:
            parts.append(encoded)
        elif isinstance(self._body, MapBody):
            parts.append(_map_head(len(self._body.entries)))
            for name, entry in self._body.ordered():
                parts.append(_encode(name))
                entry.node._encode_into(parts)  # noqa: SLF001 - its own class
        elif isinstance(self._body, ListBody):
            parts.append(_list_head(len(self._body.items)))
            for item in self._body.items:
                item._encode_into(parts)  # noqa: SLF001 - its own class

    def value(self) -> object:
        """Give the value as Python objects of their own."""
        return _decode(self.encoded())

    def same_value(self, other: "Node") -> bool:
        """Whether both are the same value, types and the order of maps included."""
        return self is other or self.encoded() == other.encoded()


def _opened_map(encoded: bytes, changed: int) -> MapBody:
    children = _open_map(encoded)
    entries = {
        name: MapEntry(position, Node(changed, encoded=bytes(raw))) for position, (name, raw) in enumerate(children.items())
    }
    return MapBody(Map(entries), len(entries))


def _opened_list(encoded: bytes, changed: int) -> ListBody:
    return ListBody(Sequence(Node(changed, encoded=bytes(raw)) for raw in _open_list(encoded)), changed)


_MAP_HEADS = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
_LIST_HEADS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})


def _map_head(size: int) -> bytes:
    if size < 1 << 4:
        return bytes((0x80 | size,))
    return pack(">BH", 0xDE, size) if size < 1 << 16 else pack(">BI", 0xDF, size)


def _list_head(size: int) -> bytes:
    if size < 1 << 4:
        return bytes((0x90 | size,))
    return pack(">BH", 0xDC, size) if size < 1 << 16 else pack(">BI", 0xDD, size)


def empty_map(changed: int) -> Node:
    """Give an empty map."""
    return Node(changed, body=MapBody(Map(), 0))


def child_of(node: Node, segment: str) -> Node | None:
    """Give the child of a map or list; nothing where there is none."""
    body = node.body()
    if isinstance(body, MapBody):
        entry = body.entries.get(segment)
        return None if entry is None else entry.node
    if isinstance(body, ListBody):
        index = list_index(segment)
        return None if index is None or index >= len(body.items) else body.items[index]
    return None


def find(root: Node, path: Path) -> Node | None:
    """Give what is at a path below a node; nothing where there is nothing."""
    node: Node | None = root
    for segment in path:
        if node is None:
            return None
        node = child_of(node, segment)
    return node


def list_index(segment: str) -> int | None:
    """Read a segment as a list index: digits, no sign, no leading zeros; nothing where it is none."""
    if not segment.isascii() or not segment.isdigit() or (segment[0] == "0" and segment != "0"):
        return None
    return int(segment) if len(segment) < _INDEX_DIGITS else None


_INDEX_DIGITS = 16
