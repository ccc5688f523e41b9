"""Making a workflow's state as a target is, and telling what that undoes."""

from lastgood_daemon.authority.commands.restore import restoring
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Rollback
from lastgood_daemon.authority.targets import find
from lastgood_daemon.authority.world import MAX_OTHERS
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import LogId


def roll_back(
    layer: Layer, state: State, target: Point | None, effects: list[Effect], author: Author, now: int
) -> tuple[State, Rollback]:
    """Bring a content of the past back, as a new revision where anything differs.

    Args:
        layer: where.
        state: the workflow's state.
        target: the content.
        effects: those which went out past the target; a rollback cannot undo them.
        author: who does it.
        now: by the store's clock.
    """
    before = state.revision
    log = LogId(state.state_id, state.incarnation)
    own = target is not None and (target.state_id, target.incarnation) == log
    undone = layer.others(log, target.revision, before) if target is not None and own else []
    edits = [edit for edit in restoring(state, find(layer, state, target)) if edit.changes]
    if edits:
        state = layer.append(state, edits, author, now)
    return state, Rollback(before, [effect.without_result() for effect in effects], undone[-MAX_OTHERS:])
