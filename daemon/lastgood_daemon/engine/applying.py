"""Applying changes to a tree, one by one or many together.

To put a name into a map of 100,000 copies a few nodes of its trie, and makes a node for each map above it. When 100,000
names go into one map, one after the other, nobody sees the versions in between. So a ``Draft`` opens the map at the second
one: it is changed in place from then on, until a change is about more than what is in it.

    Put("map.a", 1)       a new version of map, and of the root
    Put("map.b", 2)       map is open from here on
    Put("map.c.x", 3)     in place
    Splice("list", ..)    beside it: a new version of the root; map stays open
    Remove("map")         map is closed first: a new version of the root
"""

from immutables import Map, MapMutation

from lastgood_daemon.engine.change import Change, DamagedLogError, Patch, Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, MapEntry, Node, child_of, empty_map, find, list_index, spliced
from lastgood_daemon.engine.stored_value import content_of
from lastgood_proto.paths import Path, format_path


def apply_change(root: Node, change: Change, revision: int) -> Node:
    """Return the tree after a change. What the change touches, and all above it, has ``revision`` as its last change."""
    return _applied(root, change, 0, revision)


def grafted(root: Node, path: Path, node: Node, position: int | None) -> Node:
    """Return the tree with a node of another tree at a path below the root, as it is; ``position`` as in ``Put``."""
    return _put(root, path, 0, node, position)


class Draft:
    """A tree while changes of one revision are applied to it; comes to what ``apply_change`` comes to, one by one."""

    __slots__ = ("_before", "_open", "_root", "revision")

    def __init__(self, root: Node, revision: int) -> None:
        self._root = root
        self.revision = revision
        self._before: Path | None = None
        """What the change before was in."""
        self._open: _OpenMap | None = None

    def find(self, path: Path) -> Node | None:
        """Return what is at a path; nothing where there is nothing."""
        if self._open is not None:
            if self._open.has_below(path):
                return self._open.find(path)
            self._close_for(path)
        return find(self._root, path)

    def is_in_map(self, path: Path) -> bool:
        """Whether a path names something, there or not, in a map that is there."""
        if self._open is not None and self._open.place == path[:-1]:
            return bool(path)
        parent = self.find(path[:-1]) if path else None
        return parent is not None and parent.is_map

    def apply(self, change: Change) -> None:
        """Apply a change."""
        path = change.path
        if self._open is None or not self._open.has_below(path):
            within, self._before = self._before, path[:-1] if path else None
            if within is None or within != self._before or not self._opened(within):
                self._close_for(path)
                self._root = _applied(self._root, change, 0, self.revision)
                return
        if self._open is not None:
            self._open.apply(change)

    def finish(self) -> Node:
        """Return the tree as it is now."""
        self._close_for(())
        return self._root

    def _opened(self, place: Path) -> bool:
        """Open what is at a path, if it is a map."""
        node = self.find(place)
        body = None if node is None else node.body()
        if not isinstance(body, MapBody):
            return False
        self._close_for(())
        self._open = _OpenMap(place, body, self.revision)
        return True

    def _close_for(self, path: Path) -> None:
        """Close the map that is open, unless a path lies beside it."""
        opened = self._open
        if opened is None or path[: len(opened.place)] != opened.place[: len(path)]:
            return
        self._open = None
        self._root = grafted(self._root, opened.place, opened.node(), None) if opened.place else opened.node()


class _OpenMap:
    """A map of a tree that is changed in place."""

    __slots__ = ("_depth", "_entries", "_next_position", "_renewed", "_revision", "place")

    def __init__(self, place: Path, body: MapBody, revision: int) -> None:
        self.place = place
        self._depth = len(place)
        self._entries: MapMutation[str, MapEntry] = body.entries.mutate()
        self._next_position = body.next_position
        self._renewed = body.renewed
        self._revision = revision

    def has_below(self, path: Path) -> bool:
        """Whether a path lies below the map."""
        return len(path) > self._depth and path[: self._depth] == self.place

    def find(self, path: Path) -> Node | None:
        """Return what is at a path below the map; nothing where there is nothing."""
        entry = self._entries.get(path[self._depth])
        return None if entry is None else find(entry.node, path[self._depth + 1 :])

    def apply(self, change: Change) -> None:
        """Apply a change below the map."""
        path, depth = change.path, self._depth + 1
        name, last = path[self._depth], len(path) == depth
        entry = self._entries.get(name)
        if type(change) is Remove and last:
            if entry is None:
                raise _damaged(path)
            del self._entries[name]
            return
        position = change.position if type(change) is Put and last else None
        if position is None:
            position = self._next_position if entry is None else entry.position
        if entry is None and type(change) is not Put:
            raise _damaged(path)
        node = empty_map(self._revision) if entry is None else entry.node
        self._entries[name] = MapEntry(position, _applied(node, change, depth, self._revision))
        self._next_position = max(self._next_position, position + 1)

    def node(self) -> Node:
        """Return the map as it is now. It is not to be changed any more."""
        return Node(self._revision, body=MapBody(self._entries.finish(), self._next_position, self._renewed))


def _applied(node: Node, change: Change, depth: int, revision: int) -> Node:
    """Apply a change to what is at the first ``depth`` segments of its path."""
    match change:
        case Put(path, value, position):
            new = Node(revision, encoded=content_of(value))
            return new if depth == len(path) else _put(node, path, depth, new, position)
        case Remove(path):
            return _remove(node, path, depth, revision)
        case Splice(path, index, removed, items):
            spend(len(items))
            nodes = [Node(revision, encoded=content_of(item)) for item in items]
            return _splice(node, path, depth, (index, removed, nodes), revision)
        case Patch(path, changes):
            return _patch(node, path, depth, changes, revision)


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
    draft = Draft(node, revision)
    for change in changes:
        draft.apply(change)
    body = draft.finish().body()
    if body is None or not changes:
        raise _damaged(path)
    return Node(revision, body=body._replace(renewed=revision))


def _damaged(path: Path) -> DamagedLogError:
    return DamagedLogError(f"a change at {format_path(path)!r} does not fit the tree")


def empty_root() -> Node:
    """Give the content of a state that nobody has written: an empty map, last changed in revision 0."""
    return Node(0, body=MapBody(Map(), 0))
