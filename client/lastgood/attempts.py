"""What is known of a workflow besides its checkpoints: attempts, leases, the open step, effects, rollbacks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EffectStatus = Literal["claimed", "recorded", "failed", "done"]
WorkflowCondition = Literal["held", "poisoned", "interrupted", "idle", "damaged"]


@dataclass(frozen=True, slots=True)
class Effect:
    """One side effect of one step, without its result.

    Attributes:
        workflow_id: the workflow.
        step: the step.
        key: its name within the step.
        idempotency_key: what the outside service is given to tell a repetition.
        status: ``"claimed"`` (it was about to happen: it has, or not), ``"recorded"`` (it has happened, and its result is
            kept), ``"failed"`` (it has failed in a way that counts as its result) or ``"done"`` (it has happened; its result
            could not be stored).
        in_doubt: whether it was begun again without knowing what had become of it before, or is in that state now.
        runs: how often it was begun.
        attempt: the attempt that claimed it last.
        agent_id: who claimed it last.
        claimed_at: when it was claimed first.
        recorded_at: when its result was recorded; None where none was.
        line: which line it lies on; a rollback to an earlier step begins a new one.
        superseded: whether a rollback to an earlier step has put it aside.
        failure: the type and the text of its failure; None where there is none.
    """

    workflow_id: str
    step: int
    key: str
    idempotency_key: str
    status: EffectStatus
    in_doubt: bool
    runs: int
    attempt: int
    agent_id: str
    claimed_at: datetime
    recorded_at: datetime | None = None
    line: int = 0
    superseded: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class UndoneRevision:
    """A revision which a rollback has undone, and which no attempt at the workflow had written.

    Attributes:
        revision: the revision.
        agent_id: who wrote it; ``""`` where that was not said.
        timestamp: when.
    """

    revision: int
    agent_id: str
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback has undone, and what it could not.

    Attributes:
        from_revision: the revision of the state before it.
        effects: those that went out past the point gone back to.
        undone: the revisions past that point which were not written by attempts at the workflow; at most a thousand, the
            newest.
    """

    from_revision: int
    effects: tuple[Effect, ...] = ()
    undone: tuple[UndoneRevision, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run at a workflow.

    Attributes:
        attempt: its number, from 1.
        agent_id: who began it; ``""`` where that was not said.
        holder: who claimed the workflow by it; ``""`` where it was begun by ``try_resume``.
        began_at: when it began.
        line: the line it began on.
        next_step: the first step it was to do.
        back: whether it went back to a step that was named.
        from_revision: the revision of the state before its rollback.
        revision: the revision after it; the same where nothing was undone.
        died_step: the step under which the process of the attempt before had died; None where none had.
        ended_at: when it gave the workflow up; None where it has not.
    """

    attempt: int
    agent_id: str
    holder: str
    began_at: datetime
    line: int
    next_step: int
    back: bool
    from_revision: int
    revision: int
    died_step: int | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Who holds a workflow, or held it last.

    Attributes:
        attempt: by which attempt.
        holder: who, for people.
        seconds: its full length.
        remaining: seconds that were left when this was asked for; 0 where it has expired.
    """

    attempt: int
    holder: str
    seconds: float
    remaining: float


@dataclass(frozen=True, slots=True)
class StepStatus:
    """The step that was begun last and has not been completed.

    Attributes:
        number: which.
        agent_id: who does it, or did.
        attempt: in which attempt.
        began_at: when it was begun.
        open: whether it has not ended: its process is at it, or has died.
        deaths: how many processes have died under it, as far as is known.
        poisoned: whether a resume is refused for it.
    """

    number: int
    agent_id: str
    attempt: int
    began_at: datetime
    open: bool
    deaths: int
    poisoned: bool


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """A workflow at the moment when it was asked for.

    Attributes:
        workflow_id: its id, which is that of its state.
        attempt: the present one; 0 where only checkpoints were made.
        line: the present one.
        next_step: the step after the last good checkpoint, or 0.
        agent_id: who began the present attempt; ``""`` where that was not said.
        updated_at: when anything was last recorded for it.
        lease: who holds it, or lost it; None where nobody has, or it was given up.
        step: the step at work; None between steps.
        damaged: whether its record does not match its checksum. Then nothing but the id is known, and what is asked of it is
            refused with CorruptDataError.
    """

    workflow_id: str
    attempt: int
    line: int
    next_step: int
    agent_id: str
    updated_at: datetime
    lease: LeaseStatus | None = None
    step: StepStatus | None = None
    damaged: bool = False

    @property
    def condition(self) -> WorkflowCondition:
        """In a word: ``"held"`` (live), ``"poisoned"``, ``"interrupted"`` (within a step), ``"idle"`` or ``"damaged"``."""
        if self.damaged:
            return "damaged"
        if self.lease is not None and self.lease.remaining > 0:
            return "held"
        if self.step is not None and self.step.poisoned:
            return "poisoned"
        return "interrupted" if self.step is not None and self.step.open else "idle"
