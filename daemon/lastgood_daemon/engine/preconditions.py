"""What must hold for a write to happen: compare-and-set on the whole state or on single paths."""

from collections.abc import Mapping
from typing import NamedTuple

from lastgood_daemon.engine.errors import ConflictError
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.state import State
from lastgood_proto.paths import Path

_PATH_COST = 5


class Precondition(NamedTuple):
    """The revision that the state must be at, and the revisions since which paths must not have changed."""

    revision: int | None = None
    paths: Mapping[Path, int] = {}
    incarnation: int = 0
    """The life of the state that the revisions are of; 0: the present one."""


def require(state: State, precondition: Precondition) -> None:
    """Raise ``ConflictError`` where a precondition does not hold for a state."""
    tree, expected = state.tree, precondition.revision
    former = precondition.incarnation not in {0, state.incarnation}
    if expected is not None and (former or expected != tree.revision):
        raise ConflictError(None, expected, tree.revision, reached=tree.revision, former=former)
    for path, since in precondition.paths.items():
        spend(_PATH_COST)
        actual = tree.last_change(path)
        if actual > since or since > tree.revision or former:
            raise ConflictError(path, since, actual, reached=tree.revision, former=former)
