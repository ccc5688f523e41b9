"""The content of a state at one revision."""

from collections.abc import Iterable
from typing import NamedTuple

from lastgood_daemon.engine.applying import Draft, empty_root
from lastgood_daemon.engine.change import Change, Patch, Put, Remove, Splice
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

    def is_in_map(self, path: Path) -> bool:
        """Whether a path names something, there or not, in a map that is there."""
        parent = self.find(path[:-1]) if path else None
        return parent is not None and parent.is_map

    def apply(self, changes: Iterable[Change], revision: int, timestamp: int = 0) -> "Tree":
        """Give the tree of a later revision."""
        draft = TreeDraft(self, revision)
        for change in changes:
            draft.apply(change)
        return draft.tree(timestamp)


class TreeDraft(Draft):
    """A tree, with its graves, while the changes of one revision are applied to it."""

    __slots__ = ("_graves",)

    def __init__(self, tree: Tree, revision: int) -> None:
        super().__init__(tree.root, revision)
        self._graves = tree.graves

    def apply(self, change: Change) -> None:
        """Apply a change."""
        spend(CHANGE_COST)
        self._graves = _graves_after(self._graves, self, change, self.revision)
        super().apply(change)

    def tree(self, timestamp: int = 0) -> Tree:
        """Return the tree as it is now."""
        return Tree(self.revision, timestamp, self.finish(), self._graves)


def _graves_after(graves: Grave, draft: Draft, change: Change, revision: int) -> Grave:
    match change:
        case Put(path, new):
            return bury(graves, path, draft.find(path), content_of(new), revision)
        case Remove(path):
            return bury(graves, path, draft.find(path), None, revision)
        case Splice(path, index, removed, _):
            old = draft.find(path)
            body = None if old is None else old.body()
            appends = not removed and isinstance(body, ListBody) and index == len(body.items)
            return graves if appends or old is None else bury_items(graves, path, old, revision)
        case Patch(path):
            return _graves_after_patch(graves, draft.find(path), change, revision)


def _graves_after_patch(graves: Grave, root: Node | None, patch: Patch, revision: int) -> Grave:
    """Give the graves as they are when the whole new value is put: a list that changes anywhere is marked as a whole."""
    for change in patch.changes:
        spend(CHANGE_COST)
        node, depth = root, 0
        while node is not None and not node.is_list and depth < len(change.path):
            node, depth = child_of(node, change.path[depth]), depth + 1
        place = (*patch.path, *change.path[:depth])
        if node is not None and node.is_list and (depth < len(change.path) or isinstance(change, Splice)):
            graves = bury_items(graves, place, node, revision)
        elif not isinstance(change, Splice):
            new = content_of(change.value) if isinstance(change, Put) else None
            graves = bury(graves, place, node, new, revision)
    return graves


EMPTY_TREE = Tree(0, 0, empty_root(), NO_GRAVES)
"""The content of a state that nobody has written."""
