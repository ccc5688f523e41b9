"""Where a workflow object stands: the attempt that it has begun, and everything that begins anew with it."""

from lastgood import convert
from lastgood.attempts import Rollback
from lastgood.convert_workflows import rollback_from
from lastgood.errors import StepOrderError
from lastgood.operations import Operation, Request, Response
from lastgood.progress import Checkpoint, ExecutionMetrics
from lastgood.state.handle import Source
from lastgood.state.shared import SharedState
from lastgood.workflow.claim import Claim
from lastgood_proto.v1.checkpoints_pb2 import Checkpoint as CheckpointMessage
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence, ResponseHeader
from lastgood_proto.v1.workflows_pb2 import ClaimResponse, ResumeResponse


class Run:
    """What a workflow object and its steps share.

    Attributes:
        workflow_id: the workflow.
        source: gives the connection to use.
        agent_id: who writes, where nothing else is said.
        attempt: which attempt this is; 0: none has begun.
        copy_id: the copy of the store in which it has begun.
        current_step: the step to do next.
        is_resumed: whether it began at a checkpoint.
        metrics: what the workflow has cost.
        rollback: what the last rollback has undone.
        state: the workflow's, bound to the attempt.
        claim: holds the workflow; None: nothing does.
        ended: whether its claim was given up, and no attempt has begun since.
    """

    def __init__(self, workflow_id: str, source: Source, agent_id: str) -> None:
        self.workflow_id = workflow_id
        self.source = source
        self.agent_id = agent_id
        self.attempt = 0
        self.copy_id = ""
        self.current_step = 0
        self.is_resumed = False
        self.metrics = ExecutionMetrics()
        self.rollback: Rollback | None = None
        self.state = self.handle(agent_id)
        self.claim: Claim | None = None
        self.ended = False

    @property
    def fence(self) -> Fence | None:
        """Binds to the attempt what is sent with it."""
        if not self.attempt:
            return None
        return Fence(workflow_id=self.workflow_id, attempt=self.attempt, copy_id=self.copy_id)

    def context(self, agent_id: str) -> ChangeContext:
        """Say who changes something, in which attempt."""
        return ChangeContext(agent_id=agent_id, fence=self.fence)

    def handle(self, agent_id: str) -> SharedState:
        """Make a handle of the state, bound to the attempt."""
        return SharedState._of(self.workflow_id, self.source, agent_id=agent_id, fence=self.fence)  # noqa: SLF001 - a workflow's state is a part of it

    async def call(self, operation: Operation[Request, Response], request: Request, timeout: float | None) -> Response:
        """Make a call that the attempt must still be there for.

        Raises:
            LeaseLostError: the claim is known to be lost.
        """
        self.check_held()
        return await self.source().call(operation, request, timeout=timeout)

    def check_held(self) -> None:
        """Raise LeaseLostError where the claim is lost."""
        if self.claim is not None:
            self.claim.check()

    def check_begun(self, what: str, step: int | None = None) -> None:
        """Raise StepOrderError where no attempt has begun, or the claim has ended."""
        if not self.attempt or self.ended:
            when = "after its claim has ended" if self.ended else "before any attempt at it"
            text = (
                f"{what} of workflow {self.workflow_id!r} {when}: first enter 'async with workflow', or "
                "call 'await workflow.try_resume()'"
            )
            raise StepOrderError(text, workflow_id=self.workflow_id, step=step)

    def begin(self, answer: ClaimResponse | ResumeResponse) -> None:
        """Go on in the attempt that has begun."""
        checkpoint = self.checkpoint(answer.header, answer.checkpoint) if answer.HasField("checkpoint") else None
        self.attempt = answer.attempt
        self.ended = False
        self.copy_id = answer.header.copy_id
        self.current_step = answer.next_step
        self.is_resumed = checkpoint is not None
        self.metrics = (checkpoint.metrics if checkpoint else None) or ExecutionMetrics()
        self.rollback = rollback_from(answer.rollback)
        self.state = self.handle(self.agent_id)
        if self.claim is not None:
            self.claim.move(answer.attempt)

    def checkpoint(self, header: ResponseHeader, message: CheckpointMessage) -> Checkpoint:
        """Read a checkpoint that came with an answer."""
        return convert.checkpoint_from(message, header, self.source().location.target)
