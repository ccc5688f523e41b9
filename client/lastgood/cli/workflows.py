"""``workflows`` and ``checkpoints``: which workflows there are, and what their steps have come to."""

import typer
from rich.text import Text

from lastgood import AgentStatus, Checkpoint, WorkflowStatus
from lastgood.cli import jsonform, shorten, standing, workflowform
from lastgood.cli.command import command
from lastgood.cli.existing import missing_workflow
from lastgood.cli.options import Given, WorkflowId
from lastgood.cli.render import DIM, Cell, Page, Row, moment

_STYLES = {AgentStatus.COMPLETED: "green", AgentStatus.FAILED: "red", AgentStatus.BLOCKED: "yellow"}


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "workflows",
        example="""
            lastgood workflows
            lastgood workflows --json | jq '.workflows[] | select(.step.deaths > 0)'
        """,
        document="""
            {"workflows":
              [{"workflow",
                "condition": "held", "idle", "interrupted", "poisoned" or "damaged",
                "attempt", "line", "next_step", "agent_id", "updated_at",
                "lease": {"attempt", "holder", "seconds", "remaining"} or null,
                "step": {"step", "agent_id", "attempt", "began_at", "open", "deaths",
                  "poisoned"} or null}]}
        """,
    )(workflows)
    command(
        app,
        "checkpoints",
        example="lastgood checkpoints wf-123",
        document="""
            {"workflow", "last_good": 2 or null, "checkpoints":
              [{"step", "attempt", "status", "agent_id", "state", "revision",
                "metrics", "metadata", "created_at", "superseded"}]}
        """,
    )(checkpoints)


async def workflows(given: Given) -> None:
    """List the workflows, and how each of them stands.

    held: somebody is at it. idle: nobody is. interrupted: its process has left a step open, and has died or works without a
    claim. poisoned: so many have died under a step that it is not resumed any more. damaged: its record is not what was
    written, see lastgood verify.

    The step is the one at work, or the next one. The age is that of the step at work, or else of what was recorded last.
    """
    async with given.connect() as client:
        found = await client.list_workflows()
    if given.json:
        jsonform.write({"workflows": [workflowform.status_document(each) for each in found]})
        return
    page = Page()
    if not found:
        page.line("there are no workflows yet: a program makes one with client.workflow(…)")
        return
    head = ["workflow", "condition", "step", "attempt", "holder", "lease", "age"]
    if any(each.step is not None and each.step.deaths for each in found):
        head.append("deaths")
    page.rows([_workflow_row(each) for each in found], head=head, right=[3, 5, 6, 7], soft=[0, 4])


async def checkpoints(given: Given, workflow: WorkflowId) -> None:
    """List the checkpoints of a workflow."""
    async with given.connect() as client:
        found = await client.checkpoints.list_checkpoints(workflow)
        good = await client.checkpoints.get_last_good_checkpoint(workflow)
        if not found and await client.workflow(workflow).status() is None:
            raise missing_workflow(workflow)
    if given.json:
        listed = [jsonform.checkpoint_document(each) for each in found]
        jsonform.write({"workflow": workflow, "last_good": None if good is None else good.step, "checkpoints": listed})
        return
    page = Page()
    if not found:
        page.line(f"workflow {workflow} has no checkpoints")
        return
    head = ["step", "status", "attempt", "revision", "made", "by"]
    page.rows([_checkpoint_row(each, is_good=each == good) for each in found], head=head, right=[0, 2, 3], soft=[5])


def _workflow_row(status: WorkflowStatus) -> Row:
    if status.damaged:
        return Row([Cell(status.workflow_id, "bold"), standing.condition(status)])
    step = status.step.number if status.step is not None else status.next_step
    deaths = 0 if status.step is None else status.step.deaths
    cells = [
        Cell(status.workflow_id, "bold"),
        standing.condition(status),
        Cell(f"{step} at work" if standing.is_at_work(status) else str(step)),
        Cell(str(status.attempt)),
        *standing.holder(status),
        Cell(standing.age_of(status)),
        Cell(f"{deaths}" if deaths else "", "bold red"),
    ]
    return Row(cells)


def _checkpoint_row(checkpoint: Checkpoint, *, is_good: bool) -> Row:
    aside = checkpoint.superseded
    cells = [
        Cell(str(checkpoint.step), "bold"),
        Cell(checkpoint.status.value, "" if aside else _STYLES.get(checkpoint.status, "")),
        Cell(str(checkpoint.attempt)),
        Cell(str(checkpoint.state_snapshot.revision)),
        Cell(moment(checkpoint.created_at)),
        Cell(checkpoint.agent_id or "-", "" if aside else "cyan"),
    ]
    notes = [("superseded", "") if aside else ("✔ last good", "bold green") if is_good else ("", "")]
    notes.append((shorten.metrics(checkpoint.metrics), ""))
    said = Text(", ").join(Text(*note) for note in notes if note[0])
    return Row(cells, lambda _: said, DIM if aside else "")
