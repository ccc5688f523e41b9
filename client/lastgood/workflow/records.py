"""What the daemon knows of a workflow."""

from lastgood.attempts import Attempt, Effect, WorkflowStatus
from lastgood.convert_workflows import attempt_from, effect_from, workflow_from
from lastgood.operations import GET_WORKFLOW, LIST_ATTEMPTS, LIST_EFFECTS, RELEASE
from lastgood.unpicklable import Unpicklable
from lastgood.workflow.run import Run
from lastgood_proto.v1.common_pb2 import ChangeContext
from lastgood_proto.v1.workflows_pb2 import (
    GetWorkflowRequest,
    ListAttemptsRequest,
    ListEffectsRequest,
    ReleaseRequest,
)


class WorkflowRecords(Unpicklable):
    """What any process may ask about a workflow, whoever holds it. All calls take ``timeout`` as the others do."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def status(self, *, timeout: float | None = None) -> WorkflowStatus | None:
        """Tell how the workflow stands at this moment; None where nothing was ever recorded for it."""
        request = GetWorkflowRequest(workflow_id=self._run.workflow_id)
        answer = await self._run.source().call(GET_WORKFLOW, request, timeout=timeout)
        return workflow_from(answer.workflow) if answer.HasField("workflow") else None

    async def list_attempts(self, *, timeout: float | None = None) -> list[Attempt]:
        """List the attempts at the workflow, oldest first."""
        request = ListAttemptsRequest(workflow_id=self._run.workflow_id)
        found: list[Attempt] = []
        while True:
            answer = await self._run.source().call(LIST_ATTEMPTS, request, timeout=timeout)
            found.extend(map(attempt_from, answer.attempts))
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def list_effects(self, *, timeout: float | None = None) -> list[Effect]:
        """List the effects of the workflow, by step, then key, superseded ones included; without their results."""
        request = ListEffectsRequest(workflow_id=self._run.workflow_id)
        found: list[Effect] = []
        while True:
            answer = await self._run.source().call(LIST_EFFECTS, request, timeout=timeout)
            found.extend(map(effect_from, answer.effects))
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def release(self, *, timeout: float | None = None) -> bool:
        """Forget how many processes have died under its steps, so that it may be tried again, and tell whether any had."""
        request = ReleaseRequest(context=ChangeContext(agent_id=self._run.agent_id), workflow_id=self._run.workflow_id)
        answer = await self._run.source().call(RELEASE, request, timeout=timeout)
        return answer.existed
