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

In the place of a leaf may be a **run**: items that are kept in some shorter form and made when they are asked for, many more
than lie in a leaf. A change takes the run apart around its place, and leaves the rest as it is:

    run of 256            run of 96, leaf of 32 *, run of 128
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Seq
from itertools import islice
from typing import Generic, TypeVar

from lastgood_daemon.engine.labour import spend

T = TypeVar("T")

WIDTH = 32


class Leaf(Generic[T]):
    """Items that are objects of their own."""

    __slots__ = ("items", "size")

    def __init__(self, items: tuple[T, ...]) -> None:
        self.items = items
        self.size: int = len(items)

    @property
    def loose(self) -> int:
        """How many items are objects of their own."""
        return self.size


class Run(ABC, Generic[T]):
    """Items in a shorter form. Two runs are equal only if their items are the same."""

    __slots__ = ("size",)
    loose = 0

    def __init__(self, size: int) -> None:
        self.size: int = size

    @property
    @abstractmethod
    def items(self) -> tuple[T, ...]:
        """The items, made anew each time."""

    @abstractmethod
    def item(self, index: int) -> T:
        """Return one of them."""

    @abstractmethod
    def cut(self, start: int, stop: int) -> "Run[T]":
        """Return those from one index up to another."""


class _Branch(Generic[T]):
    __slots__ = ("items", "loose", "size")

    def __init__(self, items: tuple["_Branch[T] | Leaf[T] | Run[T]", ...]) -> None:
        self.items = items
        self.size: int = sum(node.size for node in items)
        self.loose: int = sum(node.loose for node in items)


class Sequence(Generic[T]):
    """An immutable list. Indexes are not checked for being negative."""

    __slots__ = ("_root",)

    def __init__(self, items: Iterable[T] = ()) -> None:
        unread = iter(items)
        self._root = _grown([Leaf(part) for part in iter(lambda: tuple(islice(unread, WIDTH)), ())])

    @classmethod
    def of_leaves(cls, leaves: "Iterable[Leaf[T] | Run[T]]") -> "Sequence[T]":
        """Return the list of these, none of which is empty."""
        return cls._of(_grown([*leaves]))

    @classmethod
    def _of(cls, root: "_Branch[T] | Leaf[T] | Run[T]") -> "Sequence[T]":
        sequence: Sequence[T] = cls.__new__(cls)
        sequence._root = root
        return sequence

    def __len__(self) -> int:
        return self._root.size

    def __iter__(self) -> Iterator[T]:
        stack: list[_Branch[T] | Leaf[T] | Run[T]] = [self._root]
        while stack:
            node = stack.pop()
            if isinstance(node, _Branch):
                stack.extend(reversed(node.items))
            else:
                yield from node.items

    @property
    def loose(self) -> int:
        """How many items are objects of their own, and not part of a run."""
        return self._root.loose

    def leaves(self) -> "Iterator[Leaf[T] | Run[T]]":
        """Return what holds the items, in order."""
        stack: list[_Branch[T] | Leaf[T] | Run[T]] = [self._root]
        while stack:
            node = stack.pop()
            if isinstance(node, _Branch):
                stack.extend(reversed(node.items))
            else:
                yield node

    def __getitem__(self, index: int) -> T:
        if index >= self._root.size:
            raise IndexError(index)
        node = self._root
        while isinstance(node, _Branch):
            position, index = _locate(node, index)
            node = node.items[position]
        return node.items[index] if isinstance(node, Leaf) else node.item(index)

    def replace(self, index: int, item: T) -> "Sequence[T]":
        """Give the list with another item at an index below its length."""
        replaced = _replace(self._root, index, item)
        return self.splice(index, 1, (item,)) if replaced is None else self._of(replaced)

    def __reversed__(self) -> Iterator[T]:
        stack: list[_Branch[T] | Leaf[T] | Run[T]] = [self._root]
        while stack:
            node = stack.pop()
            if isinstance(node, _Branch):
                stack.extend(node.items)
            else:
                yield from reversed(node.items)

    def part(self, start: int, stop: int) -> list[T]:
        """Give the items from one index up to another; costs what is in between."""
        found: list[T] = []
        _collect(self._root, start, stop, found)
        return found

    def splice(self, index: int, removed: int, items: Iterable[T]) -> "Sequence[T]":
        """Give the list with so many items from an index on removed, and others put in their place."""
        at_end = index + removed == self._root.size
        root = _grown(_spliced(self._root, index, removed, tuple(items), at_end=at_end), at_end=at_end)
        while isinstance(root, _Branch) and len(root.items) == 1:
            root = root.items[0]
        return self._of(root)

    def extended(self, leaves: "Iterable[Leaf[T] | Run[T]]") -> "Sequence[T]":
        """Return the list with more at its end; none of the leaves is empty."""
        return self._of(_grown(_extended(self._root, [*leaves])))

    def common_ends(self, other: "Sequence[T]", same: Callable[[T, T], bool]) -> tuple[int, int]:
        """Give how many items are the same at the front, and how many of the rest at the back.

        Nodes and items that are one object in both are passed over without asking ``same``, so that for two versions of one
        list it costs what differs.
        """
        shorter = min(len(self), len(other))
        mine, yours = self._root, other._root  # noqa: SLF001 - its own class
        front = _common(mine, yours, same, shorter, backwards=False)
        return front, _common(mine, yours, same, shorter - front, backwards=True)


