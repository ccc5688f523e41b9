"""A workflow: its attempts, and its checkpoints on their lines. What it has come to lies in a state with the same id.

Going on after a crash stays on the line: it begins another attempt and goes back to the last good checkpoint. Going back
explicitly begins a new line: the checkpoints after it are superseded. Without that, a crash after going back from step 8 to
step 3 would resume at step 9, into what was put aside:

    line 0   ●1 ●2 ●3 ●4 … ●8           resume(step=3)
    line 1            └─ ●4' 💥          resume(): goes back to 4', not to 8

"Latest", "last good" and "of step k" pass superseded checkpoints over; they stay listed.
"""

from dataclasses import dataclass, replace

import msgspec
from immutables import Map

from lastgood_daemon.engine.errors import CheckpointNotFoundError, FencedError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State

COMPLETED = 3
"""AGENT_STATUS_COMPLETED of the contract: the only status that makes a checkpoint a good one."""


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

    @property
    def order(self) -> tuple[int, int]:
        """Step, then attempt: together its identity within the workflow, and the order of all lists."""
        return (self.step, self.attempt)


class Progress(msgspec.Struct, frozen=True):
    """What there is to say about a workflow besides its checkpoints; one record in the store."""

    attempt: int = 0
    """The present attempt, counted from 1; 0: it has not begun."""
    line: int = 0
    began: Point | None = None
    """Where it began: the revision after its initial state was written."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow at one moment; every change gives another one."""

    workflow_id: str
    progress: Progress = Progress()  # noqa: RUF009 - immutable
    checkpoints: Map[tuple[int, int], Checkpoint] = Map()  # noqa: RUF009 - immutable

    def require_attempt(self, attempt: int) -> None:
        """Raise ``FencedError`` unless an attempt is the present one."""
        if attempt != self.progress.attempt:
            raise FencedError(self.workflow_id, attempt, self.progress.attempt)

    def in_order(self) -> list[Checkpoint]:
        """Give all checkpoints, by step, then attempt."""
        return sorted(self.checkpoints.values(), key=lambda checkpoint: checkpoint.order)

    def latest(self) -> Checkpoint | None:
        """Give the checkpoint of the highest step; of one step that of the highest attempt."""
        return max(self._live(), key=lambda checkpoint: checkpoint.order, default=None)

    def last_good(self) -> Checkpoint | None:
        """Give the checkpoint of the highest step that is completed."""
        good = (checkpoint for checkpoint in self._live() if checkpoint.status == COMPLETED)
        return max(good, key=lambda checkpoint: checkpoint.order, default=None)

    def of_step(self, step: int) -> Checkpoint:
        """Give the checkpoint of a step with the highest attempt, or raise ``CheckpointNotFoundError``."""
        found = max(
            (checkpoint for checkpoint in self._live() if checkpoint.step == step),
            key=lambda checkpoint: checkpoint.order,
            default=None,
        )
        if found is None:
            raise CheckpointNotFoundError(self.workflow_id, step)
        return found

    def _live(self) -> list[Checkpoint]:
        return [checkpoint for checkpoint in self.checkpoints.values() if not checkpoint.superseded]

    def record(self, checkpoint: Checkpoint) -> "Workflow":
        """Give the workflow with a checkpoint, in place of the same step and attempt."""
        return replace(self, checkpoints=self.checkpoints.set(checkpoint.order, checkpoint))

    def back_to(self, checkpoint: Checkpoint) -> tuple["Workflow", list[Checkpoint]]:
        """Begin a new line after a checkpoint. Gives the workflow, and the checkpoints that are superseded by it."""
        later = [msgspec.structs.replace(other, superseded=True) for other in self._live() if other.order > checkpoint.order]
        progress = msgspec.structs.replace(self.progress, line=self.progress.line + 1)
        checkpoints = self.checkpoints.update({other.order: other for other in later})
        return replace(self, progress=progress, checkpoints=checkpoints), later

    def has_begun_in(self, state: State) -> bool:
        """Whether it has begun, in this life of its state."""
        began = self.progress.began
        return began is not None and began.incarnation == state.incarnation

    def begin_attempt(self, state: State) -> "Workflow":
        """Begin an attempt; where the workflow has not begun before, it begins at the present revision of its state."""
        began = self.progress.began if self.has_begun_in(state) else state.point()
        progress = msgspec.structs.replace(self.progress, attempt=self.progress.attempt + 1, began=began)
        return replace(self, progress=progress)

    def without(self, step: int | None) -> tuple["Workflow", list[Checkpoint]]:
        """Give the workflow without the checkpoints of a step (``None``: without any), and those."""
        gone = [c for c in self.in_order() if step is None or c.step == step]
        kept = {order: c for order, c in self.checkpoints.items() if step is not None and c.step != step}
        return replace(self, checkpoints=Map(kept)), gone
