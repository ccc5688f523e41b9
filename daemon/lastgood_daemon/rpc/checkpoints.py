"""The operations of CheckpointService."""

import secrets

from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.outcomes import CheckpointMade, CheckpointsDeleted
from lastgood_daemon.authority.targets import Content, StateRef
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.rpc import responses
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, of_workflow
from lastgood_daemon.rpc.pages import fill, numbers_of, size_of_page
from lastgood_daemon.rpc.requests import author_of, id_of, map_of, metadata_of, metrics_of, point_of, state_of, step_of
from lastgood_proto.v1 import checkpoints_pb2


def create_checkpoint(edge: Edge, request: checkpoints_pb2.CreateCheckpointRequest) -> Do:
    """CheckpointService.CreateCheckpoint."""
    if request.status not in checkpoints_pb2.AgentStatus.values() or not request.status:
        field = "status"
        raise InvalidArgumentError(field, f"must be a value of AgentStatus other than 0, got {request.status}")
    command = MakeCheckpoint(
        workflow_id=id_of(request.workflow_id, "workflow_id"),
        step=step_of(request.step),
        author=author_of(request.context),
        status=request.status,
        source=_source(request),
        metrics=metrics_of(request),
        metadata=metadata_of(request),
        copy_id=f"copy-{secrets.token_hex(16)}",
        size=request.ByteSize(),
    )

    def respond(made: CheckpointMade) -> checkpoints_pb2.CreateCheckpointResponse:
        return checkpoints_pb2.CreateCheckpointResponse(
            header=edge.headers.of_point(made.checkpoint.point), checkpoint=responses.checkpoint(made.checkpoint, edge.time)
        )

    return Do(command, respond)


def _source(request: checkpoints_pb2.CreateCheckpointRequest) -> StateRef | Point | Content:
    match request.WhichOneof("source"):
        case "state":
            return state_of(request.state)
        case "snapshot":
            return point_of(request.snapshot)
        case "content":
            return Content(map_of(request.content, "content"))
        case _:
            field = "source"
            raise InvalidArgumentError(field, "must be set")


def get_checkpoint(edge: Edge, request: checkpoints_pb2.GetCheckpointRequest) -> Ask[Checkpoint | None]:
    """CheckpointService.GetCheckpoint."""
    workflow_id, choice = id_of(request.workflow_id, "workflow_id"), request.WhichOneof("choice")
    if choice is None:
        field = "choice"
        raise InvalidArgumentError(field, "must be set")

    def question(reader: Reader) -> Checkpoint | None:
        workflow = reader.workflow(workflow_id)
        if choice == "step":
            return workflow.of_step(request.step)
        return workflow.latest() if choice == "latest" else workflow.last_good()

    def respond(found: Checkpoint | None) -> checkpoints_pb2.GetCheckpointResponse:
        return checkpoints_pb2.GetCheckpointResponse(
            header=edge.headers.of_none(), checkpoint=None if found is None else responses.checkpoint(found, edge.time)
        )

    return Ask(question, respond)


def list_checkpoints(edge: Edge, request: checkpoints_pb2.ListCheckpointsRequest) -> Ask[Workflow]:
    """CheckpointService.ListCheckpoints."""
    workflow_id = id_of(request.workflow_id, "workflow_id")
    step, attempt = numbers_of(request.page_token, 2)

    def respond(workflow: Workflow) -> checkpoints_pb2.ListCheckpointsResponse:
        found = workflow.checkpoints_from((step, attempt))
        page = fill(found, size_of_page(request.page_size), lambda each: responses.checkpoint(each, edge.time))
        return checkpoints_pb2.ListCheckpointsResponse(
            header=edge.headers.of_none(),
            checkpoints=page.messages,
            next_page_token="" if page.following is None else "{}:{}".format(*page.following.order),
        )

    return Ask(lambda reader: reader.workflow(workflow_id), respond)


def delete_checkpoints(edge: Edge, request: checkpoints_pb2.DeleteCheckpointsRequest) -> Do:
    """CheckpointService.DeleteCheckpoints."""
    step = request.step if request.HasField("step") else None

    def respond(deleted: CheckpointsDeleted) -> checkpoints_pb2.DeleteCheckpointsResponse:
        return checkpoints_pb2.DeleteCheckpointsResponse(header=edge.headers.of_none(), existed=deleted.existed)

    workflow_id = id_of(request.workflow_id, "workflow_id")
    command = DeleteCheckpoints(workflow_id, step, author_of(request.context), request.effects)
    return Do(command, respond)


OPERATIONS = {
    "create_checkpoint": Operation("write", of_workflow, create_checkpoint),
    "get_checkpoint": Operation("read", of_workflow, get_checkpoint),
    "list_checkpoints": Operation("read", of_workflow, list_checkpoints),
    "delete_checkpoints": Operation("write", of_workflow, delete_checkpoints),
}
