"""The operations of WorkflowService on steps."""

from lastgood_daemon.authority.commands.steps import BeginStep, CompleteStep, FailStep
from lastgood_daemon.authority.outcomes import StepBegun, StepEnded
from lastgood_daemon.engine.checkpoint import Metrics
from lastgood_daemon.engine.log import Author
from lastgood_daemon.rpc import responses
from lastgood_daemon.rpc.operations import Do, Edge, Operation, of_workflow
from lastgood_daemon.rpc.requests import attempt_of, id_of, metadata_of, metrics_of, step_of
from lastgood_proto.v1 import workflows_pb2


def begin_step(edge: Edge, request: workflows_pb2.BeginStepRequest) -> Do:
    """WorkflowService.BeginStep."""
    workflow_id = id_of(request.workflow_id, "workflow_id")

    def respond(begun: StepBegun) -> workflows_pb2.BeginStepResponse:
        return workflows_pb2.BeginStepResponse(
            header=edge.headers.of_point(begun.point),
            line=begun.line,
            effects=[responses.effect(each, edge.time) for each in begun.effects],
        )

    return Do(BeginStep(workflow_id, step_of(request.step), attempt_of(request.context, workflow_id)), respond)


def complete_step(edge: Edge, request: workflows_pb2.CompleteStepRequest) -> Do:
    """WorkflowService.CompleteStep."""
    command = CompleteStep(*_ending(request))

    def respond(ended: StepEnded) -> workflows_pb2.CompleteStepResponse:
        return workflows_pb2.CompleteStepResponse(
            header=edge.headers.of_point(ended.point), checkpoint=responses.checkpoint(ended.checkpoint, edge.time)
        )

    return Do(command, respond)


def fail_step(edge: Edge, request: workflows_pb2.FailStepRequest) -> Do:
    """WorkflowService.FailStep."""
    command = FailStep(*_ending(request))

    def respond(ended: StepEnded) -> workflows_pb2.FailStepResponse:
        return workflows_pb2.FailStepResponse(
            header=edge.headers.of_point(ended.point),
            checkpoint=responses.checkpoint(ended.checkpoint, edge.time),
            rollback=None if ended.rollback is None else responses.rollback(ended.rollback, edge.time),
        )

    return Do(command, respond)


def _ending(
    request: workflows_pb2.CompleteStepRequest | workflows_pb2.FailStepRequest,
) -> tuple[str, int, Author, Metrics | None, bytes | None, int]:
    """Give what both commands that end a step are made of."""
    workflow_id = id_of(request.workflow_id, "workflow_id")
    author = attempt_of(request.context, workflow_id)
    return workflow_id, request.step, author, metrics_of(request), metadata_of(request), request.ByteSize()


OPERATIONS = {
    "begin_step": Operation("write", of_workflow, begin_step),
    "complete_step": Operation("write", of_workflow, complete_step),
    "fail_step": Operation("write", of_workflow, fail_step),
}
