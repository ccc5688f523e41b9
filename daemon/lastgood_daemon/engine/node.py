"""A value inside a tree, and the revision that last changed it or anything below it.

A node is immutable in what it means, and has three forms of it: **encoded**, one run of MessagePack bytes; **opened**, a
map or list of nodes; and **imaged**, a run of bytes that also holds what is known of each of its parts (``image.py``).
It starts in whichever it was made from and is opened when somebody reaches inside. So a value that nobody looks into stays
the bytes it arrived as, and a value that is written into shares all of its untouched parts with its earlier versions:

    set("a", {"x": 1, "y": [..]})       root ── a: bytes                          one run of bytes, not looked into
    set("a.x", 2)                       root ── a ─┬─ x: 2        opened one level; y is still bytes, and shared
                                                   └─ y: bytes    with the version before

What is opened below inherits the revision of the whole: a part of a value has changed when the value was put there.

Opening something large takes long, so ``body()`` does not: it raises ``LabourError``, and ``open()`` is the work.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby, islice
from typing import NamedTuple, TypeVar

import msgspec
from immutables import Map
from msgspec import Raw

from lastgood_daemon.engine.encoded import (
    Encoded,
    copied,
    gathered,
    is_list,
    is_map,
    iter_map,
    joined,
    length_in,
    list_head,
    map_head,
    open_list,
    pieces,
)
from lastgood_daemon.engine.labour import LONG_BYTES, labour, let_go, let_go_of_bytes, spend
from lastgood_daemon.engine.order import RUN, in_order
from lastgood_daemon.engine.sequence import WIDTH, Leaf, Run, Sequence
from lastgood_proto.paths import Path

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MANY = 1_000
"""Parts of a value above which to open or to encode it is work for a thread."""
_LONG_IMAGE = 16 * 1024
"""Bytes of a part of an image above which it is opened in a thread: each part of it takes a few at least."""
LONG_ENCODED = 256 * 1024
"""Bytes above which that is so."""
_BYTES_A_MICROSECOND = 1_000
"""So many are copied; see ``spend``."""
_RUN = 4_000
"""Parts of an encoded value that are joined at a time."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class MapEntry(NamedTuple):
    """A child of a map, and its place: entries are in the order of their positions, which need not be dense."""

    position: int
    node: "Node"


def position_of(entry: MapEntry) -> int:
    """Return the place of a child among those of its map."""
    return entry.position


class MapBody(NamedTuple):
    """An opened map. New names go to ``next_position``, so that a map keeps the order of insertion."""

    entries: Map[str, MapEntry]
    next_position: int
    renewed: int = 0
    """The last revision since which all below counts as changed, because the whole was set anew."""

    def ordered(self) -> list[tuple[str, MapEntry]]:
        """Give names and entries in order. Two entries share a position only after a restore of single paths."""
        entries = self.entries
        if len(entries) <= RUN:
            return sorted(entries.items(), key=lambda item: (item[1].position, item[0]))
        return [(name, entries[name]) for name in in_order(entries, position_of)]

    def names(self) -> list[str]:
        """Return the names in order. The list belongs to all who ask for it: it must not be changed."""
        return in_order(self.entries, position_of)


class ListBody(NamedTuple):
    """An opened list."""

    items: Sequence["Node"]
    renewed: int
    """The last revision since which all below counts as changed: items moved, or the whole was set anew."""


class Imaged(NamedTuple):
    """The body of a container that is still as it lies in an image; how to open it is for ``engine/image.py``."""

    data: Encoded
    is_map: bool
    open: Callable[[Encoded], MapBody | ListBody]
    length: Callable[[Encoded], int]
    """Of a list: how many items it has, without opening it."""

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return memoryview(self.data).nbytes


