"""A list that shares structure between its versions.

A B-tree of tuples: items lie in leaves of at most ``WIDTH``, a branch holds at most ``WIDTH`` nodes and counts the items
below each. Changing one item copies one node a level, so any change costs O(log n), and the old version stays as it was.

With a width of 2, appending "d" to (a, b, c) copies what is marked, and shares the rest:

    branch 3              branch 4 *
    ├── leaf a b          ├── leaf a b        the same object
    └── leaf c            └── leaf c d *

A node that an append finds full is left full and a new one is begun beside it, so that lists that only grow are dense;
an insertion elsewhere splits it evenly. Nodes that become empty are dropped; they are not merged when they become
small, which is enough for lists that lose items one by one.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Seq
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")

WIDTH = 32


class _Leaf(Generic[T]):
    __slots__ = ("items", "size")

    def __init__(self, items: tuple[T, ...]) -> None:
        self.items = items
        self.size: int = len(items)


class _Branch(Generic[T]):
    __slots__ = ("items", "size")

    def __init__(self, items: tuple["_Branch[T] | _Leaf[T]", ...]) -> None:
        self.items = items
        self.size: int = sum(node.size for node in items)


class Sequence(Generic[T]):
    """An immutable list. Indexes are not checked for being negative."""

    __slots__ = ("_root",)

    def __init__(self, items: Iterable[T] = ()) -> None:
        unread = iter(items)
        level: list[_Branch[T] | _Leaf[T]] = [_Leaf(part) for part in iter(lambda: tuple(islice(unread, WIDTH)), ())]
        while len(level) > 1:
            level = [_Branch(tuple(level[i : i + WIDTH])) for i in range(0, len(level), WIDTH)]
        self._root: _Branch[T] | _Leaf[T] = level[0] if level else _Leaf(())

    @classmethod
    def _of(cls, root: "_Branch[T] | _Leaf[T]") -> "Sequence[T]":
        sequence: Sequence[T] = cls.__new__(cls)
        sequence._root = root
        return sequence

    def __len__(self) -> int:
        return self._root.size

    def __iter__(self) -> Iterator[T]:
        stack: list[_Branch[T] | _Leaf[T]] = [self._root]
        while stack:
            node = stack.pop()
            if isinstance(node, _Leaf):
                yield from node.items
            else:
                stack.extend(reversed(node.items))

    def __getitem__(self, index: int) -> T:
        if index >= self._root.size:
            raise IndexError(index)
        node = self._root
        while isinstance(node, _Branch):
            position, index = _locate(node, index)
            node = node.items[position]
        return node.items[index]

    def replace(self, index: int, item: T) -> "Sequence[T]":
        """Give the list with another item at an index below its length."""
        return self._of(_replace(self._root, index, item))

    def __reversed__(self) -> Iterator[T]:
        stack: list[_Branch[T] | _Leaf[T]] = [self._root]
        while stack:
            node = stack.pop()
            if isinstance(node, _Leaf):
                yield from reversed(node.items)
            else:
                stack.extend(node.items)

    def part(self, start: int, stop: int) -> list[T]:
        """Give the items from one index up to another; costs what is in between."""
        found: list[T] = []
        _collect(self._root, start, stop, found)
        return found

    def splice(self, index: int, removed: int, items: Iterable[T]) -> "Sequence[T]":
        """Give the list with so many items from an index on removed, and others put in their place."""
        at_end = index + removed == self._root.size
        nodes = _spliced(self._root, index, removed, tuple(items), at_end=at_end)
        while len(nodes) > 1:
            nodes = [_Branch(part) for part in _parts(nodes, at_end=at_end)]
        root: _Branch[T] | _Leaf[T] = nodes[0] if nodes else _Leaf(())
        while isinstance(root, _Branch) and len(root.items) == 1:
            root = root.items[0]
        return self._of(root)

    def common_ends(self, other: "Sequence[T]", same: Callable[[T, T], bool]) -> tuple[int, int]:
        """Give how many items are the same at the front, and how many of the rest at the back.

        Nodes and items that are one object in both are passed over without asking ``same``, so that for two versions of one
        list it costs what differs.
        """
        shorter = min(len(self), len(other))
        mine, yours = self._root, other._root  # noqa: SLF001 - its own class
        front = _common(mine, yours, same, shorter, backwards=False)
        return front, _common(mine, yours, same, shorter - front, backwards=True)


def _locate(branch: _Branch[T], index: int) -> tuple[int, int]:
    """Give the child that holds an index, and the index within it."""
    position = 0
    while index >= branch.items[position].size:
        index -= branch.items[position].size
        position += 1
    return position, index


def _replace(node: _Branch[T] | _Leaf[T], index: int, item: T) -> _Branch[T] | _Leaf[T]:
    if isinstance(node, _Leaf):
        return _Leaf((*node.items[:index], item, *node.items[index + 1 :]))
    position, index = _locate(node, index)
    child = _replace(node.items[position], index, item)
    return _Branch((*node.items[:position], child, *node.items[position + 1 :]))


def _spliced(
    node: _Branch[T] | _Leaf[T], index: int, removed: int, items: tuple[T, ...], *, at_end: bool
) -> list[_Branch[T] | _Leaf[T]]:
    """Give the nodes, as high as this one, that take its place; none where nothing is left."""
    if isinstance(node, _Leaf):
        flat = (*node.items[:index], *items, *node.items[index + removed :])
        return [_Leaf(part) for part in _parts(flat, at_end=at_end)]
    children: list[_Branch[T] | _Leaf[T]] = []
    last = len(node.items) - 1
    for position, child in enumerate(node.items):
        inside = min(max(child.size - index, 0), removed)
        taken = items if index < child.size or position == last else ()
        if inside or taken:
            children.extend(_spliced(child, index, inside, taken, at_end=at_end))
        else:
            children.append(child)
        items = items if not taken else ()
        removed -= inside
        index = max(index - child.size, 0)
    return [_Branch(part) for part in _parts(children, at_end=at_end)]


S = TypeVar("S")


def _parts(items: Seq[S], *, at_end: bool) -> list[tuple[S, ...]]:
    """Cut items into as few runs as fit: full ones at the end of the list, elsewhere of one size."""
    runs = -(-len(items) // WIDTH)
    size = WIDTH if at_end or not runs else -(-len(items) // runs)
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def _collect(node: _Branch[T] | _Leaf[T], start: int, stop: int, found: list[T]) -> None:
    if isinstance(node, _Leaf):
        found.extend(node.items[max(start, 0) : max(stop, 0)])
        return
    for child in node.items:
        if start < child.size and stop > 0:
            _collect(child, start, stop, found)
        start, stop = start - child.size, stop - child.size


def _common(
    left: _Branch[T] | _Leaf[T], right: _Branch[T] | _Leaf[T], same: Callable[[T, T], bool], limit: int, *, backwards: bool
) -> int:
    """Count the items, up to a limit, that are the same from one end on.

    Two cursors, each a stack of the nodes that it has before it. They always stand at the same index, so that a node that
    both lists have is on top of both at once; where the tops are two nodes, the larger one is opened.
    """
    step = -1 if backwards else 1
    lefts, rights = [left], [right]
    count = in_left = in_right = 0
    while count < limit:
        left, right = lefts[-1], rights[-1]
        if left is right and not in_left and not in_right:
            lefts.pop()
            rights.pop()
            count += left.size
        elif isinstance(left, _Branch) and (isinstance(right, _Leaf) or left.size >= right.size):
            lefts.pop()
            lefts.extend(left.items[::-step])
        elif isinstance(right, _Branch):
            rights.pop()
            rights.extend(right.items[::-step])
        elif isinstance(left, _Leaf):
            one, other = left.items[::step], right.items[::step]
            for mine, yours in zip(one[in_left:], other[in_right:], strict=False):
                if mine is not yours and not same(mine, yours):
                    return min(count, limit)
                count += 1
                in_left, in_right = in_left + 1, in_right + 1
            if in_left == left.size:
                lefts.pop()
                in_left = 0
            if in_right == right.size:
                rights.pop()
                in_right = 0
    return min(count, limit)


A = TypeVar("A")
B = TypeVar("B")


def slid(old: Seq[A], new: Seq[B], same: Callable[[A, B], bool]) -> int:
    """Give how many items went at the front of a list whose others all stay, with new ones behind them; else 0.

    As from [a, b, c, d] to [c, d, e]: 2.
    """
    gone = next((index for index, item in enumerate(old) if new and same(item, new[0])), 0)
    stay = len(old) - gone
    return gone if gone and stay <= len(new) and all(map(same, old[gone:], new)) else 0
