"""``workflow show``: the whole past of one workflow."""

import asyncio
from typing import Annotated

import typer

import lastgood
from lastgood.cli import events, jsonform, rollbacks, standing, workflowform
from lastgood.cli.command import command
from lastgood.cli.events import Past
from lastgood.cli.existing import missing_workflow
from lastgood.cli.options import Given, WorkflowId, Yes
from lastgood.cli.render import DIM, Page
from lastgood.cli.terminal import confirm, say

_SHOWN = 50

Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=0, show_default=f"{_SHOWN}", help="Only the last N events; 0: all."),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="workflow", help="Look at one workflow, or delete it.", rich_markup_mode=None)
    command(
        group,
        "workflow show",
        example="""
            lastgood workflow show wf-123
            lastgood workflow show wf-123 --json | jq '.effects[] | select(.in_doubt)'
        """,
        document="""
            {"workflow", "condition": "held", "idle", "interrupted" or "poisoned",
             "attempt", "line", "next_step", "agent_id", "updated_at",
             "lease": {"attempt", "holder", "seconds", "remaining"} or null,
             "step": {"step", "agent_id", "attempt", "began_at", "open", "deaths",
               "poisoned"} or null,
             "last_good": 2 or null,
             "attempts": [{"attempt", "agent_id", "holder", "began_at", "line",
               "next_step", "back", "from_revision", "revision", "died_step",
               "end": "given_back", "died", "replaced", "lost" or null, "ended_at"}],
             "checkpoints": [{"step", "attempt", "status", "agent_id", "state",
               "revision", "metrics", "metadata", "created_at", "superseded"}],
             "effects": [{"step", "key", "idempotency_key", "status", "in_doubt",
               "runs", "attempt", "agent_id", "claimed_at", "recorded_at", "line",
               "superseded", "failure"}],
             "rollbacks": [{"revision", "from_revision", "path",
               "source": {"state", "revision"} or null, "agent_id", "attempt", "step",
               "timestamp"}]}
        """,
    )(show)
    command(
        group,
        "workflow delete",
        example="lastgood workflow delete wf-123 --yes",
        document='{"workflow", "existed"}',
    )(delete)
    app.add_typer(group)


async def show(given: Given, workflow: WorkflowId, *, limit: Limit = None) -> None:
    """Show how a workflow stands, and what has happened to it.

    The oldest comes first: who claimed it, what each step came to and why it failed, effects that went out, rollbacks, and
    processes that died. ? in doubt is an effect of which nobody knows whether it has happened: ask the outside service by
    its idempotency key. Superseded is what a rollback to an earlier step has put aside.

    A rollback that belongs to no attempt and to no failed checkpoint shows where it is among the newest revisions.
    """
    async with given.connect() as client:
        past = await _past(client, workflow)
    if given.json:
        _write(past)
        return
    page, listed = Page(), events.of(past)
    most = _SHOWN if limit is None else limit or len(listed)
    earlier = max(len(listed) - most, 0)
    standing.show(page, past.status)
    page.line()
    if earlier:
        page.line(f"{earlier:,} earlier events are not shown: --limit 0 shows all", DIM)
    events.show(page, listed[earlier:])


async def delete(given: Given, workflow: WorkflowId, *, yes: Yes = False) -> None:
    """Delete a workflow with its attempts, checkpoints and effects.

    Its state stays, as a state like any other: lastgood delete removes both. That is asked about on a terminal, and
    elsewhere needs --yes. A workflow that is claimed is not deleted.
    """
    async with given.connect() as client:
        resumable = client.workflow(workflow)
        if await resumable.status() is None:
            raise missing_workflow(workflow)
        checkpoints = len(await client.checkpoints.list_checkpoints(workflow))
        what = f"checkpoints: {checkpoints:,}, effects: {len(await resumable.list_effects()):,}"
        confirm(f"Delete workflow {workflow} ({what})?", f"deleting workflow {workflow!r} ({what}) is for good", yes=yes)
        existed = await client.delete_workflow(workflow)
    if given.json:
        jsonform.write({"workflow": workflow, "existed": existed})
    else:
        say(f"{workflow} is deleted; its state stays")


async def _past(client: lastgood.Client, workflow_id: str) -> Past:
    workflow = client.workflow(workflow_id)
    status = await workflow.status()
    if status is None:
        raise missing_workflow(workflow_id)
    attempts, effects, checkpoints, good = await asyncio.gather(
        workflow.list_attempts(),
        workflow.list_effects(),
        client.checkpoints.list_checkpoints(workflow_id),
        client.checkpoints.get_last_good_checkpoint(workflow_id),
    )
    restores = await rollbacks.find(client.state(workflow_id), attempts, checkpoints)
    return Past(status, attempts, checkpoints, good, effects, restores)


def _write(past: Past) -> None:
    ends = past.ends()
    jsonform.write({
        **workflowform.status_document(past.status),
        "last_good": None if past.last_good is None else past.last_good.step,
        "attempts": [workflowform.attempt_document(each, ends[each.attempt]) for each in past.attempts],
        "checkpoints": [jsonform.checkpoint_document(each) for each in past.checkpoints],
        "effects": [workflowform.effect_document(each) for each in past.effects],
        "rollbacks": [workflowform.restore_document(each) for each in past.restores],
    })  # fmt: skip