def _grown(nodes: "list[_Branch[T] | Leaf[T] | Run[T]]", *, at_end: bool = True) -> "_Branch[T] | Leaf[T] | Run[T]":
    """Return the root over nodes that are equally high."""
    while len(nodes) > 1:
        nodes = [_Branch(part) for part in _parts(nodes, at_end=at_end)]
    return nodes[0] if nodes else Leaf(())


def _extended(
    node: "_Branch[T] | Leaf[T] | Run[T]", leaves: "list[Leaf[T] | Run[T]]"
) -> "list[_Branch[T] | Leaf[T] | Run[T]]":
    if not isinstance(node, _Branch):
        return [node, *leaves] if node.size else [*leaves]
    children = [*node.items[:-1], *_extended(node.items[-1], leaves)]
    return [_Branch(part) for part in _parts(children, at_end=True)]


def _locate(branch: _Branch[T], index: int) -> tuple[int, int]:
    """Give the child that holds an index, and the index within it."""
    position = 0
    while index >= branch.items[position].size:
        index -= branch.items[position].size
        position += 1
    return position, index


def _replace(node: _Branch[T] | Leaf[T] | Run[T], index: int, item: T) -> _Branch[T] | Leaf[T] | Run[T] | None:
    """Return the node that takes its place; None where the item is in a run, which is to be taken apart."""
    if isinstance(node, Run):
        return None
    if isinstance(node, Leaf):
        return Leaf((*node.items[:index], item, *node.items[index + 1 :]))
    position, index = _locate(node, index)
    child = _replace(node.items[position], index, item)
    if child is None:
        return None
    return _Branch((*node.items[:position], child, *node.items[position + 1 :]))


def _spliced(
    node: _Branch[T] | Leaf[T] | Run[T], index: int, removed: int, items: tuple[T, ...], *, at_end: bool
) -> list[_Branch[T] | Leaf[T] | Run[T]]:
    """Give the nodes, as high as this one, that take its place; none where nothing is left."""
    if isinstance(node, Run):
        return [*_taken_apart(node, index, removed, items, at_end=at_end)]
    if isinstance(node, Leaf):
        flat = (*node.items[:index], *items, *node.items[index + removed :])
        return [Leaf(part) for part in _parts(flat, at_end=at_end)]
    children: list[_Branch[T] | Leaf[T] | Run[T]] = []
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


def _taken_apart(
    run: Run[T], index: int, removed: int, items: tuple[T, ...], *, at_end: bool
) -> "Iterator[Leaf[T] | Run[T]]":
    """Return a run with items replaced; those around them become a leaf, so that the next changes there find one."""
    start, stop = index - index % WIDTH, min(-(-(index + removed) // WIDTH) * WIDTH, run.size)
    if index == run.size:
        start = index  # what is appended does not open what is there
    flat = (*run.cut(start, index).items, *items, *run.cut(index + removed, stop).items)
    if start:
        yield run.cut(0, start)
    yield from (Leaf(part) for part in _parts(flat, at_end=at_end))
    if stop < run.size:
        yield run.cut(stop, run.size)


S = TypeVar("S")


def _parts(items: Seq[S], *, at_end: bool) -> list[tuple[S, ...]]:
    """Cut items into as few runs as fit: full ones at the end of the list, elsewhere of one size."""
    runs = -(-len(items) // WIDTH)
    size = WIDTH if at_end or not runs else -(-len(items) // runs)
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def _collect(node: _Branch[T] | Leaf[T] | Run[T], start: int, stop: int, found: list[T]) -> None:
    if isinstance(node, Leaf):
        found.extend(node.items[max(start, 0) : max(stop, 0)])
        return
    if isinstance(node, Run):
        found.extend(node.cut(max(start, 0), min(stop, node.size)).items)
        return
    for child in node.items:
        if start < child.size and stop > 0:
            _collect(child, start, stop, found)
        start, stop = start - child.size, stop - child.size


def _common(
    left: _Branch[T] | Leaf[T] | Run[T],
    right: _Branch[T] | Leaf[T] | Run[T],
    same: Callable[[T, T], bool],
    limit: int,
    *,
    backwards: bool,
) -> int:
    """Count the items, up to a limit, that are the same from one end on.

    Two cursors, each a stack of the nodes that it has before it. They always stand at the same index, so that a node that
    both lists have is on top of both at once; where the tops are two nodes, the larger one is opened.
    """
    step = -1 if backwards else 1
    lefts, rights = [left], [right]
    count = in_left = in_right = 0
    while count < limit:
        spend(1)
        left, right = lefts[-1], rights[-1]
        at_border = not in_left and not in_right
        if at_border and (left is right or (isinstance(left, Run) and isinstance(right, Run) and left == right)):
            lefts.pop()
            rights.pop()
            count += left.size
        elif isinstance(left, _Branch) and (not isinstance(right, _Branch) or left.size >= right.size):
            lefts.pop()
            lefts.extend(left.items[::-step])
        elif isinstance(right, _Branch):
            rights.pop()
            rights.extend(right.items[::-step])
        elif not isinstance(left, _Branch):
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
