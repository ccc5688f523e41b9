"""The documents of ``--json`` about workflows."""

from typing import Any

from lastgood import Attempt, Effect, UndoneRevision, WorkflowStatus
from lastgood.cli.jsonform import time_or_none
from lastgood.cli.rollbacks import Restore


def status_document(status: WorkflowStatus) -> dict[str, Any]:
    """How a workflow stands. ``lease`` is also there where it has run out; ``step`` where one has failed or broken off."""
    lease, step = status.lease, status.step
    return {
        "workflow": status.workflow_id,
        "condition": status.condition,
        "attempt": status.attempt,
        "line": status.line,
        "next_step": status.next_step,
        "agent_id": status.agent_id,
        "updated_at": time_or_none(status.updated_at),
        "lease": None
        if lease is None
        else {
            "attempt": lease.attempt,
            "holder": lease.holder,
            "seconds": lease.seconds,
            "remaining": lease.remaining,
        },
        "step": None
        if step is None
        else {
            "step": step.number,
            "agent_id": step.agent_id,
            "attempt": step.attempt,
            "began_at": time_or_none(step.began_at),
            "open": step.open,
            "deaths": step.deaths,
            "poisoned": step.poisoned,
        },
    }


def attempt_document(attempt: Attempt, end: str | None) -> dict[str, Any]:
    """An attempt, and how it has ended."""
    return {
        "attempt": attempt.attempt,
        "agent_id": attempt.agent_id,
        "holder": attempt.holder,
        "began_at": time_or_none(attempt.began_at),
        "line": attempt.line,
        "next_step": attempt.next_step,
        "back": attempt.back,
        "from_revision": attempt.from_revision,
        "revision": attempt.revision,
        "died_step": attempt.died_step,
        "end": end,
        "ended_at": time_or_none(attempt.ended_at),
    }


def restore_document(restore: Restore) -> dict[str, Any]:
    """A rollback, as the history of the state tells it. ``attempt`` is null where a person has restored something."""
    source = restore.source
    return {
        "revision": restore.revision,
        "from_revision": restore.revision - 1,
        "path": restore.path,
        "source": None if source is None else {"state": source.state_id, "revision": source.revision},
        "agent_id": restore.agent_id,
        "attempt": restore.attempt,
        "step": restore.step,
        "timestamp": time_or_none(restore.timestamp),
    }


def undone_document(undone: UndoneRevision) -> dict[str, Any]:
    """A revision of somebody else that a rollback has undone."""
    return {
        "revision": undone.revision,
        "agent_id": undone.agent_id,
        "timestamp": time_or_none(undone.timestamp),
    }


def effect_document(effect: Effect) -> dict[str, Any]:
    """An effect. ``in_doubt`` is also true where it was begun once, and its end never recorded."""
    return {
        "step": effect.step,
        "key": effect.key,
        "idempotency_key": effect.idempotency_key,
        "status": effect.status,
        "in_doubt": effect.in_doubt or effect.status == "claimed",
        "runs": effect.runs,
        "attempt": effect.attempt,
        "agent_id": effect.agent_id,
        "claimed_at": time_or_none(effect.claimed_at),
        "recorded_at": time_or_none(effect.recorded_at),
        "line": effect.line,
        "superseded": effect.superseded,
        "failure": effect.failure,
    }
