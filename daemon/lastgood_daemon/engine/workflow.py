"""A workflow: its attempts, its lease, and what lies on its lines. Its content lies in a state with the same id.

Checkpoints and effects lie on lines. Going on after a crash stays on the line: it begins another attempt and goes back to
the last good checkpoint. Going back explicitly begins a new line: the checkpoints and effects after it are superseded.
Without that, a crash after going back from step 8 to step 3 would resume at step 9, into what was put aside:

    line 0   ●1 ●2 ●3 ●4 … ●8           resume(step=3)
    line 1            └─ ●4' 💥          resume(): goes back to 4', not to 8

"Latest", "last good", "of step k" and the ledger pass over what is superseded; it stays listed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import takewhile
from typing import TypeVar

import msgspec
from immutables import Map

from lastgood_daemon.engine.attempt import Attempt, StepAtWork
from lastgood_daemon.engine.checkpoint import COMPLETED, Checkpoint
from lastgood_daemon.engine.checkpoints import Checkpoints
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.errors import (
    CheckpointNotFoundError,
    FencedError,
    LeaseLostError,
    PoisonedStepError,
    StepOrderError,
    WorkflowBusyError,
)
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.order import values_from
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State


class RolledBack(msgspec.Struct, frozen=True):
    """The last rollback: to which revision of the workflow's state, and where that was after it."""

    to: int
    at: Point


