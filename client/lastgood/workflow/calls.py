"""What the daemon is told about one step, and what follows from its answers."""

from contextlib import suppress
from typing import Any

from lastgood import arguments, convert
from lastgood.convert_workflows import rollback_from
from lastgood.errors import InvalidArgumentError, InvalidValueError, TooLargeError
from lastgood.operations import BEGIN_STEP, COMPLETE_STEP, FAIL_STEP, Operation, Request, Response
from lastgood.progress import Checkpoint, ExecutionMetrics
from lastgood.workflow.run import Run
from lastgood_proto.v1.checkpoints_pb2 import ExecutionMetrics as MetricsMessage
from lastgood_proto.v1.common_pb2 import ChangeContext, Value
from lastgood_proto.v1.workflows_pb2 import BeginStepRequest, BeginStepResponse, CompleteStepRequest, FailStepRequest


class StepCalls:
    """The calls about one step.

    Attributes:
        run: whose step it is.
        number: which.
        agent_id: who does it.
    """

    def __init__(self, run: Run, number: int, agent_id: str, timeout: float | None) -> None:
        self.run = run
        self.number = number
        self.agent_id = agent_id
        self._timeout = timeout

    @property
    def context(self) -> ChangeContext:
        """Say who does the step, in which attempt."""
        return self.run.context(self.agent_id)

    async def call(self, operation: Operation[Request, Response], request: Request) -> Response:
        """Make a call that the attempt must still be there for."""
        return await self.run.call(operation, request, self._timeout)

    async def begin(self) -> BeginStepResponse:
        """Open the step."""
        request = BeginStepRequest(context=self.context, workflow_id=self.run.workflow_id, step=self.number)
        return await self.call(BEGIN_STEP, request)

    async def complete(self, metrics: MetricsMessage, metadata: Value | None) -> Checkpoint:
        """End the step well."""
        request = CompleteStepRequest(
            context=self.context,
            workflow_id=self.run.workflow_id,
            step=self.number,
            metrics=metrics,
            metadata=metadata,
        )
        answer = await self.call(COMPLETE_STEP, request)
        self.run.current_step = self.number + 1
        return self.run.checkpoint(answer.header, answer.checkpoint)

    async def fail(self, error: BaseException, metadata: dict[str, Any] | None) -> Checkpoint:
        """End the step with an exception, which rolls it back."""
        request = FailStepRequest(
            context=self.context,
            workflow_id=self.run.workflow_id,
            step=self.number,
            metadata=_with_error(metadata, error),
        )
        with suppress(InvalidArgumentError):  # whoever has spoiled them has another exception to look at
            request.metrics.CopyFrom(self.metrics())
        answer = await self.call(FAIL_STEP, request)
        self.run.rollback = rollback_from(answer.rollback)
        return self.run.checkpoint(answer.header, answer.checkpoint)

    def metrics(self) -> MetricsMessage:
        """Give what the workflow has cost up to here.

        Raises:
            InvalidArgumentError: somebody has written something other than numbers there.
        """
        return convert.metrics_to(ExecutionMetrics.of(self.run.metrics))


def _with_error(metadata: dict[str, Any] | None, error: BaseException) -> Value:
    told = {"error": {"type": arguments.class_name(type(error)), "message": arguments.text_of(error)}}
    try:
        return arguments.encode({**(metadata or {}), **told})
    except (InvalidValueError, TooLargeError):  # it may be the reason of the error
        return arguments.encode(told)
