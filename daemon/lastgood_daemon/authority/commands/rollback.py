"""Making a workflow's state as a target is, and telling what that undoes."""

from lastgood_daemon.authority.commands.restore import restoring
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Rollback
from lastgood_daemon.authority.targets import Found, find
from lastgood_daemon.authority.world import MAX_OTHERS
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.log import Author, Other
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Made, State, made
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import LogId


def roll_back(
    layer: Layer, workflow: Workflow, target: Point | None, effects: list[Effect], author: Author, now: int
) -> tuple[Workflow, State, Rollback]:
    """Bring a content of the past of a workflow's state back, as a new revision where anything differs.

    Args:
        layer: where.
        workflow: whose state it is.
        target: the content.
        effects: those which went out past the target; a rollback cannot undo them.
        author: who does it.
        now: by the store's clock.
    """
    state = layer.state(workflow.workflow_id)
    before = state.point()
    undone = _undone(layer, workflow, before, target)
    found = find(layer, state, target)
    restored = layer.made(state, author, lambda: _restored(state, found, author, now), *found.fixed)
    if restored is not None:
        state = layer.put(state, restored)
    told = Rollback(before.revision, [effect.without_result() for effect in effects], undone[-MAX_OTHERS:])
    return workflow.rolled_back(target, state.point()), state, told


def _restored(state: State, found: Found, author: Author, now: int) -> Made | None:
    """Return the revision that goes back; nothing where nothing differs."""
    edits = [edit for edit in restoring(state, found) if edit.changes]
    return made(state, edits, author, now) if edits else None


def _undone(layer: Layer, workflow: Workflow, before: Point, target: Point | None) -> list[Other]:
    """Give the revisions of others past a target, without those that the last rollback has undone already."""
    log = LogId(before.state_id, before.incarnation)
    if target is None or (target.state_id, target.incarnation) != log:
        return []
    others, last = layer.others(log, target.revision, before.revision), workflow.progress.rolled_back
    if last is None or last.at.incarnation != before.incarnation:
        return others
    return [other for other in others if not last.to < other.revision <= last.at.revision]
