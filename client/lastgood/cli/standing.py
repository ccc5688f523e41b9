"""How a workflow stands, in words: its condition, who holds it, what is to be done about it."""

import shlex
from datetime import UTC, datetime
from functools import partial

from rich.text import Text

from lastgood import WorkflowStatus
from lastgood.cli.render import DIM, Cell, Page, Row, age, moment
from lastgood.cli.terminal import plain

_STYLES = {"held": "bold green", "idle": "", "interrupted": "bold yellow", "poisoned": "bold red", "damaged": "bold red"}


def condition(status: WorkflowStatus) -> Cell:
    """Give the word for it."""
    return Cell(status.condition, _STYLES[status.condition])


def is_at_work(status: WorkflowStatus) -> bool:
    """Whether a live holder has a step open."""
    return status.condition == "held" and status.step is not None and status.step.open


def since(status: WorkflowStatus) -> datetime:
    """Since when it has been so: the begin of the step at work, or else when anything was recorded last."""
    return status.step.began_at if status.step is not None and is_at_work(status) else status.updated_at


def age_of(status: WorkflowStatus) -> str:
    """Say how long that is."""
    return age((datetime.now(UTC) - since(status)).total_seconds())


def holder(status: WorkflowStatus) -> tuple[Cell, Cell]:
    """Say who holds it, and for how long unless that is renewed; or who has lost it."""
    lease = status.lease
    if lease is None:
        return Cell("-", DIM), Cell("")
    if lease.remaining > 0:
        return Cell(lease.holder, "cyan"), Cell(age(lease.remaining))
    return Cell(lease.holder, DIM), Cell("lost", DIM)


def show(page: Page, status: WorkflowStatus) -> None:
    """Print what stands above the past of a workflow."""
    told, advice = _condition_told(status), _advice(status)
    lines = [("workflow", Text(plain(status.workflow_id), "bold"))]
    lines.append(("condition", Text.assemble((status.condition, _STYLES[status.condition]), told)))
    if advice:
        lines.append(("what to do", Text(advice, "bold")))
    lines.append(("step", _step(status)))
    if status.attempt:
        by = f", begun by {plain(status.agent_id)}" if status.agent_id else ""
        line = f", line {status.line}" if status.line else ""
        lines.append(("attempt", Text(f"{status.attempt}{by}{line}")))
    recorded = f"{moment(status.updated_at)} ({age((datetime.now(UTC) - status.updated_at).total_seconds())} ago)"
    lines.append(("last heard", Text(recorded)))
    page.rows([Row([Cell(name, DIM)], partial(page.wrapped, text)) for name, text in lines])


def _condition_told(status: WorkflowStatus) -> str:
    step, lease = status.step, status.lease
    lost = f"{plain(lease.holder)} has lost it" if lease is not None else ""
    match status.condition:
        case "held" if lease is not None:
            return f" by {plain(lease.holder)}, for another {age(lease.remaining)} unless renewed"
        case "poisoned" if step is not None:
            return f": {step.deaths} processes have died under step {step.number}, and it is not resumed any more"
        case "interrupted" if step is not None:
            why = f"{lost}, so its process has died" if lost else "its process has died, or works without a claim"
            return f": step {step.number} has not ended; {why}"
        case _:
            return f": nobody holds it{f'; {lost}' if lost else ''}"


def _advice(status: WorkflowStatus) -> str:
    name = plain(shlex.quote(status.workflow_id))
    match status.condition:
        case "poisoned":
            return f"remove the cause, then lastgood release {name}, and start its agent again"
        case "interrupted":
            gone = "if its process is gone, " if status.lease is None else ""
            return f"{gone}start its agent again, which resumes it; lastgood resume {name} only rolls it back"
        case _:
            return ""


def _step(status: WorkflowStatus) -> Text:
    step = status.step
    said = Text(f"{status.next_step} is next" if step is None or not is_at_work(status) else f"{step.number} is at work")
    if step is None:
        return said
    what = "begun" if step.open else "last tried"
    by = f" by {plain(step.agent_id)}" if step.agent_id else ""
    said.append(f", {what}{by} in attempt {step.attempt}, {moment(step.began_at)}")
    if step.deaths:
        said.append(f", {step.deaths} death{'' if step.deaths == 1 else 's'} so far", "red")
    return said