class Progress(msgspec.Struct, frozen=True):
    """What there is to say about a workflow as a whole; one record in the store."""

    attempt: int = 0
    """The present attempt, counted from 1; 0: it has not begun."""
    line: int = 0
    began: Point | None = None
    """Where it began: the revision after its initial state was written."""
    agent_id: str = ""
    """Who began the present attempt."""
    next_step: int = 0
    """The step after the last good checkpoint."""
    lease: Lease | None = None
    step: StepAtWork | None = None
    poison_after: int = 0
    """How many processes may die under one step before it is not resumed; 0: any number."""
    updated_at: int = 0
    """0: there is none, or it has been deleted."""
    rolled_back: RolledBack | None = None

    def holds(self, now: int) -> bool:
        """Whether somebody holds a live lease."""
        return self.lease is not None and self.lease.is_live(now)

    def reckoned(self, now: int, end: Callable[[int, int], int]) -> "Progress":
        """Return it with the end that its lease has by now; see ``Lease.reckoned``."""
        return self if self.lease is None else msgspec.structs.replace(self, lease=self.lease.reckoned(now, end))

    def deaths(self, now: int) -> int:
        """How many processes have died under the step at work, as far as is known."""
        if self.step is None:
            return 0
        return self.step.deaths if self.holds(now) else self.step.bereft().deaths

    def is_poisoned(self, now: int) -> bool:
        """Whether a resume is refused for the step at work."""
        return 0 < self.poison_after <= self.deaths(now)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow at one moment; every change gives another one."""

    workflow_id: str
    progress: Progress = Progress()  # noqa: RUF009 - immutable
    checkpoints: Checkpoints = Checkpoints()  # noqa: RUF009 - immutable
    attempts: Map[int, Attempt] = Map()  # noqa: RUF009 - immutable
    effects: Map[tuple[int, str], Effect] = Map()  # noqa: RUF009 - immutable
    """The ledger, by step and key: what is not superseded."""
    put_aside: Map[tuple[int, str, int], Effect] = Map()  # noqa: RUF009 - immutable
    """Superseded effects."""

    @property
    def parts(self) -> int:
        """How many records belong to it."""
        return len(self.checkpoints.all) + len(self.attempts) + len(self.effects) + len(self.put_aside)

    # Who may write.

    def require_attempt(self, attempt: int, now: int) -> None:
        """Let only the present attempt pass, and not after its lease has expired.

        Raises:
            FencedError: a later attempt has begun.
            LeaseLostError: its lease has expired.
        """
        if attempt != self.progress.attempt:
            raise FencedError(self.workflow_id, attempt, self.progress.attempt)
        lease = self.progress.lease
        if lease is not None and lease.attempt == attempt and not lease.is_live(now):
            raise LeaseLostError(self.workflow_id, attempt)

    def require_free(self, now: int, claim_id: str = "") -> None:
        """Raise ``WorkflowBusyError`` where somebody (another claim than that) holds a live lease."""
        lease = self.progress.lease
        if lease is not None and lease.is_live(now) and lease.claim_id != claim_id:
            raise WorkflowBusyError(self.workflow_id, lease.holder, lease.expires_at, now)

    # Checkpoints.

    def in_order(self) -> list[Checkpoint]:
        """Give all checkpoints, by step, then attempt."""
        return list(self.checkpoints.values())

    def checkpoints_from(self, order: tuple[int, int]) -> Iterator[Checkpoint]:
        """Return the checkpoints by step, then attempt, from such a pair on."""
        return self.checkpoints.all.values_from(order)

    def latest(self) -> Checkpoint | None:
        """Give the checkpoint of the highest step; of one step that of the highest attempt."""
        return self.checkpoints.latest()

    def last_good(self) -> Checkpoint | None:
        """Give the checkpoint of the highest step that is completed."""
        return self.checkpoints.last_good()

    def of_step(self, step: int) -> Checkpoint:
        """Give the checkpoint of a step with the highest attempt, or raise ``CheckpointNotFoundError``."""
        found = self.checkpoints.of_step(step)
        if found is None:
            raise CheckpointNotFoundError(self.workflow_id, step)
        return found

    def record(self, checkpoint: Checkpoint) -> "Workflow":
        """Give the workflow with a checkpoint, in place of the same step and attempt."""
        return _counted(replace(self, checkpoints=self.checkpoints.put([checkpoint])))

    def without(self, step: int | None) -> tuple["Workflow", list[Checkpoint]]:
        """Give the workflow without the checkpoints of a step (``None``: without any), and those."""
        if step is None:
            return _counted(replace(self, checkpoints=Checkpoints())), self.in_order()
        gone = list(takewhile(lambda checkpoint: checkpoint.step == step, self.checkpoints_from((step, 0))))
        return _counted(replace(self, checkpoints=self.checkpoints.without(gone))), gone

    def without_parts(self, checkpoints: Iterable[Checkpoint], effects: Iterable[Effect]) -> "Workflow":
        """Give the workflow without some of its checkpoints and superseded effects."""
        aside = {effect.order for effect in effects}
        left = {order: effect for order, effect in self.put_aside.items() if order not in aside}
        return _counted(replace(self, checkpoints=self.checkpoints.without(checkpoints), put_aside=Map(left)))

    def with_parts(self, parts: Iterable[Checkpoint | Attempt | Effect]) -> "Workflow":
        """Give the workflow with some of its parts in the place of those with the same names."""
        there = self
        for part in parts:
            match part:
                case Checkpoint():
                    there = there.record(part)
                case Attempt():
                    there = there.with_attempt(part)
                case Effect() if part.superseded:
                    there = replace(there, put_aside=there.put_aside.set(part.order, part))
                case Effect():
                    there = there.enter(part)
        return there

    def buried(self) -> "Workflow":
        """Give what is left after a deletion, so that no attempt before it may write, and no idempotency key comes again."""
        return Workflow(self.workflow_id, Progress(attempt=self.progress.attempt + 1, line=self.progress.line + 1))

    # Lines.

    def back_to(self, checkpoint: Checkpoint, now: int) -> tuple["Workflow", list[Checkpoint | Effect]]:
        """Begin a new line after a checkpoint. Gives the workflow, and what is superseded by that."""
        following = (checkpoint.step, checkpoint.attempt + 1)
        later = [_superseded(other, now) for other in self.checkpoints.live.values_from(following)]
        aside = [_superseded(effect, now) for effect in self.effects_from(checkpoint.step + 1)]
        there = replace(
            self,
            checkpoints=self.checkpoints.put(later),
            effects=Map({place: effect for place, effect in self.effects.items() if effect.step <= checkpoint.step}),
            put_aside=self.put_aside.update({effect.order: effect for effect in aside}),
        )
        return _counted(_with(there, line=self.progress.line + 1, step=None)), [*later, *aside]

    def without_effects(self, step: int | None) -> tuple["Workflow", list[Effect]]:
        """Give the workflow with an empty ledger (of a step), on a new line so that no key is used again; and what went."""
        gone = [effect for effect in self.all_effects() if step is None or effect.step == step]
        kept = [effect for effect in self.all_effects() if step is not None and effect.step != step]
        there = replace(
            self,
            effects=Map({(effect.step, effect.key): effect for effect in kept if not effect.superseded}),
            put_aside=Map({effect.order: effect for effect in kept if effect.superseded}),
        )
        return _with(there, line=self.progress.line + 1), gone

    # Effects.

    def effects_from(self, step: int) -> list[Effect]:
        """Give the effects of a step and those after it, by step and key."""
        return sorted((each for each in self.effects.values() if each.step >= step), key=lambda effect: effect.order)

    def is_under_way(self, effect: Effect, now: int) -> bool:
        """Whether a claimed effect is that of the step at work, and was claimed in this try; if not, it is in doubt."""
        at_work, lease = self.progress.step, self.progress.lease
        return (
            at_work is not None
            and at_work.is_open
            and (lease is None or lease.is_live(now))
            and (at_work.step, at_work.attempt) == (effect.step, effect.attempt)
            and (effect.runs > 1 or effect.claimed_at >= at_work.began_at)
        )

    def all_effects(self) -> list[Effect]:
        """Give all effects, superseded ones included, by step, key and line."""
        return sorted([*self.effects.values(), *self.put_aside.values()], key=lambda effect: effect.order)

    def all_effects_from(self, order: tuple[int, str, int]) -> Iterator[Effect]:
        """Return all effects, superseded ones included, by step, key and line, from such a place on.

        Raises:
            LabourError: there are many, and their order is not known yet. So below.
        """
        step, key, _ = order
        live = values_from(self.effects, lambda effect: effect.step, (step, (step, key)))
        aside = values_from(self.put_aside, lambda effect: effect.step, (step, order))
        return (effect for effect in merge(live, aside, key=lambda effect: effect.order) if effect.order >= order)

    def enter(self, effect: Effect) -> "Workflow":
        """Give the workflow with an effect in its ledger."""
        return replace(self, effects=self.effects.set((effect.step, effect.key), effect))

    # Attempts.

    def rolled_back(self, target: Point | None, state: Point) -> "Workflow":
        """Give the workflow after a rollback to a target, which need not be a revision of its own state."""
        own = target is not None and (target.state_id, target.incarnation) == (state.state_id, state.incarnation)
        return _with(self, rolled_back=RolledBack(target.revision, state) if target is not None and own else None)

    def has_begun_in(self, state: State) -> bool:
        """Whether it has begun, in this life of its state."""
        began = self.progress.began
        return began is not None and began.incarnation == state.incarnation

    def begin_attempt(self, state: State, agent_id: str, poison_after: int, *, by_itself: bool) -> "Workflow":
        """Begin an attempt, without a lease. A workflow that has not begun begins at the present revision of its state.

        ``by_itself``: the process of the present attempt does it, so that the step at work has not lost it.
        """
        step = self.progress.step
        if step is not None:
            step = step.closed() if by_itself else step.bereft()
        return _with(
            self,
            attempt=self.progress.attempt + 1,
            began=self.progress.began if self.has_begun_in(state) else state.point(),
            agent_id=agent_id,
            lease=None,
            step=step,
            poison_after=poison_after,
        )

    def require_wholesome(self) -> None:
        """Raise ``PoisonedStepError`` where too many processes have died under the step to be done."""
        progress = self.progress
        if progress.step is not None and 0 < progress.poison_after <= progress.step.deaths:
            raise PoisonedStepError(self.workflow_id, progress.step.step, progress.step.deaths)

    def attempts_from(self, number: int) -> Iterator[Attempt]:
        """Return the attempts in their order, from a number on."""
        return values_from(self.attempts, lambda attempt: attempt.number, (number, number))

    def with_attempt(self, attempt: Attempt) -> "Workflow":
        """Give the workflow with the record of an attempt."""
        return replace(self, attempts=self.attempts.set(attempt.number, attempt))

    def with_lease(self, lease: Lease | None) -> "Workflow":
        """Give the workflow held by a lease, or by none."""
        return _with(self, lease=lease)

    def forked_from(self, checkpoint: Checkpoint, state: State, now: int) -> tuple["Workflow", list[Checkpoint]]:
        """Begin as the continuation of another workflow, whose checkpoint the state was made of; give what that adds.

        A step that was completed there is completed here; one that was not is the next one, in the state as it was then.
        """
        there = _with(self, began=state.point())
        done = checkpoint.step if checkpoint.status == COMPLETED else checkpoint.step - 1
        if done < 0:
            return there, []
        made = msgspec.structs.replace(
            checkpoint,
            workflow_id=self.workflow_id,
            step=done,
            attempt=0,
            line=there.progress.line,
            status=COMPLETED,
            point=state.point(),
            point_created_at=state.tree.timestamp,
            created_at=now,
            superseded=False,
            superseded_at=0,
        )
        return there.record(made), [made]

    # Steps.

    def open_step(self, step: int, agent_id: str, now: int) -> "Workflow":
        """Open the next step.

        Raises:
            StepOrderError: it is not the next one, or another is open.
        """
        at_work = self.progress.step
        if at_work is not None and at_work.is_open and at_work.attempt == self.progress.attempt:
            raise StepOrderError(self.workflow_id, step, at_work.step, f"step {at_work.step} is still open; end it first")
        if step != self.progress.next_step:
            problem = f"the next one is {self.progress.next_step}; try_resume(step=…) goes back to an earlier one"
            raise StepOrderError(self.workflow_id, step, self.progress.next_step, problem)
        deaths = at_work.deaths if at_work is not None and at_work.step == step else 0
        return _with(self, step=StepAtWork(step, agent_id, self.progress.attempt, now, deaths=deaths))

    def require_open(self, step: int) -> None:
        """Raise ``StepOrderError`` unless the present attempt has that step open."""
        at_work = self.progress.step
        if at_work is None or not at_work.is_open or at_work.attempt != self.progress.attempt or at_work.step != step:
            raise StepOrderError(self.workflow_id, step, self.progress.next_step, "it is not open; begin it first")

    def labelled_step(self, attempt: int) -> int | None:
        """Give the step that an attempt has open."""
        at_work = self.progress.step
        return at_work.step if at_work is not None and at_work.is_open and at_work.attempt == attempt else None

    def close_step(self, *, completed: bool) -> "Workflow":
        """End the step at work. A completed one leaves nothing behind; of a failed one the deaths are remembered."""
        return _with(self, step=None if completed or self.progress.step is None else self.progress.step.closed())

    def released(self) -> "Workflow":
        """Forget how many processes have died under the step at work."""
        return _with(self, step=None)


P = TypeVar("P", Checkpoint, Effect)


def _superseded(part: P, now: int) -> P:
    return msgspec.structs.replace(part, superseded=True, superseded_at=now)


def _with(workflow: Workflow, **changes: object) -> Workflow:
    return replace(workflow, progress=msgspec.structs.replace(workflow.progress, **changes))


def _counted(workflow: Workflow) -> Workflow:
    """Give a workflow whose checkpoints have changed with the step to do next."""
    good = workflow.last_good()
    return _with(workflow, next_step=0 if good is None else good.step + 1)
