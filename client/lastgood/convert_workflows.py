"""Messages about workflows to the objects that callers get."""

from typing import TYPE_CHECKING

from lastgood import attempts
from lastgood.convert import time_from
from lastgood_proto.v1 import effects_pb2, workflows_pb2

if TYPE_CHECKING:
    from lastgood.attempts import EffectStatus

_EFFECT_STATUS: dict[int, "EffectStatus"] = {
    effects_pb2.EFFECT_STATUS_CLAIMED: "claimed",
    effects_pb2.EFFECT_STATUS_RECORDED: "recorded",
    effects_pb2.EFFECT_STATUS_FAILED: "failed",
    effects_pb2.EFFECT_STATUS_DONE: "done",
}


def effect_from(wire: effects_pb2.Effect) -> attempts.Effect:
    """Give an effect."""
    return attempts.Effect(
        workflow_id=wire.workflow_id,
        step=wire.step,
        key=wire.key,
        idempotency_key=wire.idempotency_key,
        status=_EFFECT_STATUS[wire.status],
        in_doubt=wire.in_doubt,
        runs=wire.runs,
        attempt=wire.attempt,
        agent_id=wire.agent_id,
        claimed_at=time_from(wire.claimed_at),
        recorded_at=time_from(wire.recorded_at) if wire.HasField("recorded_at") else None,
        line=wire.line,
        superseded=wire.superseded,
        failure=failure_text(wire.failure) if wire.HasField("failure") else None,
    )


def failure_text(wire: effects_pb2.EffectFailure) -> str:
    """Say what a failure was."""
    return f"{wire.type}: {wire.message}" if wire.message else wire.type


def rollback_from(wire: workflows_pb2.Rollback) -> attempts.Rollback:
    """Give what a rollback has undone."""
    return attempts.Rollback(
        from_revision=wire.from_revision,
        effects=tuple(map(effect_from, wire.effects)),
        undone=tuple(
            attempts.UndoneRevision(each.revision, each.agent_id, time_from(each.timestamp)) for each in wire.undone
        ),
    )


def attempt_from(wire: workflows_pb2.Attempt) -> attempts.Attempt:
    """Give an attempt."""
    return attempts.Attempt(
        attempt=wire.attempt,
        agent_id=wire.agent_id,
        holder=wire.holder,
        began_at=time_from(wire.began_at),
        line=wire.line,
        next_step=wire.next_step,
        back=wire.back,
        from_revision=wire.from_revision,
        revision=wire.revision,
        died_step=wire.died_step if wire.HasField("died_step") else None,
        ended_at=time_from(wire.ended_at) if wire.HasField("ended_at") else None,
    )


def workflow_from(wire: workflows_pb2.Workflow) -> attempts.WorkflowStatus:
    """Give the status of a workflow."""
    return attempts.WorkflowStatus(
        workflow_id=wire.workflow_id,
        attempt=wire.attempt,
        line=wire.line,
        next_step=wire.next_step,
        agent_id=wire.agent_id,
        updated_at=time_from(wire.updated_at),
        lease=_lease_from(wire.lease) if wire.HasField("lease") else None,
        step=_step_from(wire.step) if wire.HasField("step") else None,
        damaged=wire.damaged,
    )


def _lease_from(wire: workflows_pb2.Lease) -> attempts.LeaseStatus:
    return attempts.LeaseStatus(
        attempt=wire.attempt, holder=wire.holder, seconds=wire.lease_ms / 1000, remaining=wire.remaining_ms / 1000
    )


def _step_from(wire: workflows_pb2.OpenStep) -> attempts.StepStatus:
    return attempts.StepStatus(
        number=wire.step,
        agent_id=wire.agent_id,
        attempt=wire.attempt,
        began_at=time_from(wire.began_at),
        open=wire.open,
        deaths=wire.deaths,
        poisoned=wire.poisoned,
    )
