"""A list that shares structure between its versions.

A B-tree of tuples: items lie in leaves of at most ``WIDTH``, a branch holds at most ``WIDTH`` nodes and counts the items
below each. Changing one item copies one node a level, so any change costs O(log n), and the old version stays as it was.

With a width of 2, appending "d" to (a, b, c) copies what is marked, and shares the rest:

    branch 3              branch 4 *
    ├── leaf a b          ├── leaf a b        the same object
    └── leaf c            └── leaf c d *

A node that an append finds full is left full and a new one is begun beside it, so that lists that only grow are dense;
an insertion elsewhere splits it in halves. Nodes that become empty are dropped; they are not merged when they become
small, which is enough for lists that lose items one by one.
"""

from collections.abc import Iterable, Iterator
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
        flat = tuple(items)
        level: list[_Branch[T] | _Leaf[T]] = [_Leaf(flat[i : i + WIDTH]) for i in range(0, len(flat), WIDTH)]
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

    def splice(self, index: int, removed: int, items: Iterable[T]) -> "Sequence[T]":
        """Give the list with so many items from an index on removed, and others put in their place."""
        root: _Branch[T] | _Leaf[T] = self._root
        for _ in range(removed):
            root = _remove(root, index) or _Leaf(())
        for offset, item in enumerate(items):
            nodes = _insert(root, index + offset, item)
            root = nodes[0] if len(nodes) == 1 else _Branch(nodes)
        while isinstance(root, _Branch) and len(root.items) == 1:
            root = root.items[0]
        return self._of(root)


def _locate(branch: _Branch[T], index: int) -> tuple[int, int]:
    """Give the child that holds an index, and the index within it; one past the end belongs to the last child."""
    for position, child in enumerate(branch.items):
        if index < child.size:
            return position, index
        index -= child.size
    last = len(branch.items) - 1
    return last, index + branch.items[last].size


def _replace(node: _Branch[T] | _Leaf[T], index: int, item: T) -> _Branch[T] | _Leaf[T]:
    if isinstance(node, _Leaf):
        return _Leaf((*node.items[:index], item, *node.items[index + 1 :]))
    position, index = _locate(node, index)
    child = _replace(node.items[position], index, item)
    return _Branch((*node.items[:position], child, *node.items[position + 1 :]))


def _insert(node: _Branch[T] | _Leaf[T], index: int, item: T) -> tuple[_Branch[T] | _Leaf[T], ...]:
    """Give the one or two nodes that take the place of this one."""
    at_end = index == node.size
    if isinstance(node, _Leaf):
        items = (*node.items[:index], item, *node.items[index:])
        return (_Leaf(items),) if len(items) <= WIDTH else tuple(_Leaf(half) for half in _split(items, at_end=at_end))
    position, index = _locate(node, index)
    grown = _insert(node.items[position], index, item)
    children = (*node.items[:position], *grown, *node.items[position + 1 :])
    return (_Branch(children),) if len(children) <= WIDTH else tuple(_Branch(h) for h in _split(children, at_end=at_end))


S = TypeVar("S")


def _split(items: tuple[S, ...], *, at_end: bool) -> tuple[tuple[S, ...], tuple[S, ...]]:
    cut = WIDTH if at_end else len(items) // 2
    return items[:cut], items[cut:]


def _remove(node: _Branch[T] | _Leaf[T], index: int) -> _Branch[T] | _Leaf[T] | None:
    """Give the node without that item; nothing where it becomes empty."""
    if isinstance(node, _Leaf):
        items = (*node.items[:index], *node.items[index + 1 :])
        return _Leaf(items) if items else None
    position, index = _locate(node, index)
    child = _remove(node.items[position], index)
    kept = () if child is None else (child,)
    children = (*node.items[:position], *kept, *node.items[position + 1 :])
    return _Branch(children) if children else None
