"""What must hold for a write to happen: compare-and-set on the whole state or on single paths."""

from collections.abc import Mapping
from typing import NamedTuple

from lastgood_daemon.engine.errors import ConflictError
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.paths import Path


class Precondition(NamedTuple):
    """The revision that the state must be at, and the revisions since which paths must not have changed."""

    revision: int | None = None
    paths: Mapping[Path, int] = {}


def require(tree: Tree, precondition: Precondition) -> None:
    """Raise ``ConflictError`` where a precondition does not hold for a tree."""
    expected = precondition.revision
    if expected is not None and expected != tree.revision:
        raise ConflictError(None, expected, tree.revision)
    for path, since in precondition.paths.items():
        actual = tree.last_change(path)
        if actual > since:
            raise ConflictError(path, since, actual)
