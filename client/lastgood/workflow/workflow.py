"""Workflows that resume: back to the last good checkpoint, as a new attempt."""

from typing import Any

from lastgood import arguments, convert
from lastgood.checkpoints import CheckpointManager, Metrics
from lastgood.errors import InvalidArgumentError
from lastgood.operations import RESUME
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood.state.shared import SharedState
from lastgood_proto.v1.checkpoints_pb2 import ResumeRequest
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence


class ResumableWorkflow:
    """A workflow of numbered steps, with a state of its own, which goes on from its last good checkpoint.

    Making one does no I/O. All calls take ``timeout``: seconds; None is the client's.

    Args:
        workflow_id: any non-empty text; the workflow's state has the same id.
        checkpoint_manager: where its checkpoints are.
        initial_state: written at the first ``try_resume``, as one revision, and ignored once the workflow has begun.
        lease: seconds for which a claim of the workflow holds unless it is renewed. Claims are not in this version.

    Raises:
        InvalidArgumentError: an argument of the wrong type.
        InvalidValueError: ``initial_state`` is no dict, or cannot be stored.
    """

    def __init__(
        self,
        workflow_id: str,
        checkpoint_manager: CheckpointManager,
        *,
        initial_state: dict[str, Any] | None = None,
        lease: float = 30.0,
    ) -> None:
        if not isinstance(checkpoint_manager, CheckpointManager):
            text = f"checkpoint_manager is a CheckpointManager, not a {arguments.type_name(checkpoint_manager)}"
            raise InvalidArgumentError(text, field="checkpoint_manager")
        if not arguments.check_number(lease, "lease") > 0:
            text = f"lease is a positive number of seconds, not {lease!r}"
            raise InvalidArgumentError(text, field="lease")
        self._workflow_id = arguments.check_text(workflow_id, "workflow_id")
        self._manager = checkpoint_manager
        self._initial_state = None if initial_state is None else arguments.encode_map(initial_state, "initial_state")
        self._attempt = 0
        self._current_step = 0
        self._is_resumed = False
        self._metrics = ExecutionMetrics()
        self._state = self._handle(None)

    @property
    def workflow_id(self) -> str:
        """Which workflow."""
        return self._workflow_id

    @property
    def state(self) -> SharedState:
        """The workflow's state, bound to this attempt: once a later one begins, its writes are refused with FencedError.

        ``try_resume`` makes a new handle. Before the first one it is bound to no attempt.
        """
        return self._state

    @property
    def is_resumed(self) -> bool:
        """Whether the last ``try_resume`` has gone back to a checkpoint."""
        return self._is_resumed

    @property
    def current_step(self) -> int:
        """The step to do next."""
        return self._current_step

    @property
    def attempt(self) -> int:
        """Which attempt this is; 0 before the first ``try_resume``."""
        return self._attempt

    @property
    def metrics(self) -> ExecutionMetrics:
        """What the workflow has cost. They go on from the checkpoint that was resumed; add to them."""
        return self._metrics

    def __repr__(self) -> str:
        """For people."""
        return f"ResumableWorkflow({self._workflow_id!r}, attempt={self._attempt}, current_step={self._current_step})"

    async def try_resume(self, step: int | None = None, *, timeout: float | None = None) -> int:
        """Roll the workflow's state back to its last good checkpoint, begin a new attempt, and give the step to do next.

        Without a checkpoint it goes back to where the workflow began, and gives 0. What later, unfinished steps had written
        is gone from the state and stays in its history. Writers of earlier attempts get FencedError from then on.

        Args:
            step: back to the checkpoint of this step instead; the later ones are superseded.
            timeout: seconds; None is the client's.

        Raises:
            CheckpointNotFoundError: there is no checkpoint of ``step``.
        """
        manager = self._manager
        request = ResumeRequest(
            context=ChangeContext(agent_id=manager._agent_id),  # noqa: SLF001 - a workflow is a part of its manager
            workflow_id=self._workflow_id,
            step=None if step is None else arguments.check_count(step, "step"),
            initial_state=self._initial_state,
        )
        connection = manager._source()  # noqa: SLF001 - a workflow is a part of its manager
        answer = await connection.call(RESUME, request, timeout=timeout)
        checkpoint: Checkpoint | None = None
        if answer.HasField("checkpoint"):
            where = answer.header.daemon_id, connection.location.target
            checkpoint = convert.checkpoint_from(answer.checkpoint, *where)
        self._attempt = answer.attempt
        self._current_step = answer.next_step
        self._is_resumed = checkpoint is not None
        self._metrics = (checkpoint.metrics if checkpoint else None) or ExecutionMetrics()
        self._state = self._handle(self._fence)
        return self._current_step

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
        """
        made = await self._manager._create(  # noqa: SLF001 - a workflow is a part of its manager
            self._workflow_id,
            step,
            agent_id,
            status,
            self._state,
            self._metrics if metrics is None else metrics,
            metadata,
            self._fence,
            timeout,
        )
        if made.status is AgentStatus.COMPLETED:
            self._current_step = step + 1
        return made

    async def clear_checkpoints(self, *, timeout: float | None = None) -> bool:
        """Delete the checkpoints of the workflow, and tell whether there were any.

        Raises:
            FencedError: a later attempt has begun.
        """
        return await self._manager._delete(self._workflow_id, None, self._fence, timeout)  # noqa: SLF001 - a workflow is a part of its manager

    @property
    def _fence(self) -> Fence | None:
        return Fence(workflow_id=self._workflow_id, attempt=self._attempt) if self._attempt else None

    def _handle(self, fence: Fence | None) -> SharedState:
        manager = self._manager
        source, agent_id = manager._source, manager._agent_id  # noqa: SLF001 - a workflow is a part of its manager
        return SharedState._of(self._workflow_id, source, agent_id=agent_id, fence=fence)  # noqa: SLF001 - a workflow is a part of its manager
