"""Making and deleting checkpoints."""

from dataclasses import replace

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.commands.states import begin_with
from lastgood_daemon.authority.layer import Layer, Part
from lastgood_daemon.authority.outcomes import CheckpointMade, CheckpointsDeleted
from lastgood_daemon.authority.targets import Content, StateRef, find_state
from lastgood_daemon.engine.checkpoint import Checkpoint, Metrics
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State


class MakeCheckpoint(msgspec.Struct, frozen=True):
    """Record what a step has come to, in place of what the same attempt recorded for it before."""

    workflow_id: str
    step: int
    author: Author
    status: int
    source: StateRef | Point | Content
    metrics: Metrics | None
    metadata: bytes | None
    copy_id: str
    """Id of the state that keeps a content brought along."""
    size: int

    def evaluate(self, layer: Layer, now: int) -> CheckpointMade:
        """See ``Command``."""
        admit(layer, self.author, now, into=self.workflow_id)
        workflow = layer.workflow(self.workflow_id)
        point, point_created_at = self._point(layer, now)
        checkpoint = Checkpoint(
            workflow_id=self.workflow_id,
            step=self.step,
            attempt=self.author.attempt if self.author.workflow_id == self.workflow_id else 0,
            line=workflow.progress.line,
            agent_id=self.author.agent_id,
            status=self.status,
            point=point,
            point_created_at=point_created_at,
            metrics=self.metrics,
            metadata=self.metadata,
            created_at=now,
        )
        layer.put_workflow(workflow.record(checkpoint), now, [checkpoint])
        return CheckpointMade(checkpoint)

    def _point(self, layer: Layer, now: int) -> tuple[Point, int]:
        """Give what the checkpoint refers to, and when that was made."""
        match self.source:
            case StateRef():
                state = find_state(layer, self.source)
                self._note(layer, state, state.revision, now)
                return state.point(), state.tree.timestamp
            case Point(state_id, incarnation, revision):
                state = find_state(layer, StateRef(state_id, incarnation))
                state.require_kept(revision)
                timestamp = layer.tree(self.source).timestamp
                self._note(layer, state, revision, now)
                return self.source, timestamp
            case Content(encoded):
                copy = layer.state(self.copy_id)
                copy = replace(copy, about=msgspec.structs.replace(copy.about, hidden=True))
                copy = begin_with(layer, copy, "copy", encoded, self.author, now)
                return copy.point(), copy.tree.timestamp

    def _note(self, layer: Layer, state: State, revision: int, now: int) -> None:
        """Have whoever is about to delete what no checkpoint refers to notice this one."""
        if state.about.born and (state.state_id, state.revision) != (self.workflow_id, revision):
            layer.note_reference(state, now)


class DeleteCheckpoints(msgspec.Struct, frozen=True):
    """Delete the checkpoints of a step, or all of them; with ``effects`` also what the ledger has of it."""

    workflow_id: str
    step: int | None
    author: Author
    effects: bool
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> CheckpointsDeleted:
        """See ``Command``."""
        admit(layer, self.author, now, into=self.workflow_id)
        gone: list[Part] = []
        workflow, checkpoints = layer.workflow(self.workflow_id).without(self.step)
        gone.extend(checkpoints)
        if self.effects:
            workflow, effects = workflow.without_effects(self.step)
            gone.extend(effects)
        if gone:
            layer.put_workflow(workflow, now, gone=gone)
        return CheckpointsDeleted(existed=bool(gone))
