"""What a step of a workflow had come to."""

import msgspec

from lastgood_daemon.engine.point import Point

COMPLETED = 3
"""AGENT_STATUS_COMPLETED of the contract: the only status that makes a checkpoint a good one."""
FAILED = 4
"""AGENT_STATUS_FAILED of the contract."""


class Metrics(msgspec.Struct, frozen=True, array_like=True):
    """What the work up to a checkpoint has cost; see ExecutionMetrics of the contract."""

    total_cost: float = 0.0
    total_steps: int = 0
    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    elapsed_seconds: float = 0.0


class Checkpoint(msgspec.Struct, frozen=True):
    """What a step had come to; one record in the store. Times in microseconds."""

    workflow_id: str
    step: int
    attempt: int
    line: int
    agent_id: str
    status: int
    point: Point
    point_created_at: int
    metrics: Metrics | None
    metadata: bytes | None
    created_at: int
    superseded: bool = False
    superseded_at: int = 0

    @property
    def order(self) -> tuple[int, int]:
        """Step, then attempt: together its identity within the workflow, and the order of all lists."""
        return (self.step, self.attempt)
