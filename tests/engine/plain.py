"""Outcomes and records in the words of ``notes``: plain tuples, without what a model cannot or need not know."""

from functools import singledispatch

from tests.engine.notes import Deed, Label, Mark, Revision, Run, Undone

from lastgood_daemon.authority.outcomes import (
    CheckpointMade,
    CheckpointsDeleted,
    Done,
    EffectClaimed,
    EffectKnown,
    Resumed,
    Rollback,
    StepBegun,
    StepEnded,
    Written,
)
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.log import Entry


@singledispatch
def plain(said: object) -> object:
    """Give an outcome, or a part of one, in plain words."""
    return said


@plain.register
def _(said: Written) -> object:
    return said.point.revision, said.existed


@plain.register
def _(said: Resumed) -> object:
    return said.attempt, said.point.revision, plain(said.checkpoint), plain(said.rollback)


@plain.register
def _(said: StepBegun) -> object:
    return said.point.revision, said.line, [plain(effect) for effect in said.effects]


@plain.register
def _(said: StepEnded) -> object:
    return said.point.revision, plain(said.checkpoint), plain(said.rollback)


@plain.register
def _(said: CheckpointMade) -> object:
    return plain(said.checkpoint)


@plain.register
def _(said: CheckpointsDeleted) -> object:
    return said.existed


@plain.register
def _(said: Done) -> object:
    return said.existed


@plain.register
def _(said: EffectClaimed) -> object:
    return True, plain(said.effect)


@plain.register
def _(said: EffectKnown) -> object:
    return False, plain(said.effect)


@plain.register
def _(said: Rollback) -> object:
    others = [(other.revision, other.agent_id, other.timestamp) for other in said.undone]
    return Undone(said.from_revision, [deed(effect) for effect in said.effects], others)


@plain.register
def _(said: Checkpoint) -> object:
    revision = said.point.revision if said.point.state_id == said.workflow_id else None
    return Mark(*said.order, said.line, said.agent_id, said.status, {}, revision, said.superseded)


@plain.register
def _(said: Effect) -> object:
    return deed(said)


@plain.register
def _(said: Attempt) -> object:
    return Run(
        agent=said.agent_id,
        holder=said.holder,
        began_at=said.began_at,
        line=said.line,
        next_step=said.next_step,
        back=said.back,
        from_revision=said.from_revision,
        revision=said.revision,
        died_step=said.died_step,
        ended_at=said.ended_at,
    )


@plain.register
def _(said: Entry) -> object:
    return Revision({}, Label(*said.author), said.timestamp)


def deed(effect: Effect) -> Deed:
    """Give an effect in plain words."""
    return Deed(
        step=effect.step,
        key=effect.key,
        line=effect.line,
        attempt=effect.attempt,
        agent=effect.agent_id,
        claimed_at=effect.claimed_at,
        idempotency_key=effect.idempotency_key,
        status=effect.status,
        runs=effect.runs,
        in_doubt=effect.in_doubt,
        result=effect.result if effect.failure is None else effect.failure.message.encode(),
        superseded=effect.superseded,
    )


def bare(mark: Mark | None) -> Mark | None:
    """Give a checkpoint of the model without its content, which is not in its record."""
    return None if mark is None else mark._replace(content={})
