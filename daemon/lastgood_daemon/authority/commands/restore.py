"""Bringing an earlier content back."""

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.targets import Found, StateRef, Target, find, find_state
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.labour import let_go
from lastgood_daemon.engine.log import Author, LoggedEdit
from lastgood_daemon.engine.preconditions import Precondition, require
from lastgood_daemon.engine.restore import bridge, bridge_paths
from lastgood_daemon.engine.state import Made, State, made
from lastgood_proto.paths import Path


class Restore(msgspec.Struct, frozen=True):
    """Make a state, or some subtrees of it, as they are in a target; a new revision, so nothing is lost by it."""

    state: StateRef
    author: Author
    precondition: Precondition
    target: Target
    paths: tuple[Path, ...]
    size: int

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        state = find_state(layer, self.state)
        author = admit(layer, self.author, now, into=state.state_id)
        require(state, self.precondition)
        found = find(layer, state, self.target)
        after = layer.put(state, layer.made(state, author, lambda: self._work_out(state, found, author, now), *found.fixed))
        if found.checkpoint is not None and found.checkpoint.workflow_id == state.state_id and not self.paths:
            _begin_line(layer, found.checkpoint, now)
        return Written(after.point())

    def _work_out(self, state: State, found: Found, author: Author, now: int) -> Made:
        edits = restoring(state, found, self.paths)
        restored = made(state, edits, author, now)
        let_go(edits)
        return restored


def restoring(state: State, found: Found, paths: tuple[Path, ...] = ()) -> list[LoggedEdit]:
    """Give the edits that make a state as a target is."""
    if paths:
        return [
            LoggedEdit("restore", path, tuple(c), found.point) for path, c in bridge_paths(state.tree, found.root, paths)
        ]
    point = found.point
    near = None
    if point is not None and (point.state_id, point.incarnation) == (state.state_id, state.incarnation):
        near = state.trail.touched_since(point.revision, state.revision)
    changes = bridge(state.tree.root, found.root, within=[()] if near is None else near)
    return [LoggedEdit("restore", (), tuple(changes), point)]


def _begin_line(layer: Layer, checkpoint: Checkpoint, now: int) -> None:
    """Supersede what comes after a checkpoint. It counts again itself, if it had been superseded."""
    workflow, superseded = layer.workflow(checkpoint.workflow_id).back_to(checkpoint, now)
    live = msgspec.structs.replace(checkpoint, superseded=False, superseded_at=0)
    layer.put_workflow(workflow.record(live), now, [live, *superseded])
