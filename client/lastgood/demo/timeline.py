"""How a state came about: who wrote which revision, which of them were rolled back, and what that undid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import lastgood
from lastgood import AgentStatus, Checkpoint, Difference, Effect, HistoryEntry


@dataclass(frozen=True)
class Row:
    """A stretch of revisions of the same kind, a rollback, a checkpoint, an effect, or the end of an agent.

    Attributes:
        kind: ``"written"``, ``"undone"`` (written, and rolled back later), ``"rollback"``, ``"checkpoint"`` or
            ``"effect"`` (on the outside world).
        revisions: the first and the last; None where nothing was written.
        when: of the last.
        agent: who.
        attempt: at the workflow; None where that was not said.
        step: of the workflow; None outside of one.
        operation: what was called.
        what: what it did, in words.
    """

    kind: str
    revisions: tuple[int, int] | None
    when: datetime
    agent: str
    attempt: int | None
    step: int | None
    operation: str
    what: str


@dataclass(frozen=True)
class Timeline:
    """All of it.

    Attributes:
        rows: in order.
        revision: the last one.
        undone: how many revisions were rolled back.
        differences: what the rollback changed: old is the garbage, new is what is there again.
        effects: what the rollback could not undo.
        exact: whether it brought back the content of the last good checkpoint, and nothing else.
    """

    rows: list[Row]
    revision: int
    undone: int
    differences: list[Difference]
    effects: list[Effect]
    exact: bool


async def trace(client: lastgood.Client, workflow_id: str, kills: Sequence[Row] = ()) -> Timeline:
    """Find out how the state of a workflow came about, from its history, its checkpoints and its effects.

    Args:
        client: the connection to use.
        workflow_id: the workflow.
        kills: what is not in the history: which agents were killed, and when.
    """
    state = client.state(workflow_id)
    history = await state.get_history(values=False)
    checkpoints = [
        checkpoint
        for checkpoint in await client.checkpoints.list_checkpoints(workflow_id)
        if checkpoint.status is AgentStatus.COMPLETED
    ]
    rollbacks = {entry.revision: _target(entry, checkpoints) for entry in history if entry.operation == "restore"}
    undone = {revision for end, target in rollbacks.items() for revision in range(_revision(target) + 1, end)}
    rows: list[Row] = []
    for entries in _stretches(history):
        first, last = entries[0].revision, entries[-1]
        if last.revision in rollbacks:
            kind, what = "rollback", _back_to(rollbacks[last.revision])
        else:
            kind = "undone" if last.revision in undone else "written"
            what = summary(await state.diff(first - 1, last.revision))
        stretch = first, last.revision
        rows.append(Row(kind, stretch, last.timestamp, last.agent_id, last.attempt, last.step, last.operation, what))
        rows += [_checkpoint_row(each) for each in checkpoints if first <= _revision(each) <= last.revision]
    differences = [difference for revision in rollbacks for difference in await state.diff(revision - 1, revision)]
    wrong = [
        difference for revision, target in rollbacks.items() for difference in await state.diff(_revision(target), revision)
    ]
    effects = await client.workflow(workflow_id).list_effects()
    given_up = {row.attempt for row in rows if row.kind == "undone"}
    rows = sorted([*map(_effect_row, effects), *rows, *kills], key=lambda row: row.when)
    return Timeline(
        rows,
        history[-1].revision,
        len(undone),
        differences,
        [effect for effect in effects if effect.attempt in given_up],
        exact=bool(rollbacks) and not wrong,
    )


def _stretches(history: Sequence[HistoryEntry]) -> Iterator[list[HistoryEntry]]:
    """Put together what one agent has written by the same operation at the same path, one revision after the other."""
    for _, entries in groupby(
        history, lambda entry: (entry.agent_id, entry.attempt, entry.step, entry.operation, entry.path)
    ):
        yield list(entries)


def _target(rollback: HistoryEntry, checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """The last good checkpoint at the time of a rollback; None where there was none."""
    earlier = [checkpoint for checkpoint in checkpoints if _revision(checkpoint) < rollback.revision]
    return max(earlier, key=lambda checkpoint: checkpoint.step, default=None)


def _revision(checkpoint: Checkpoint | None) -> int:
    """The revision that a checkpoint names; without one, that of the initial state."""
    return checkpoint.state_snapshot.revision if checkpoint else 1


def _back_to(checkpoint: Checkpoint | None) -> str:
    where = f"the checkpoint of step {checkpoint.step}" if checkpoint else "the initial state"
    return f"⟲ back to revision {_revision(checkpoint)}, {where}"


def _checkpoint_row(checkpoint: Checkpoint) -> Row:
    stretch = _revision(checkpoint), _revision(checkpoint)
    what = f"✔ step {checkpoint.step} {checkpoint.status.name}"
    who = checkpoint.agent_id, checkpoint.attempt, checkpoint.step
    return Row("checkpoint", stretch, checkpoint.created_at, *who, "checkpoint", what)


def _effect_row(effect: Effect) -> Row:
    when, who = effect.recorded_at or effect.claimed_at, (effect.agent_id, effect.attempt, effect.step)
    return Row("effect", None, when, *who, "once", f"↗ {effect.key} {effect.status}, key {effect.idempotency_key[:8]}…")


def summary(differences: Sequence[Difference]) -> str:
    """Say in words what has changed: a single place by its path, several under the same top-level key by their number."""
    paths: dict[tuple[str, str], list[str]] = {}
    for difference in differences:
        paths.setdefault((difference.kind, difference.path.partition(".")[0]), []).append(difference.path)
    named: dict[str, list[str]] = {}
    for (kind, key), found in paths.items():
        named.setdefault(kind, []).append(found[0] if len(found) == 1 else f"{len(found)} in {key}")
    return "; ".join(f"{', '.join(names)} {kind}" for kind, names in named.items()) or "nothing changed"
