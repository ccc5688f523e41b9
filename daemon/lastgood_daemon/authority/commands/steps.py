"""The begin of a step, and its end: each one transaction."""

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.commands.rollback import roll_back
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import StepBegun, StepEnded
from lastgood_daemon.engine.checkpoint import COMPLETED, FAILED, Checkpoint, Metrics
from lastgood_daemon.engine.log import Author


class BeginStep(msgspec.Struct, frozen=True):
    """Open the next step."""

    workflow_id: str
    step: int
    author: Author
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> StepBegun:
        """See ``Command``."""
        author = admit(layer, self.author, now, into=self.workflow_id)
        workflow = layer.workflow(self.workflow_id).open_step(self.step, author.agent_id, now)
        layer.put_workflow(workflow, now)
        known = [effect.without_result() for effect in workflow.effects_from(self.step) if effect.step == self.step]
        return StepBegun(layer.state(self.workflow_id).point(), workflow.progress.line, known)


class CompleteStep(msgspec.Struct, frozen=True):
    """End the open step with a completed checkpoint at the present revision.

    What the same session has handed in before is in that revision: the committer takes commands in their order.
    """

    workflow_id: str
    step: int
    author: Author
    metrics: Metrics | None
    metadata: bytes | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> StepEnded:
        """See ``Command``."""
        author = admit(layer, self.author, now, into=self.workflow_id)
        checkpoint = _checkpoint(self, layer, author, COMPLETED, now)
        workflow = layer.workflow(self.workflow_id).record(checkpoint).close_step(completed=True)
        layer.put_workflow(workflow, now, [checkpoint])
        return StepEnded(checkpoint.point, checkpoint)


class FailStep(msgspec.Struct, frozen=True):
    """End the open step with a failed checkpoint at the present revision, and go back to the last good one."""

    workflow_id: str
    step: int
    author: Author
    metrics: Metrics | None
    metadata: bytes | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> StepEnded:
        """See ``Command``."""
        author = admit(layer, self.author, now, into=self.workflow_id)
        checkpoint = _checkpoint(self, layer, author, FAILED, now)
        workflow = layer.workflow(self.workflow_id).record(checkpoint).close_step(completed=False)
        good = workflow.last_good()
        target = workflow.progress.began if good is None else good.point
        effects = workflow.effects_from(workflow.progress.next_step)
        workflow, state, rollback = roll_back(layer, workflow, target, effects, author, now)
        layer.put_workflow(workflow, now, [checkpoint])
        return StepEnded(state.point(), checkpoint, rollback)


def _checkpoint(command: CompleteStep | FailStep, layer: Layer, author: Author, status: int, now: int) -> Checkpoint:
    """Make the checkpoint that ends a step, which must be open."""
    workflow, state = layer.workflow(command.workflow_id), layer.state(command.workflow_id)
    workflow.require_open(command.step)
    return Checkpoint(
        workflow_id=command.workflow_id,
        step=command.step,
        attempt=author.attempt,
        line=workflow.progress.line,
        agent_id=author.agent_id,
        status=status,
        point=state.point(),
        point_created_at=state.tree.timestamp,
        metrics=command.metrics,
        metadata=command.metadata,
        created_at=now,
    )
