"""The operations of WorkflowService on effects."""

import msgspec

from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.outcomes import Done, EffectClaimed, EffectKnown
from lastgood_daemon.engine.effect import Effect, Failure
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.rpc import responses
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, of_workflow
from lastgood_daemon.rpc.pages import Number, fill, place_of, size_of_page, token_of
from lastgood_daemon.rpc.requests import attempt_of, id_of, text_of, value_of
from lastgood_proto.texts import MAX_MESSAGE_BYTES
from lastgood_proto.v1 import effects_pb2, workflows_pb2


def claim_effect(edge: Edge, request: workflows_pb2.ClaimEffectRequest) -> Do:
    """WorkflowService.ClaimEffect."""
    workflow_id = id_of(request.workflow_id, "workflow_id")
    command = ClaimEffect(
        workflow_id,
        request.step,
        id_of(request.key, "key"),
        attempt_of(request.context, workflow_id),
        edge.authority.daemon_id,
        refuse_doubt=request.in_doubt == workflows_pb2.IN_DOUBT_REFUSE,
    )

    def respond(found: EffectClaimed | EffectKnown) -> workflows_pb2.ClaimEffectResponse:
        return workflows_pb2.ClaimEffectResponse(
            header=edge.headers.of_none(), effect=responses.effect(found.effect, edge.time, under_way=True)
        )

    return Do(command, respond)


def record_effect(edge: Edge, request: workflows_pb2.RecordEffectRequest) -> Do:
    """WorkflowService.RecordEffect."""
    workflow_id, outcome = id_of(request.workflow_id, "workflow_id"), request.WhichOneof("outcome")
    command = RecordEffect(
        workflow_id,
        request.step,
        id_of(request.key, "key"),
        attempt_of(request.context, workflow_id),
        value_of(request.result, "result") if outcome == "result" else None,
        _failure(request.failure) if outcome == "failure" else None,
        request.ByteSize(),
    )

    def respond(_: Done) -> workflows_pb2.RecordEffectResponse:
        return workflows_pb2.RecordEffectResponse(header=edge.headers.of_none())

    return Do(command, respond)


def _failure(failure: effects_pb2.EffectFailure) -> Failure:
    arguments = value_of(failure.arguments, "failure.arguments") if failure.HasField("arguments") else None
    message = text_of(failure.message, "failure.message", MAX_MESSAGE_BYTES)
    return Failure(id_of(failure.type, "failure.type"), message, arguments)


class _EffectsPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The effect that a page begins with."""

    step: Number
    key: str
    line: Number


def list_effects(edge: Edge, request: workflows_pb2.ListEffectsRequest) -> Ask[Workflow]:
    """WorkflowService.ListEffects."""
    workflow_id = id_of(request.workflow_id, "workflow_id")
    place = place_of(request.page_token, _EffectsPlace) or _EffectsPlace(0, "", 0)

    def respond(workflow: Workflow) -> workflows_pb2.ListEffectsResponse:
        now = edge.authority.now()

        def shown(effect: Effect) -> effects_pb2.Effect:
            return responses.effect(effect.without_result(), edge.time, under_way=workflow.is_under_way(effect, now))

        found = workflow.all_effects_from((place.step, place.key, place.line))
        page = fill(found, size_of_page(request.page_size), shown)
        return workflows_pb2.ListEffectsResponse(
            header=edge.headers.of_none(),
            effects=page.messages,
            next_page_token="" if page.following is None else token_of(_EffectsPlace(*page.following.order)),
        )

    return Ask(lambda reader: reader.workflow(workflow_id), respond)


OPERATIONS = {
    "claim_effect": Operation("write", of_workflow, claim_effect),
    "record_effect": Operation("write", of_workflow, record_effect),
    "list_effects": Operation("read", of_workflow, list_effects),
}
