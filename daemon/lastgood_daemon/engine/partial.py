"""A tree that is right at one path and below it, and nowhere else: all that the history of the path has to look at.

It is made from any earlier point where the path is known, by applying only the changes that touch it. So the last revisions
of a key in a log of a million need a handful of rows:

    revision 3         Put("a", {"b": 1})        here "a.b" is known, whatever was before
    4 … 999,999        (elsewhere)
    revision 1,000,000 Put("a.b", 2)             before: 1, after: 2

Lists are why the path alone will not always do. When an item is taken out, others move to its index, with whatever has been
written into them:

    Put("l", ["x", "y"])    Put("l.1", "Y")    Splice("l", 0, 1)       now "Y" is at l.0

So where items of a list above the path move, all of the list has to be known. That is the ``scope``: the path, or the
topmost such list above it.
"""

from lastgood_daemon.engine.applying import apply_change
from lastgood_daemon.engine.change import Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.log import Entry
from lastgood_daemon.engine.places import flattened, touches
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto.paths import Path


def scope_of(path: Path, entry: Entry) -> Path:
    """Give what has to be known before a revision, to know what is at a path after it."""
    lists = [change.path for change in flattened(entry.changes()) if _moves(change, path)]
    return min(lists, key=len, default=path)


def determined(path: Path, scope: Path, revision: int, entry: Entry) -> tuple[Tree | None, Path]:
    """Give the tree after a revision that says all about the scope, whatever was there before; nothing where it does not.

    Gives also what has to be known before the revision where it does not.
    """
    changes = flattened(entry.changes())
    for index in reversed(range(len(changes))):
        change = changes[index]
        if _moves(change, path):
            scope = min(scope, change.path, key=len)
        elif not isinstance(change, Splice) and change.path == scope[: len(change.path)]:
            start = changes[index:] if isinstance(change, Put) else changes[index + 1 :]
            return _applied(EMPTY_TREE, start, scope, revision, entry.timestamp), scope
    return None, scope


def advanced(tree: Tree, scope: Path, revision: int, entry: Entry) -> Tree:
    """Give the tree after a revision, as far as the scope is concerned."""
    return _applied(tree, flattened(entry.changes()), scope, revision, entry.timestamp)


def _moves(change: SimpleChange, path: Path) -> bool:
    """Whether items of a list above a path may move to other indexes."""
    return isinstance(change, Splice) and len(change.path) < len(path) and change.path == path[: len(change.path)]


def _applied(tree: Tree, changes: list[SimpleChange], scope: Path, revision: int, timestamp: int) -> Tree:
    root = tree.root
    for change in changes:
        # A map above the scope may be there only because of what is beside the scope: removing it removes nothing here.
        beside = isinstance(change, Remove) and len(change.path) < len(scope) and tree.find(change.path) is None
        if touches(change, scope) and not beside:
            root = apply_change(root, change, revision)
            tree = tree._replace(root=root)
    return tree._replace(revision=revision, timestamp=timestamp)
