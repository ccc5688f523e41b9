"""What checkpoints say about the work: its status, its cost, and what it had come to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from lastgood.errors import InvalidArgumentError
from lastgood.models import Snapshot

_INT_MAX = 2**63 - 1


class AgentStatus(StrEnum):
    """How far an agent has come with a step. Only a ``COMPLETED`` step makes a good checkpoint."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"

    @classmethod
    def of(cls, status: "AgentStatus | str") -> "AgentStatus":
        """Take a status, or the text of one.

        Raises:
            InvalidArgumentError: it is none.
        """
        try:
            return cls(status)
        except ValueError:
            names = ", ".join(repr(each.value) for each in cls)
            text = f"status must be an AgentStatus or one of {names}, got {status!r}"
            raise InvalidArgumentError(text, field="status") from None


@dataclass(slots=True)
class ExecutionMetrics:
    """What the work has cost so far. Plain numbers to add to.

    Attributes:
        total_cost: in your currency.
        total_steps: steps taken.
        total_tokens: tokens in and out.
        input_tokens: tokens in.
        output_tokens: tokens out.
        elapsed_seconds: seconds.
    """

    total_cost: float = 0.0
    total_steps: int = 0
    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    elapsed_seconds: float = 0.0

    @classmethod
    def of(cls, metrics: "ExecutionMetrics | Mapping[str, float]") -> "ExecutionMetrics":
        """Take metrics, or a dict of them, and check the numbers.

        Raises:
            InvalidArgumentError: an unknown name, or something other than a number.
        """
        if isinstance(metrics, Mapping):
            unknown = sorted(str(name) for name in metrics.keys() - {each.name for each in fields(cls)})
            if unknown:
                text = f"metrics have no {', '.join(unknown)}; they have {', '.join(each.name for each in fields(cls))}"
                raise InvalidArgumentError(text, field="metrics")
            metrics = cls(**metrics)  # type: ignore[arg-type]  # checked next
        elif not isinstance(metrics, cls):
            text = f"metrics must be ExecutionMetrics or a dict, got {type(metrics).__name__}"
            raise InvalidArgumentError(text, field="metrics")
        for each in fields(cls):
            _check_number(each.name, getattr(metrics, each.name), whole=each.type in {int, "int"})
        return metrics


def _check_number(name: str, number: object, *, whole: bool) -> None:
    if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
        text = f"metrics: {name} is {'an int' if whole else 'a number'}, not {number!r}"
        raise InvalidArgumentError(text, field="metrics")
    if whole and not -_INT_MAX <= number <= _INT_MAX:
        text = f"metrics: {name} does not fit into 64 bits"
        raise InvalidArgumentError(text, field="metrics")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a step of a workflow had come to.

    Attributes:
        workflow_id: the workflow.
        step: its step, from 0.
        attempt: the attempt that made it; 0 outside a workflow object.
        agent_id: who made it.
        status: how far the step had come.
        state_snapshot: the state then, to be restored.
        metrics: what it had cost; None where that was not given.
        metadata: as given; None where none was.
        created_at: when.
        superseded: whether a rollback to an earlier step has put it aside. Superseded ones are listed and nowhere else.
        line: which line it lies on; a rollback to an earlier step begins a new one.
    """

    workflow_id: str
    step: int
    attempt: int
    agent_id: str
    status: AgentStatus
    state_snapshot: Snapshot
    metrics: ExecutionMetrics | None = field(hash=False)
    metadata: dict[str, Any] | None = field(hash=False)
    created_at: datetime
    superseded: bool = False
    line: int = field(default=0, repr=False)
