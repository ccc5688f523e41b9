"""The operations of WorkflowService that begin an attempt, those of its lease, and the deletion of a workflow."""

from lastgood_daemon.authority.commands.attempts import Claim, Resume
from lastgood_daemon.authority.commands.leases import DeleteWorkflow, GiveUp, Release, Renew
from lastgood_daemon.authority.outcomes import Done, Resumed
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.rpc import responses
from lastgood_daemon.rpc.operations import Do, Edge, Operation, of_workflow
from lastgood_daemon.rpc.requests import attempt_of, author_of, id_of, map_of, text_of
from lastgood_proto.v1 import workflows_pb2

MAX_LEASE_MS = 24 * 60 * 60 * 1000
MAX_WAIT_MS = 60_000
"""Whoever waits for longer asks again."""


def resume(edge: Edge, request: workflows_pb2.ResumeRequest) -> Do:
    """WorkflowService.Resume."""
    command = Resume(
        workflow_id=id_of(request.workflow_id, "workflow_id"),
        author=author_of(request.context),
        step=request.step if request.HasField("step") else None,
        initial_state=_initial_state(request),
        force=request.force,
        poison_after=request.poison_after,
        size=request.ByteSize(),
    )

    def respond(resumed: Resumed) -> workflows_pb2.ResumeResponse:
        found = resumed.checkpoint
        return workflows_pb2.ResumeResponse(
            header=edge.headers.of_point(resumed.point),
            attempt=resumed.attempt,
            next_step=0 if found is None else found.step + 1,
            checkpoint=None if found is None else responses.checkpoint(found, edge.time),
            rollback=responses.rollback(resumed.rollback, edge.time),
        )

    return Do(command, respond)


def claim(edge: Edge, request: workflows_pb2.ClaimRequest) -> Do:
    """WorkflowService.Claim."""
    if request.context.HasField("fence"):
        field = "context.fence"
        raise InvalidArgumentError(field, "must not be set: a claim begins anew")
    if not 0 < request.lease_ms <= MAX_LEASE_MS:
        field = "lease_ms"
        raise InvalidArgumentError(field, f"must be between 1 and {MAX_LEASE_MS}, got {request.lease_ms}")
    if request.wait_ms > MAX_WAIT_MS:
        field = "wait_ms"
        raise InvalidArgumentError(
            field,
            f"must be at most {MAX_WAIT_MS}, got {request.wait_ms}; to wait longer, call again under the same claim_id",
        )
    command = Claim(
        workflow_id=id_of(request.workflow_id, "workflow_id"),
        author=author_of(request.context),
        initial_state=_initial_state(request),
        poison_after=request.poison_after,
        claim_id=id_of(request.claim_id, "claim_id"),
        holder=text_of(request.holder, "holder"),
        length=request.lease_ms * 1000,
        wait=request.wait_ms * 1000,
        size=request.ByteSize(),
    )

    def respond(resumed: Resumed) -> workflows_pb2.ClaimResponse:
        found = resumed.checkpoint
        return workflows_pb2.ClaimResponse(
            header=edge.headers.of_point(resumed.point),
            attempt=resumed.attempt,
            next_step=0 if found is None else found.step + 1,
            checkpoint=None if found is None else responses.checkpoint(found, edge.time),
            rollback=responses.rollback(resumed.rollback, edge.time),
        )

    return Do(command, respond)


def _initial_state(request: workflows_pb2.ResumeRequest | workflows_pb2.ClaimRequest) -> bytes | None:
    return map_of(request.initial_state, "initial_state") if request.HasField("initial_state") else None


def renew(edge: Edge, request: workflows_pb2.RenewRequest) -> Do:
    """WorkflowService.Renew."""
    workflow_id = id_of(request.workflow_id, "workflow_id")

    def respond(_: Done) -> workflows_pb2.RenewResponse:
        return workflows_pb2.RenewResponse(header=edge.headers.of_none())

    return Do(Renew(workflow_id, attempt_of(request.context, workflow_id)), respond)


def give_up(edge: Edge, request: workflows_pb2.GiveUpRequest) -> Do:
    """WorkflowService.GiveUp."""

    def respond(done: Done) -> workflows_pb2.GiveUpResponse:
        return workflows_pb2.GiveUpResponse(header=edge.headers.of_none(), existed=done.existed)

    return Do(GiveUp(id_of(request.workflow_id, "workflow_id"), id_of(request.claim_id, "claim_id")), respond)


def release(edge: Edge, request: workflows_pb2.ReleaseRequest) -> Do:
    """WorkflowService.Release."""

    def respond(done: Done) -> workflows_pb2.ReleaseResponse:
        return workflows_pb2.ReleaseResponse(header=edge.headers.of_none(), existed=done.existed)

    return Do(Release(id_of(request.workflow_id, "workflow_id"), author_of(request.context)), respond)


def delete_workflow(edge: Edge, request: workflows_pb2.DeleteWorkflowRequest) -> Do:
    """WorkflowService.DeleteWorkflow."""

    def respond(done: Done) -> workflows_pb2.DeleteWorkflowResponse:
        return workflows_pb2.DeleteWorkflowResponse(header=edge.headers.of_none(), existed=done.existed)

    return Do(DeleteWorkflow(id_of(request.workflow_id, "workflow_id"), author_of(request.context)), respond)


OPERATIONS = {
    "resume": Operation("write", of_workflow, resume),
    "claim": Operation("write", of_workflow, claim),
    "renew": Operation("write", of_workflow, renew),
    "give_up": Operation("write", of_workflow, give_up),
    "release": Operation("write", of_workflow, release),
    "delete_workflow": Operation("write", of_workflow, delete_workflow),
}
