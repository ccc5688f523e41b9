"""Beginning an attempt at a workflow, with a lease or without."""

import msgspec

from lastgood_daemon.authority.commands.rollback import roll_back
from lastgood_daemon.authority.commands.states import begin_with
from lastgood_daemon.authority.layer import Layer, Part
from lastgood_daemon.authority.outcomes import Resumed
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.errors import FencedError, StateNotFoundError
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.log import Author


class Resume(msgspec.Struct, frozen=True):
    """Begin an attempt, and roll the workflow's state back to the last good checkpoint, or to that of a step.

    All in one transaction: the initial state if the workflow has not begun, the rollback, the attempt that fences all
    earlier ones, and the superseding of what comes later where a step was named. A holder that begins anew keeps its lease.
    """

    workflow_id: str
    author: Author
    step: int | None
    initial_state: bytes | None
    force: bool
    poison_after: int
    size: int

    def evaluate(self, layer: Layer, now: int) -> Resumed:
        """See ``Command``."""
        progress = layer.workflow(self.workflow_id).progress
        lease, fence = progress.lease, self.author
        if fence.workflow_id == self.workflow_id and fence.attempt != progress.attempt:
            raise FencedError(self.workflow_id, fence.attempt, progress.attempt)
        if fence.workflow_id not in {"", self.workflow_id}:
            layer.workflow(fence.workflow_id).require_attempt(fence.attempt, now)
        by_holder = progress.holds(now) and fence.workflow_id == self.workflow_id
        if not (by_holder or self.force):
            layer.workflow(self.workflow_id).require_free(now)
        beginning = _Beginning(
            self.workflow_id, self.author, self.step, self.initial_state, self.poison_after, lease if by_holder else None
        )
        return beginning.evaluate(layer, now)


class Claim(msgspec.Struct, frozen=True):
    """Resume a workflow and hold it by a lease.

    One that finds it held and may ``wait`` is kept back by the committer, with its place among those that wait.
    """

    workflow_id: str
    author: Author
    initial_state: bytes | None
    poison_after: int
    claim_id: str
    holder: str
    length: int
    wait: int
    """Microseconds."""
    size: int

    def evaluate(self, layer: Layer, now: int) -> Resumed:
        """See ``Command``."""
        layer.workflow(self.workflow_id).require_free(now, self.claim_id)
        lease = Lease(0, self.claim_id, self.holder, self.length, now + self.length)
        beginning = _Beginning(self.workflow_id, self.author, None, self.initial_state, self.poison_after, lease)
        return beginning.evaluate(layer, now)


class _Beginning(msgspec.Struct, frozen=True):
    """What both have in common: the caller has seen that an attempt may begin."""

    workflow_id: str
    author: Author
    step: int | None
    initial_state: bytes | None
    poison_after: int
    lease: Lease | None

    def evaluate(self, layer: Layer, now: int) -> Resumed:
        before, state = layer.workflow(self.workflow_id), layer.state(self.workflow_id)
        if self.initial_state is not None and not before.has_begun_in(state):
            state = begin_with(layer, state, "set", self.initial_state, self.author, now)
        by_itself = self.author.workflow_id == self.workflow_id
        workflow = before.begin_attempt(state, self.author.agent_id, self.poison_after, by_itself=by_itself)
        at_work = before.progress.step
        changed: list[Part] = []
        if self.step is None:
            workflow.require_wholesome()
            checkpoint = workflow.last_good()
            effects = workflow.effects_from(workflow.progress.next_step)
        else:
            checkpoint = workflow.of_step(self.step)
            effects = workflow.effects_from(self.step + 1)
            workflow, superseded = workflow.back_to(checkpoint, now)
            changed.extend(superseded)
        number = workflow.progress.attempt
        author = Author(self.author.agent_id, self.workflow_id, number)
        target = workflow.progress.began if checkpoint is None else checkpoint.point
        if target is not None and target.state_id == self.workflow_id and target.incarnation != state.incarnation:
            raise StateNotFoundError(self.workflow_id, "clear_checkpoints() lets the workflow begin anew")
        from_revision = state.revision
        workflow, state, rollback = roll_back(layer, workflow, target, effects, author, now)
        if self.lease is not None:
            workflow = workflow.with_lease(self.lease.granted_to(number))
        attempt = Attempt(
            number=number,
            agent_id=self.author.agent_id,
            holder="" if self.lease is None else self.lease.holder,
            began_at=now,
            line=workflow.progress.line,
            next_step=0 if checkpoint is None else checkpoint.step + 1,
            back=self.step is not None,
            from_revision=from_revision,
            revision=state.revision,
            died_step=at_work.step if at_work is not None and at_work.is_open and not by_itself else None,
        )
        layer.put_workflow(workflow.with_attempt(attempt), now, [*changed, attempt])
        return Resumed(state.point(), number, checkpoint, rollback)