class Node:
    """See the module. ``changed`` is the revision that last changed it or anything below it."""

    __slots__ = ("_body", "_encoded", "changed")

    def __init__(
        self, changed: int, *, encoded: bytes | None = None, body: MapBody | ListBody | Imaged | None = None
    ) -> None:
        self.changed = changed
        self._encoded = encoded
        self._body = body

    @property
    def is_map(self) -> bool:
        """Whether the value is a map; looks at one byte."""
        encoded, body = self._encoded, self._body
        if encoded is not None:
            return is_map(encoded)
        return body.is_map if type(body) is Imaged else type(body) is MapBody

    @property
    def is_list(self) -> bool:
        """Whether the value is a list; looks at one byte."""
        encoded, body = self._encoded, self._body
        if encoded is not None:
            return is_list(encoded)
        return not body.is_map if type(body) is Imaged else type(body) is ListBody

    def length(self) -> int:
        """Return how many items a list has, without opening it."""
        encoded, body = self._encoded, self._body
        if encoded is not None:
            return length_in(encoded)
        if isinstance(body, Imaged):
            return body.length(body.data)
        return len(body.items) if isinstance(body, ListBody) else 0

    @property
    def sealed_bytes(self) -> int:
        """How many bytes the value has, where it is encoded and nobody has looked into it; else 0."""
        return 0 if self._encoded is None else len(self._encoded)

    def sealed(self) -> bytes | Imaged | None:
        """Give the bytes or the part of an image that the value still is; nothing where it is opened."""
        # Read once, here and below: a thread may open the same node at the same time, with the same result.
        encoded, body = self._encoded, self._body
        return encoded if encoded is not None else body if type(body) is Imaged else None

    def opened(self) -> MapBody | ListBody | None:
        """Return the body if the value is opened; opens nothing."""
        body = self._body
        return body if self._encoded is None and isinstance(body, MapBody | ListBody) else None

    def body(self) -> MapBody | ListBody | None:
        """Open the value; nothing where it is neither a map nor a list. From then on it is held opened.

        Raises:
            LabourError: it is large.
        """
        encoded, body = self._encoded, self._body
        if encoded is None:
            if type(body) is not Imaged:
                return body  # type: ignore[return-value]
            is_long = body.size > _LONG_IMAGE
        else:
            is_long = (
                len(encoded) > MANY
                and (self.is_map or self.is_list)
                and (len(encoded) > LONG_BYTES or length_in(encoded) > MANY)
            )
        del encoded, body  # what is opened is freed there
        return labour(self, self.open) if is_long else self.open()

    def open(self) -> MapBody | ListBody | None:
        """Open the value, however large."""
        encoded, body = self._encoded, self._body
        if encoded is None:
            if isinstance(body, Imaged):
                self._body = body = body.open(body.data)
            return body
        opened: MapBody | ListBody
        if self.is_map:
            opened = _opened_map(encoded, self.changed)
        elif self.is_list:
            opened = _opened_list(encoded, self.changed)
        else:
            return None
        self._body = opened
        self._encoded = None
        if len(encoded) > LONG_BYTES:
            held = [encoded]
            del encoded
            let_go_of_bytes(held)
        return opened

    def encoded(self) -> bytes:
        """Give the value as bytes; O(its size) where it is opened."""
        encoded = self._encoded
        if encoded is not None:
            return encoded
        parts = self.encoded_pieces()
        spend(sum(map(len, parts)) // _BYTES_A_MICROSECOND)
        return joined(parts)

    def encoded_pieces(self) -> list[bytes]:
        """Return the value as bytes, in pieces: what is still encoded is a piece of its own, and not copied."""
        parts: list[bytes] = []
        runs: list[bytes] = []
        self._encode_into(parts, runs)
        _run(parts, runs)
        return runs

    def is_long(self) -> bool:
        """Whether to give the value as bytes, and to send these, is work for a thread; looks at a few parts only."""
        if self._encoded is not None:
            return len(self._encoded) > LONG_ENCODED
        parts, size, below = 0, 0, [self]
        while below and parts <= MANY and size <= LONG_ENCODED:
            node = below.pop()
            encoded, body = node._encoded, node._body  # noqa: SLF001 - its own class
            if encoded is not None:
                size += len(encoded)
            elif isinstance(body, Imaged):
                size += body.size
            elif isinstance(body, MapBody):
                parts += len(body.entries)
                below += [entry.node for entry in body.entries.values()] if parts <= MANY else []
            elif isinstance(body, ListBody):
                parts += len(body.items)
                below += body.items if parts <= MANY else []
        return parts > MANY or size > LONG_ENCODED

    def size_up_to(self, limit: int) -> int:
        """Return how many bytes the value has, or of a longer one just more than a limit. May take long."""
        size = 0
        for part in self._sizes():
            size += part
            if size > limit:
                break
        return size

    def _sizes(self) -> Iterator[int]:
        """Yield how many bytes each part of the value has, as long as they are asked for."""
        encoded, body = self._encoded, self._body
        if encoded is not None:
            yield len(encoded)
            return
        if isinstance(body, Imaged):
            body = body.open(body.data)  # for this once
        if isinstance(body, MapBody):
            yield len(map_head(len(body.entries)))
            for name, entry in body.entries.items():
                yield len(_encode(name))
                yield from entry.node._sizes()  # noqa: SLF001 - its own class
        elif isinstance(body, ListBody):
            yield len(list_head(len(body.items)))
            for item in body.items:
                yield from item._sizes()  # noqa: SLF001 - its own class

    def _encode_into(self, parts: list[bytes], runs: list[bytes]) -> None:
        """Add the value to parts; where these become many, they become a run: to join millions at once takes too long."""
        encoded, body = self._encoded, self._body
        if encoded is not None:
            parts.append(encoded)
            return
        if isinstance(body, Imaged):
            body = body.open(body.data)  # for this once: a reader of the whole need not hold it opened
        if isinstance(body, MapBody):
            spend(len(body.entries))
            parts.append(map_head(len(body.entries)))
            for name, entry in body.ordered():
                parts.append(_encode(name))
                entry.node._encode_into(parts, runs)  # noqa: SLF001 - its own class
                if len(parts) > _RUN:
                    _run(parts, runs)
        elif isinstance(body, ListBody):
            spend(body.items.loose + len(body.items) // RUN_ITEMS)
            parts.append(list_head(len(body.items)))
            for leaf in body.items.leaves():
                _encode_leaf(leaf, parts, runs)

    def take_apart(self) -> "list[Node]":
        """Return what is right below, which is not below this any more: only of a node that nothing else refers to."""
        body, self._body = self._body, None
        if self._encoded is not None and len(self._encoded) > LONG_BYTES:
            held, self._encoded = [self._encoded], None
            let_go_of_bytes(held)
        if isinstance(body, MapBody):
            entries = [(entry, entry.node) for entry in body.entries.values()]
            del body
            below = [node for _, node in entries]
            let_go(entries)
            return below
        if not isinstance(body, ListBody):
            return []
        leaves = [*body.items.leaves()]
        del body
        below = [item for leaf in leaves if isinstance(leaf, Leaf) for item in leaf.items]
        let_go(leaves)
        return below

    def value(self) -> object:
        """Give the value as Python objects of their own."""
        return _decode(self.encoded())


def _encode_leaf(leaf: Leaf[Node] | Run[Node], parts: list[bytes], runs: list[bytes]) -> None:
    if isinstance(leaf, EncodedRun):
        parts.append(leaf.data)
    else:
        for item in leaf.items:
            item._encode_into(parts, runs)  # noqa: SLF001 - its own module
    if len(parts) > _RUN:
        _run(parts, runs)


def _run(parts: list[bytes], runs: list[bytes]) -> None:
    runs.extend(gathered(parts))
    parts.clear()


def _opened_map(encoded: bytes, changed: int) -> MapBody:
    mutable = Map[str, MapEntry]().mutate()
    size = 0
    for name, raw in iter_map(encoded):
        before = mutable.get(name)
        mutable[name] = MapEntry(size if before is None else before.position, Node(changed, encoded=copied(raw)))
        size += before is None
    return MapBody(mutable.finish(), size)


def map_of(entries: Iterable[tuple[K, T]]) -> Map[K, T]:
    """Give the map with these entries; made one by one, so that a thread that does so lets others run in between."""
    mutable = Map[K, T]().mutate()
    for name, entry in entries:
        mutable[name] = entry
    return mutable.finish()


class EncodedRun(Run[Node]):
    """Small items of a list, still encoded, which all have changed last in one revision.

    A node takes some 125 bytes, however small its value is; so a list of millions of numbers is kept in runs.
    """

    __slots__ = ("changed", "data")

    def __init__(self, size: int, data: bytes, changed: int) -> None:
        super().__init__(size)
        self.data = data
        self.changed = changed

    def __eq__(self, other: object) -> bool:
        """Whether the items are the same, whenever they have changed."""
        return isinstance(other, EncodedRun) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]

    @property
    def items(self) -> tuple[Node, ...]:
        """The items, made anew each time."""
        return tuple([Node(self.changed, encoded=copied(raw)) for raw in self._raws()])

    def item(self, index: int) -> Node:
        """Return one of them."""
        return Node(self.changed, encoded=bytes(self._raws()[index]))

    def cut(self, start: int, stop: int) -> "EncodedRun":
        """Return those from one index up to another."""
        if start <= 0 and stop >= self.size:
            return self
        raws = self._raws()[max(start, 0) : max(stop, 0)]
        return EncodedRun(len(raws), b"".join(raws), self.changed)

    def _raws(self) -> list[Raw]:
        return open_list(list_head(self.size) + self.data)


RUN_ITEMS = 256
RUN_BYTES = MANY
"""Of a run whose items were not looked at one by one. None is so large that to open it is work for a thread: it would be
opened in vain, since the next one who asks for it gets another node."""
SMALL_BYTES = 32
"""Of an item that may be part of a run in any case."""
FEW_ITEMS = 64
"""A list that has no more is kept item by item."""


def packed(nodes: Iterable[Node]) -> Iterator[Leaf[Node] | EncodedRun]:
    """Return what is to hold the items of a list: runs of those that are small, encoded and have changed together."""
    loose: list[Node] = []
    for changed, group in groupby(nodes, _packable):
        while some := list(islice(group, RUN_ITEMS)):
            if changed is None or len(some) < FEW_ITEMS:
                loose += some
                while len(loose) >= WIDTH:
                    yield Leaf(tuple(loose[:WIDTH]))
                    del loose[:WIDTH]
                continue
            if loose:
                yield Leaf(tuple(loose))
                loose.clear()
            yield EncodedRun(len(some), b"".join([node.encoded() for node in some]), changed)
    if loose:
        yield Leaf(tuple(loose))


def _packable(node: Node) -> int | None:
    return node.changed if 0 < node.sealed_bytes <= SMALL_BYTES else None


def spliced(items: Sequence[Node], index: int, removed: int, nodes: list[Node]) -> Sequence[Node]:
    """Return a list with items replaced; see ``Sequence.splice``. Many at its end become runs."""
    if index == len(items) and len(nodes) > FEW_ITEMS:
        return items.extended(packed(nodes))
    return items.splice(index, removed, nodes)


def _opened_list(encoded: bytes, changed: int) -> ListBody:
    if length_in(encoded) <= FEW_ITEMS:
        return ListBody(Sequence(Node(changed, encoded=copied(raw)) for raw in open_list(encoded)), changed)
    return ListBody(Sequence.of_leaves(_leaves(encoded, changed)), changed)


def _leaves(encoded: bytes, changed: int) -> Iterator[Leaf[Node] | EncodedRun]:
    for piece in pieces(encoded):
        raws = open_list(piece)
        step = min(max(RUN_BYTES * len(raws) // memoryview(piece).nbytes, FEW_ITEMS), RUN_ITEMS)
        for start in range(0, len(raws), step):
            some = raws[start : start + step]
            data = b"".join(some)
            if len(some) >= FEW_ITEMS and len(data) <= RUN_BYTES:
                yield EncodedRun(len(some), data, changed)
            else:
                yield from packed(Node(changed, encoded=copied(raw)) for raw in some)


ENTRY_BYTES = 350
"""What an entry of an opened map takes, besides the bytes of its value."""
ITEM_BYTES = 130
"""What an item of an opened list takes that is not part of a run."""
_LOOKED_AT = 64


def opened_bytes(root: Node) -> int:
    """Return about how much memory the opened parts of a value take, besides their bytes.

    Looks at a few containers only, the outer ones: those of many parts weigh most, and are not gone through.
    """
    size, below = 0, [root]
    for _ in range(_LOOKED_AT):
        if not below:
            break
        body = below.pop(0).opened()
        if isinstance(body, MapBody):
            size += ENTRY_BYTES * len(body.entries)
            if len(body.entries) <= _LOOKED_AT:
                below += [entry.node for entry in body.entries.values()]
        elif isinstance(body, ListBody):
            size += ITEM_BYTES * body.items.loose
            if body.items.loose == len(body.items) <= _LOOKED_AT:
                below += body.items
    return size


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
