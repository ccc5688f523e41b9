"""``checkpoints`` and ``resume``: workflows, and going on from their last good step."""

from typing import Annotated

import typer
from rich.text import Text

import lastgood
from lastgood import AgentStatus, Checkpoint
from lastgood.cli import jsonform
from lastgood.cli.command import command
from lastgood.cli.failures import FailedError
from lastgood.cli.options import Given, WorkflowId
from lastgood.cli.render import DIM, Cell, Page, Row, moment
from lastgood.cli.terminal import say

_STYLES = {AgentStatus.COMPLETED: "green", AgentStatus.FAILED: "red", AgentStatus.BLOCKED: "yellow"}

Step = Annotated[
    int | None,
    typer.Option(
        "--step", metavar="K", min=0, show_default="the last good one", help="Back to the checkpoint of this step instead."
    ),
]


def register(app: typer.Typer) -> None:
    """Add them."""
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
    command(
        app,
        "resume",
        example="""
            lastgood resume wf-123
            lastgood resume wf-123 --step 3
        """,
        document='{"workflow", "is_resumed", "current_step", "attempt", "revision"}',
    )(resume)


async def checkpoints(given: Given, workflow: WorkflowId) -> None:
    """List the checkpoints of a workflow."""
    async with given.connect() as client:
        found = await client.checkpoints.list_checkpoints(workflow)
        good = await client.checkpoints.get_last_good_checkpoint(workflow)
    if given.json:
        listed = [jsonform.checkpoint_document(each) for each in found]
        jsonform.write({"workflow": workflow, "last_good": None if good is None else good.step, "checkpoints": listed})
        return
    page = Page()
    if not found:
        page.line(f"workflow {workflow} has no checkpoints")
        return
    head = ["step", "status", "attempt", "revision", "made", "by"]
    page.rows([_row(each, is_good=each == good) for each in found], head=head, right=[0, 2, 3], soft=[5])


async def resume(given: Given, workflow: WorkflowId, step: Step = None) -> None:
    """Roll a workflow back to its last good step.

    A new attempt begins. Without a checkpoint it goes back to where it began. What is undone stays in the history.
    Processes that still work on an earlier attempt can no longer write. With --step the later checkpoints are put aside.
    """
    async with given.connect() as client:
        resumable = client.workflow(workflow)
        if not await _has_begun(client, workflow):
            message = f"there is no workflow {workflow!r}: it has no checkpoints, and nobody has written its state"
            raise FailedError(message)
        current = await resumable.try_resume(step)
        revision = await resumable.state.revision()
    if given.json:
        jsonform.write({
            "workflow": workflow, "is_resumed": resumable.is_resumed, "current_step": current,
            "attempt": resumable.attempt, "revision": revision,
        })  # fmt: skip
        return
    where = f"the checkpoint of step {current - 1}" if resumable.is_resumed else "where it began"
    say(f"{workflow} is back at {where} (revision {revision}): step {current} is next, in attempt {resumable.attempt}")


async def _has_begun(client: lastgood.Client, workflow: str) -> bool:
    return await client.state(workflow).revision() > 0 or await client.checkpoints.has_checkpoint(workflow)


def _row(checkpoint: Checkpoint, *, is_good: bool) -> Row:
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
    if metrics := checkpoint.metrics:
        notes.append((f"{metrics.total_tokens:,} tokens" if metrics.total_tokens else "", ""))
        notes.append((f"cost {metrics.total_cost:,.4g}" if metrics.total_cost else "", ""))
    said = Text(", ").join(Text(*note) for note in notes if note[0])
    return Row(cells, lambda _: said, DIM if aside else "")
