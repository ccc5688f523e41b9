"""What has happened to a workflow, in the order in which it did: the lines of ``lastgood workflow show``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

from rich.text import Text

from lastgood import AgentStatus, Attempt, Checkpoint, Effect, WorkflowStatus
from lastgood.cli import effects, shorten, standing
from lastgood.cli.render import DIM, Cell, Page, Row
from lastgood.cli.rollbacks import Restore
from lastgood.cli.terminal import plain
from lastgood.cli.timeline import ROLLBACK, day_of, day_row, time_cell

End = Literal["given_back", "died", "replaced", "lost"]

_MARKS = {
    AgentStatus.COMPLETED: Cell("✔ completed", "green"),
    AgentStatus.FAILED: Cell("✘ failed", "bold red"),
    AgentStatus.BLOCKED: Cell("● blocked", "yellow"),
    AgentStatus.RUNNING: Cell("● running"),
    AgentStatus.PENDING: Cell("● pending"),
}
_ERROR_LINES = 8
_ERROR = 600
"""No more of a failure is shown than that."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record about a workflow.

    Attributes:
        status: how it stands.
        attempts: oldest first.
        checkpoints: by step, then attempt.
        last_good: the one that a resume goes back to; None where there is none.
        effects: by step, then key.
        restores: the rollbacks of its state.
    """

    status: WorkflowStatus
    attempts: Sequence[Attempt]
    checkpoints: Sequence[Checkpoint]
    last_good: Checkpoint | None
    effects: Sequence[Effect]
    restores: Sequence[Restore]

    def ends(self) -> dict[int, End | None]:
        """Tell how each attempt has ended; None: it has not."""
        lease = self.status.lease
        ended: dict[int, End | None] = {}
        for each, after in pairwise([*self.attempts, None]):
            if each is None:
                continue
            if each.ended_at is not None:
                ended[each.attempt] = "given_back"
            elif after is not None:
                ended[each.attempt] = "replaced" if after.died_step is None else "died"
            else:
                ended[each.attempt] = "lost" if lease is not None and lease.remaining <= 0 else None
        return ended


class Event(NamedTuple):
    """One thing that has happened.

    Attributes:
        time: when, or when it was noticed.
        attempt: in which attempt; None: in none.
        rank: orders what has happened in one transaction.
        step: under which step, or None.
        what: a word for it.
        told: what there is to say about it.
        aside: whether a rollback to an earlier step has put it aside.
    """

    time: datetime
    attempt: int | None
    rank: int
    step: int | None
    what: Cell
    told: Text
    aside: bool = False


def of(past: Past) -> list[Event]:
    """List what has happened, oldest first."""
    listed = [*_attempts(past), *_checkpoints(past), *_effects(past), *_restores(past), *_at_work(past.status)]
    return sorted(listed, key=lambda each: (each.time, each.attempt or 0, each.rank, each.step or 0, each.told.plain))


def show(page: Page, events: Sequence[Event]) -> None:
    """Print them."""
    rows: list[Row] = []
    for day, of_the_day in groupby(events, lambda event: day_of(event.time)):
        rows.append(day_row(day))
        rows += [_row(page, event) for event in of_the_day]
    page.rows(rows, head=["time", "attempt", "step", "what"], right=[1, 2])


def _row(page: Page, event: Event) -> Row:
    step = "" if event.step is None else str(event.step)
    cells = [time_cell(event.time), Cell(str(event.attempt or "-")), Cell(step, "bold"), event.what]
    if not event.aside:
        return Row(cells, partial(page.wrapped, event.told))
    # Styles of parts would stand out of the line.
    first, *more = event.told.plain.split("\n", 1)
    said = Text("\n").join(map(Text, [f"{first}, superseded", *more]))
    return Row([Cell(cell.text) for cell in cells], partial(page.wrapped, said), DIM)


def _attempts(past: Past) -> Iterator[Event]:
    ends = past.ends()
    for before, each in pairwise([None, *past.attempts]):
        if each is None:
            continue
        if before is not None:
            yield from _cut_off(before, each, ends[before.attempt])
        yield Event(each.began_at, each.attempt, 3, None, *_begin(each, first=before is None))
        if each.ended_at is not None:
            told = Text(f"given back by {_name(each.holder)}")
            yield Event(each.ended_at, each.attempt, 6, None, Cell("■ ended"), told)


def _begin(attempt: Attempt, *, first: bool) -> tuple[Cell, Text]:
    claimed = bool(attempt.holder)
    told = Text.assemble("by ", (_name(attempt.holder or attempt.agent_id), "cyan"))
    at = f"step {attempt.next_step}"
    if attempt.back:
        told.append(f", goes back to {at}, on line {attempt.line}", "yellow")
    else:
        told.append(f", {'begins' if first else 'goes on'} at {at}{f', on line {attempt.line}' if attempt.line else ''}")
    return Cell("▶ claimed" if claimed else "▶ resumed", "bold"), told


def _cut_off(attempt: Attempt, after: Attempt, end: End | None) -> Iterator[Event]:
    """Say of an attempt that it had not ended when the next one began."""
    if end == "died":
        told = Text(f"found when attempt {after.attempt} began", "red")
        yield Event(after.began_at, attempt.attempt, 2, after.died_step, Cell("✘ died", "bold red"), told)
    elif end == "replaced" and attempt.holder:
        told = Text(f"by attempt {after.attempt}; it had not been given back")
        yield Event(after.began_at, attempt.attempt, 2, None, Cell("■ replaced"), told)


def _checkpoints(past: Past) -> Iterator[Event]:
    for each in past.checkpoints:
        snapshot, aside = each.state_snapshot, each.superseded
        elsewhere = "" if snapshot.state_id == past.status.workflow_id else f" of {plain(snapshot.state_id)}"
        told = Text.assemble("by ", (_name(each.agent_id), "cyan"), f", revision {snapshot.revision}{elsewhere}")
        if spent := shorten.metrics(each.metrics):
            told.append(f", {spent}")
        if each == past.last_good:
            told.append(", ").append("last good", "bold green")
        if (error := (each.metadata or {}).get("error")) is not None:
            told.append("\n").append_text(_error(error))
        yield Event(each.created_at, each.attempt or None, 1, each.step, _MARKS[each.status], told, aside)


def _error(error: object) -> Text:
    """Say what went wrong, in the lines that it has itself."""
    match error:
        case {"type": str(kind), "message": str(message)}:
            text = f"{kind}: {message}" if message else kind
        case str():
            text = error
        case _:
            text = shorten.value(error, _ERROR)
    lines = [plain(line) for line in text.splitlines()]
    if len(lines) > _ERROR_LINES:
        lines[_ERROR_LINES:] = ["…"]
    return Text(shorten.middle("\n".join(lines), _ERROR), "red")


def _effects(past: Past) -> Iterator[Event]:
    for each in past.effects:
        under_way = _is_under_way(each, past.status)
        attempt = each.attempt
        if each.runs > 1 and each.recorded_at is None:  # the time is that of its first run, the attempt that of its last
            attempt = max((a.attempt for a in past.attempts if a.began_at <= each.claimed_at), default=attempt)
        yield Event(
            each.recorded_at or each.claimed_at,
            attempt,
            0,
            each.step,
            effects.mark(each, under_way=under_way),
            effects.told(each, under_way=under_way),
            each.superseded,
        )


def _is_under_way(effect: Effect, status: WorkflowStatus) -> bool:
    step = status.step
    if step is None or not standing.is_at_work(status) or effect.superseded or not effects.is_in_doubt(effect):
        return False
    return (effect.step, effect.attempt) == (step.number, step.attempt)


def _restores(past: Past) -> Iterator[Event]:
    for each in past.restores:
        told = Text(f"revision {each.revision - 1} → {each.revision}")
        if each.source is not None:
            own = each.source.state_id == past.status.workflow_id
            of_another = "" if own else f" of {plain(each.source.state_id)}"
            told.append(f", back to revision {each.source.revision}{of_another}")
        if each.path:
            told.append(f", only {plain(each.path)}")
        if each.attempt is None:
            told.append(", by ").append(_name(each.agent_id), "cyan")
        yield Event(each.timestamp, each.attempt, 4, each.step, Cell(f"{ROLLBACK} rollback", "bold yellow"), told)


def _at_work(status: WorkflowStatus) -> Iterator[Event]:
    step = status.step
    if step is None or not step.open:
        return
    told = Text.assemble("begun by ", (_name(step.agent_id), "cyan"))
    if standing.is_at_work(status):
        what = Cell("● at work", "green")
    elif status.lease is None:  # nobody can tell
        what = Cell("? open", "bold yellow")
        told.append(", has not ended")
    else:
        what = Cell("✘ broke off", "bold yellow")
        told.append(", never ended")
    yield Event(step.began_at, step.attempt, 5, step.number, what, told)


def _name(who: str) -> str:
    return plain(who) or "-"
