"""The content of a state at one revision."""

from collections.abc import Iterable
from typing import NamedTuple

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, SimpleChange, Splice, apply_change, empty_root
from lastgood_daemon.engine.graves import NO_GRAVES, Grave, bury, bury_items, gone_since
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, Node, child_of, find
from lastgood_daemon.engine.stored_value import content_of
from lastgood_proto.paths import Path

CHANGE_COST = 20
"""Of evaluating an edit, or of applying a change; see ``spend``."""


class Tree(NamedTuple):
    """An immutable content. Versions share all that they have in common."""

    revision: int
    timestamp: int
    """When the revision was made, in microseconds since 1970-01-01 UTC."""
    root: Node
    graves: Grave

    def find(self, path: Path) -> Node | None:
        """Give what is at a path; nothing where there is nothing."""
        return find(self.root, path)

    def last_change(self, path: Path) -> int:
        """Give the revision that last changed what is at a path; 0 if nothing has ever been there.

        Replacing an ancestor changes what is below it, and changing a descendant changes what is above. For an item of
        a list, moving to another index is a change.
        """
        node = self.root
        renewed = 0
        for segment in path:
            body = node.body()
            if body is not None:
                renewed = max(renewed, body.renewed)
            child = child_of(node, segment)
            if child is None:
                return gone_since(self.graves, path)
            node = child
        return max(node.changed, renewed)

    def apply(self, changes: Iterable[Change], revision: int, timestamp: int = 0) -> "Tree":
        """Give the tree of a later revision."""
        tree = Tree(revision, timestamp, self.root, self.graves)
        for change in changes:
            spend(CHANGE_COST)
            root = apply_change(tree.root, change, revision)
            tree = Tree(revision, timestamp, root, _graves_after(tree, change, revision))
        return tree


def _graves_after(tree: Tree, change: Change, revision: int) -> Grave:
    match change:
        case Splice(path, index, removed, _):
            old = tree.find(path)
            body = None if old is None else old.body()
            appends = not removed and isinstance(body, ListBody) and index == len(body.items)
            return tree.graves if appends or old is None else bury_items(tree.graves, path, old, revision)
        case Patch(path, changes):
            return _graves_after_patch(tree, path, changes, revision)
        case Put(path, new):
            return bury(tree.graves, path, tree.find(path), content_of(new), revision)
        case Remove(path):
            return bury(tree.graves, path, tree.find(path), None, revision)


def _graves_after_patch(tree: Tree, path: Path, changes: Iterable[SimpleChange], revision: int) -> Grave:
    """Give the graves as they are when the whole new value is put: a list that changes anywhere is marked as a whole."""
    graves = tree.graves
    root = tree.find(path)
    for change in changes:
        spend(CHANGE_COST)
        node, depth = root, 0
        while node is not None and not node.is_list and depth < len(change.path):
            node, depth = child_of(node, change.path[depth]), depth + 1
        place = (*path, *change.path[:depth])
        if node is not None and node.is_list and (depth < len(change.path) or isinstance(change, Splice)):
            graves = bury_items(graves, place, node, revision)
        elif not isinstance(change, Splice):
            new = content_of(change.value) if isinstance(change, Put) else None
            graves = bury(graves, place, node, new, revision)
    return graves


EMPTY_TREE = Tree(0, 0, empty_root(), NO_GRAVES)
"""The content of a state that nobody has written."""
