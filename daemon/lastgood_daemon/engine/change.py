"""What a revision does to a tree, in three simple kinds of change and one that is made of them.

Changes are what the log keeps, and a state is rebuilt by applying them again, so applying one must always do the same. They
carry values as bytes and are checked before they are made (``edits``): a change that does not fit its tree is a damaged log.

A ``Put`` may say at which position of its map the name belongs. Restoring uses it to bring a removed name back to its place:

    {a, b, c}            positions a: 0, b: 1, c: 2
    Remove("b")          {a, c}
    Put("b", v)          {a, c, b}       b at the end, position 3
    Put("b", v, 1)       {a, b, c}       b where it was

A ``Patch`` is a ``Put`` of a whole new value of which only the difference is stored:

    m: {x: 1, l: [..1000 items]}        all of it last changed in revision 4
    Put("m", {x: 2, l: [..]})           in revision 5: all of it last changed in 5
    Patch("m", [Put("x", 2)])           the same, but l is shared with revision 4; m's ``renewed`` says that it is 5, too
"""

from collections.abc import Iterable

import msgspec
from immutables import Map

from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, MapEntry, Node, child_of, empty_map, list_index, spliced
from lastgood_daemon.engine.stored_value import content_of
from lastgood_proto.paths import Path, format_path


class Put(msgspec.Struct, frozen=True, array_like=True, tag="p", omit_defaults=True):
    """Puts a value at a path; makes missing parents. At the root it replaces everything."""

    path: Path
    value: bytes
    position: int | None = None


class Remove(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Removes the name at a path from its map."""

    path: Path


class Splice(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Replaces ``removed`` items of the list at a path, from ``index`` on, by others."""

    path: Path
    index: int
    removed: int
    items: list[bytes]


SimpleChange = Put | Remove | Splice


class Patch(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """Puts a whole new value at a path, given as what differs: changes whose paths are relative to it."""

    path: Path
    changes: tuple[SimpleChange, ...]


Change = Put | Remove | Splice | Patch


class DamagedLogError(Exception):
    """A change does not fit the tree it is applied to."""


def simple(change: Change) -> Iterable[SimpleChange]:
    """Give the simple changes that a change is made of, at paths from the root."""
    if not isinstance(change, Patch):
        return (change,)
    return [msgspec.structs.replace(inner, path=(*change.path, *inner.path)) for inner in change.changes]


def apply_change(root: Node, change: Change, revision: int) -> Node:
    """Give the tree after a change. What the change touches, and all above it, has ``revision`` as its last change."""
    match change:
        case Put(path, value, position):
            node = Node(revision, encoded=content_of(value))
            return node if not path else _put(root, path, 0, node, position)
        case Remove(path):
            return _remove(root, path, 0, revision)
        case Splice(path, index, removed, items):
            spend(len(items))
            nodes = [Node(revision, encoded=content_of(item)) for item in items]
            return _splice(root, path, 0, (index, removed, nodes), revision)
        case Patch(path, changes):
            return _patch(root, path, 0, changes, revision)


def grafted(root: Node, path: Path, node: Node, position: int | None) -> Node:
    """Return the tree with a node of another tree at a path below the root, as it is; ``position`` as in ``Put``."""
    return _put(root, path, 0, node, position)


def _put(node: Node, path: Path, depth: int, new: Node, position: int | None) -> Node:
    name = path[depth]
    last = depth == len(path) - 1
    old = child_of(node, name)
    child = new if last else _put(old or empty_map(new.changed), path, depth + 1, new, position)
    return _with_child(node, path, depth, child, position if last else None)


def _with_child(node: Node, path: Path, depth: int, child: Node, position: int | None) -> Node:
    """Give the container with another child; ``child.changed`` is the revision."""
    body = node.body()
    name = path[depth]
    if isinstance(body, MapBody):
        if position is None:
            entry = body.entries.get(name)
            position = body.next_position if entry is None else entry.position
        entries = body.entries.set(name, MapEntry(position, child))
        return Node(child.changed, body=MapBody(entries, max(body.next_position, position + 1), body.renewed))
    index = list_index(name)
    if not isinstance(body, ListBody) or index is None or index >= len(body.items):
        raise _damaged(path)
    return Node(child.changed, body=ListBody(body.items.replace(index, child), body.renewed))


def _remove(node: Node, path: Path, depth: int, revision: int) -> Node:
    name = path[depth]
    child = child_of(node, name)
    if child is None:
        raise _damaged(path)
    if depth < len(path) - 1:
        return _with_child(node, path, depth, _remove(child, path, depth + 1, revision), None)
    body = node.body()
    if not isinstance(body, MapBody):
        raise _damaged(path)
    return Node(revision, body=MapBody(body.entries.delete(name), body.next_position, body.renewed))


def _splice(node: Node, path: Path, depth: int, splice: tuple[int, int, list[Node]], revision: int) -> Node:
    if depth < len(path):
        child = child_of(node, path[depth])
        if child is None:
            raise _damaged(path)
        return _with_child(node, path, depth, _splice(child, path, depth + 1, splice, revision), None)
    body = node.body()
    index, removed, items = splice
    if not isinstance(body, ListBody) or index + removed > len(body.items):
        raise _damaged(path)
    moves = index + removed < len(body.items) and removed != len(items)
    return Node(revision, body=ListBody(spliced(body.items, index, removed, items), revision if moves else body.renewed))


def _patch(node: Node, path: Path, depth: int, changes: tuple[SimpleChange, ...], revision: int) -> Node:
    if depth < len(path):
        child = child_of(node, path[depth])
        if child is None:
            raise _damaged(path)
        return _with_child(node, path, depth, _patch(child, path, depth + 1, changes, revision), None)
    for change in changes:
        node = apply_change(node, change, revision)
    body = node.body()
    if body is None or not changes:
        raise _damaged(path)
    return Node(revision, body=body._replace(renewed=revision))


def _damaged(path: Path) -> DamagedLogError:
    return DamagedLogError(f"a change at {format_path(path)!r} does not fit the tree")


def empty_root() -> Node:
    """Give the content of a state that nobody has written: an empty map, last changed in revision 0."""
    return Node(0, body=MapBody(Map(), 0))
