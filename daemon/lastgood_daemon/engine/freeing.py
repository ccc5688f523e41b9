"""Taking apart what nothing else refers to any more, piece by piece.

To free a map of 100,000 names in one go holds the interpreter for tens of milliseconds, whichever thread does it. So a tree
is walked from its root, as far as it is not shared with another version, and let go of a few nodes at a time.
"""

import sys

from lastgood_daemon.engine.graves import Grave
from lastgood_daemon.engine.labour import let_go, let_go_of_bytes
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.trail import Mark
from lastgood_daemon.engine.tree import Tree

_MINE = 2
"""References to what only one variable refers to, as ``getrefcount`` counts them."""


def take_apart(gone: list[Mark | Tree | bytes]) -> None:
    """Let go of revisions, or their entries and images; what others refer to, too, stays as it is."""
    while gone:
        each = gone.pop()
        if isinstance(each, bytes):
            held = [each]
            del each
            let_go_of_bytes(held)
            continue
        tree = each if isinstance(each, Tree) else each.tree
        below, buried = [tree.root], [tree.graves]
        touched = [] if isinstance(each, Tree) else [*(each.touched or ())]
        del each, tree
        let_go(touched)
        _let_go_of(below)
        _let_go_of_graves(buried)


def _let_go_of(below: list[Node]) -> None:
    while below:
        node = below.pop()
        if sys.getrefcount(node) == _MINE:
            below.extend(node.take_apart())


def _let_go_of_graves(below: list[Grave]) -> None:
    while below:
        grave = below.pop()
        if sys.getrefcount(grave) > _MINE or not len(grave.below):
            continue
        names = [*grave.below.items()]
        del grave
        below.extend(child for _, child in names)
        let_go(names)
