"""Workflows that resume: back to the last good checkpoint, as a new attempt."""

from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self

from lastgood import arguments
from lastgood.attempts import Rollback
from lastgood.checkpoints import CheckpointManager, Metrics
from lastgood.errors import InvalidArgumentError, WorkflowBusyError
from lastgood.operations import RESUME
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood.retry import Retry
from lastgood.state.shared import SharedState
from lastgood.workflow.claim import Claim
from lastgood.workflow.records import WorkflowRecords
from lastgood.workflow.run import Run
from lastgood.workflow.step import Step
from lastgood_proto.v1.common_pb2 import ChangeContext
from lastgood_proto.v1.workflows_pb2 import ResumeRequest

_LONGEST_LEASE = 24 * 60 * 60.0
_MOST_DEATHS = 2**32 - 1


class ResumableWorkflow(WorkflowRecords):
    """A workflow of numbered steps, with a state of its own, which goes on from its last good checkpoint.

    ``async with workflow`` claims it: nobody else can while this process lives. The claim is a lease that is renewed in the
    background, so that a process that dies loses it. The workflow is resumed as by ``try_resume``, and given up at the end.
    Where the lease is lost, the body is cancelled, and LeaseLostError is raised in place of that.

    Making one does no I/O. All calls take ``timeout``: seconds; None is the client's.

    Args:
        workflow_id: any non-empty text; the workflow's state has the same id.
        checkpoint_manager: where its checkpoints are.
        initial_state: written at the first claim or ``try_resume``, as one revision, and ignored once the workflow has
            begun.
        lease: seconds for which a claim holds unless it is renewed, and so the time after which a process that has died has
            lost it; a day at most. A body that keeps the event loop busy for so long loses it, too.
        wait: whether a claim waits until the workflow is free, first come first served, for as long as that takes.
        poison_after: how many processes may die under a step until it is not resumed any more; None is any number.

    Raises:
        InvalidArgumentError: an argument of the wrong type or out of range.
        InvalidValueError: ``initial_state`` is no dict, or cannot be stored.
    """

    def __init__(
        self,
        workflow_id: str,
        checkpoint_manager: CheckpointManager,
        *,
        initial_state: dict[str, Any] | None = None,
        lease: float = 30.0,
        wait: bool = False,
        poison_after: int | None = 3,
    ) -> None:
        if not isinstance(checkpoint_manager, CheckpointManager):
            text = f"checkpoint_manager must be a CheckpointManager, got {arguments.type_name(checkpoint_manager)}"
            raise InvalidArgumentError(text, field="checkpoint_manager")
        if not 0 < arguments.check_number(lease, "lease") <= _LONGEST_LEASE:
            text = f"lease must be a positive number of seconds, {_LONGEST_LEASE:g} at most, got {lease!r}"
            raise InvalidArgumentError(text, field="lease")
        if not isinstance(wait, bool):
            text = f"wait must be True or False, got {wait!r}; to limit the wait, enter the workflow within a time limit"
            raise InvalidArgumentError(text, field="wait")
        if poison_after is not None and not 1 <= arguments.check_count(poison_after, "poison_after") <= _MOST_DEATHS:
            text = f"poison_after must be a number from 1, or None for never, got {poison_after}"
            raise InvalidArgumentError(text, field="poison_after")
        source, agent_id = checkpoint_manager._source, checkpoint_manager._agent_id  # noqa: SLF001 - a workflow is a part of its manager
        super().__init__(Run(arguments.check_text(workflow_id, "workflow_id"), source, agent_id))
        self._manager = checkpoint_manager
        self._initial_state = None if initial_state is None else arguments.encode_map(initial_state, "initial_state")
        self._lease = lease
        self._wait = wait
        self._poison_after = poison_after or 0

    @property
    def workflow_id(self) -> str:
        """Which workflow."""
        return self._run.workflow_id

    @property
    def state(self) -> SharedState:
        """The workflow's state, bound to this attempt: once a later one begins, its writes are refused with FencedError.

        Each attempt makes a new handle. Before the first one it is bound to no attempt.
        """
        return self._run.state

    @property
    def is_resumed(self) -> bool:
        """Whether this attempt has begun at a checkpoint."""
        return self._run.is_resumed

    @property
    def current_step(self) -> int:
        """The step to do next.

        Raises:
            StepOrderError: no attempt has begun, so that it is not known.
        """
        if not self._run.current_step and not self._run.attempt:
            self._run.check_begun("the current step")
        return self._run.current_step

    @property
    def attempt(self) -> int:
        """Which attempt this is; 0 before the first claim or ``try_resume``."""
        return self._run.attempt

    @property
    def metrics(self) -> ExecutionMetrics:
        """What the workflow has cost. They go on from the checkpoint that was resumed; add to them."""
        return self._run.metrics

    @property
    def rollback(self) -> Rollback | None:
        """What the last rollback has undone: of the claim, of ``try_resume``, or of a step that failed; None before any."""
        return self._run.rollback

    @property
    def join_token(self) -> str:
        """What helper processes hand to ``client.join``, so that they may write into the state while this attempt lasts.

        Raises:
            StepOrderError: no attempt has begun.
        """
        self._run.check_begun("the join token")
        return f"{self._run.attempt}-{self._run.copy_id}@{self._run.workflow_id}"

    def __repr__(self) -> str:
        """For people."""
        return f"ResumableWorkflow({self.workflow_id!r}, attempt={self.attempt}, current_step={self._run.current_step})"

    async def __aenter__(self) -> Self:
        """Claim the workflow, and resume it.

        Raises:
            WorkflowBusyError: somebody else holds it, and ``wait`` is not set; or this object does already.
            PoisonedStepError: too many processes have died under the step to be done.
        """
        run = self._run
        if run.claim is not None:
            text = f"this object holds workflow {run.workflow_id!r} already, or is about to"
            raise WorkflowBusyError(text, workflow_id=run.workflow_id, holder=run.claim.holder)
        run.claim = Claim(run.source(), run.workflow_id, run.agent_id, self._lease)
        try:
            run.begin(await run.claim.take(self._initial_state, self._poison_after, wait=self._wait))
        except BaseException:
            run.claim = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the workflow up. What was done stays.

        Raises:
            LeaseLostError: the claim was lost.
        """
        claim, self._run.claim = self._run.claim, None
        if claim is not None:
            self._run.ended = True
            await claim.end(error)

    async def try_resume(self, step: int | None = None, *, force: bool = False, timeout: float | None = None) -> int:
        """Roll the workflow's state back to its last good checkpoint, begin a new attempt, and give the step to do next.

        Without a checkpoint it goes back to where the workflow began, and gives 0. What later, unfinished steps had written
        is gone from the state and stays in its history. Writers of earlier attempts get FencedError from then on.

        It claims nothing. Within ``async with workflow`` the claim stays, and holds for the new attempt.

        Args:
            step: back to the checkpoint of this step instead; the later ones are superseded.
            force: also where somebody else holds the workflow, who loses it.
            timeout: seconds; None is the client's.

        Raises:
            CheckpointNotFoundError: there is no checkpoint of ``step``.
            WorkflowBusyError: somebody else holds the workflow.
            PoisonedStepError: too many processes have died under the step to be done.
        """
        run, claim = self._run, self._run.claim
        request = ResumeRequest(
            context=ChangeContext(agent_id=run.agent_id, fence=None if claim is None else run.fence),
            workflow_id=run.workflow_id,
            step=None if step is None else arguments.check_count(step, "step"),
            initial_state=self._initial_state,
            force=force,
            poison_after=self._poison_after,
        )
        with nullcontext() if claim is None else claim.moving():
            answer = await run.call(RESUME, request, timeout)
            run.begin(answer)
        return run.current_step

    def step(
        self,
        number: int,
        agent_id: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> Step:
        """Make a step: ``async with workflow.step(workflow.current_step, agent_id="writer") as step``. See ``Step``.

        There is one at a time, in order. Agents that work in parallel work inside one step.

        Args:
            number: which; ``current_step`` is the next one.
            agent_id: who does it; None is the client's.
            metadata: a dict, kept with its checkpoint.
            retry: how it is tried again where it fails, by ``await workflow.step(...).run(function)``.
            timeout: seconds for each of its calls; None is the client's.
        """
        return Step(self._run, number, agent_id, metadata=metadata, retry=retry, timeout=timeout)

    async def checkpoint(  # what a checkpoint consists of
        self,
        step: int,
        agent_id: str,
        status: AgentStatus | str,
        *,
        metrics: Metrics | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Checkpoint:
        """Record what a step has come to: ``state`` as it is now.

        Args:
            step: from 0.
            agent_id: who made it.
            status: only ``COMPLETED`` makes a good checkpoint, and the next step the current one.
            metrics: what the workflow has cost; None takes ``metrics``.
            metadata: a dict, kept with it.
            timeout: seconds; None is the client's.

        Raises:
            FencedError: a later attempt has begun.
            LeaseLostError: the claim of the workflow is lost.
        """
        run = self._run
        run.check_held()
        made = await self._manager._create(  # noqa: SLF001 - a workflow is a part of its manager
            run.workflow_id,
            step,
            agent_id,
            status,
            run.state,
            run.metrics if metrics is None else metrics,
            metadata,
            run.fence,
            timeout,
        )
        if made.status is AgentStatus.COMPLETED:
            run.current_step = step + 1
        return made

    async def clear_checkpoints(self, *, timeout: float | None = None) -> bool:
        """Delete the checkpoints and the recorded effects of the workflow, and tell whether there were any checkpoints.

        What has run runs again then, under new idempotency keys.

        Raises:
            FencedError: a later attempt has begun.
            LeaseLostError: the claim of the workflow is lost.
        """
        run = self._run
        run.check_held()
        return await self._manager._delete(run.workflow_id, None, run.fence, timeout, effects=True)  # noqa: SLF001 - a workflow is a part of its manager
