"""Going on with a workflow: back to the last good checkpoint, in a new attempt."""

from dataclasses import dataclass

from lastgood_daemon.authority.commands.authorship import require_present_attempt
from lastgood_daemon.authority.commands.restore import restoring
from lastgood_daemon.authority.commands.states import begin_with
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Resumed
from lastgood_daemon.authority.targets import find
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Checkpoint, Workflow


@dataclass(frozen=True, slots=True)
class Resume:
    """Begin an attempt, and roll the workflow's state back to the last good checkpoint, or to that of a step.

    All in one transaction: the initial state if the workflow has not begun, the rollback, the attempt that fences all
    earlier ones, and the superseding of later checkpoints where a step was named.
    """

    workflow_id: str
    author: Author
    step: int | None
    initial_state: bytes | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> Resumed:
        """See ``Command``."""
        require_present_attempt(layer, self.author)
        workflow, state = self._begun(layer, now)
        checkpoint: Checkpoint | None
        superseded: list[Checkpoint] = []
        if self.step is None:
            checkpoint = workflow.last_good()
        else:
            checkpoint = workflow.of_step(self.step)
            workflow, superseded = workflow.back_to(checkpoint)
        target = workflow.progress.began if checkpoint is None else checkpoint.point
        found = find(layer, state, target)
        rollback = restoring(state, found)
        if any(edit.changes for edit in rollback):
            author = Author(self.author.agent_id, self.workflow_id, workflow.progress.attempt)
            state = layer.append(state, rollback, author, now)
        layer.put_workflow(workflow, changed=superseded)
        return Resumed(state.point(), workflow.progress.attempt, checkpoint)

    def _begun(self, layer: Layer, now: int) -> tuple[Workflow, State]:
        """Give the workflow with the new attempt, and its state with the initial one written where it had not begun."""
        workflow, state = layer.workflow(self.workflow_id), layer.state(self.workflow_id)
        if self.initial_state is not None and not workflow.has_begun_in(state):
            state = begin_with(layer, state, "set", self.initial_state, self.author, now)
        return workflow.begin_attempt(state), state
