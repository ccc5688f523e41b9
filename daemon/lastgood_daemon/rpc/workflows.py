"""The operations of WorkflowService that look at workflows."""

from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.workflow import Progress, Workflow
from lastgood_daemon.rpc.operations import Ask, Edge, Operation, Run, of_nothing, of_workflow
from lastgood_daemon.rpc.pages import fill, numbers_of, size_of_page
from lastgood_daemon.rpc.requests import id_of
from lastgood_daemon.rpc.responses import Time
from lastgood_proto.v1 import workflows_pb2


def get_workflow(edge: Edge, request: workflows_pb2.GetWorkflowRequest) -> Ask[Workflow]:
    """WorkflowService.GetWorkflow."""
    workflow_id = id_of(request.workflow_id, "workflow_id")

    def respond(found: Workflow) -> workflows_pb2.GetWorkflowResponse:
        known = found.progress.updated_at
        workflow = _workflow(edge, workflow_id, found.progress) if known else None
        return workflows_pb2.GetWorkflowResponse(header=edge.headers.of_none(), workflow=workflow)

    return Ask(lambda reader: reader.workflow(workflow_id), respond)


def list_workflows(edge: Edge, request: workflows_pb2.ListWorkflowsRequest) -> Run:
    """WorkflowService.ListWorkflows."""

    async def work() -> workflows_pb2.ListWorkflowsResponse:
        limit = size_of_page(request.page_size)
        found, more = await edge.authority.list_workflows(request.page_token, limit)
        return workflows_pb2.ListWorkflowsResponse(
            header=edge.headers.of_none(),
            workflows=[_workflow(edge, workflow_id, progress) for workflow_id, progress in found],
            next_page_token=found[-1][0] if more else "",
        )

    return Run(work)


def list_attempts(edge: Edge, request: workflows_pb2.ListAttemptsRequest) -> Ask[Workflow]:
    """WorkflowService.ListAttempts."""
    workflow_id = id_of(request.workflow_id, "workflow_id")
    (number,) = numbers_of(request.page_token, 1)

    def respond(workflow: Workflow) -> workflows_pb2.ListAttemptsResponse:
        page = fill(workflow.attempts_from(number), size_of_page(request.page_size), lambda each: _attempt(each, edge.time))
        return workflows_pb2.ListAttemptsResponse(
            header=edge.headers.of_none(),
            attempts=page.messages,
            next_page_token="" if page.following is None else str(page.following.number),
        )

    return Ask(lambda reader: reader.workflow(workflow_id), respond)


def _workflow(edge: Edge, workflow_id: str, progress: Progress | None) -> workflows_pb2.Workflow:
    if progress is None:
        return workflows_pb2.Workflow(workflow_id=workflow_id, damaged=True)
    lease, step, now, time = progress.lease, progress.step, edge.authority.now(), edge.time
    return workflows_pb2.Workflow(
        workflow_id=workflow_id,
        attempt=progress.attempt,
        line=progress.line,
        next_step=progress.next_step,
        agent_id=progress.agent_id,
        updated_at=time(progress.updated_at),
        lease=None
        if lease is None
        else workflows_pb2.Lease(
            attempt=lease.attempt,
            holder=lease.holder,
            lease_ms=lease.length // 1000,
            remaining_ms=max(-(-(lease.expires_at - now) // 1000), 0),  # rounded up: 0 is only what has expired
        ),
        step=None
        if step is None
        else workflows_pb2.OpenStep(
            step=step.step,
            agent_id=step.agent_id,
            attempt=step.attempt,
            began_at=time(step.began_at),
            open=step.is_open,
            deaths=progress.deaths(now),
            poisoned=progress.is_poisoned(now),
        ),
    )


def _attempt(found: Attempt, time: Time) -> workflows_pb2.Attempt:
    return workflows_pb2.Attempt(
        attempt=found.number,
        agent_id=found.agent_id,
        holder=found.holder,
        began_at=time(found.began_at),
        line=found.line,
        next_step=found.next_step,
        back=found.back,
        from_revision=found.from_revision,
        revision=found.revision,
        died_step=found.died_step,
        ended_at=time(found.ended_at) if found.ended_at else None,
    )


OPERATIONS = {
    "get_workflow": Operation("read", of_workflow, get_workflow),
    "list_workflows": Operation("read", of_nothing, list_workflows),
    "list_attempts": Operation("read", of_workflow, list_attempts),
}
