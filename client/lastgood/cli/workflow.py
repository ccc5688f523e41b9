"""``workflow show``: the whole past of one workflow."""

import asyncio
from typing import Annotated

import typer

import lastgood
from lastgood.cli import events, jsonform, rollbacks, standing, workflowform
from lastgood.cli.command import command
from lastgood.cli.events import Past
from lastgood.cli.failures import FailedError
from lastgood.cli.options import Given, WorkflowId
from lastgood.cli.render import DIM, Page

_SHOWN = 50

Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=0, show_default=f"{_SHOWN}", help="Only the last N events; 0: all."),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="workflow", help="Look at one workflow.", rich_markup_mode=None)
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


async def _past(client: lastgood.Client, workflow_id: str) -> Past:
    workflow = client.workflow(workflow_id)
    status = await workflow.status()
    if status is None:
        message = f"there is no workflow {workflow_id!r}: lastgood workflows lists them"
        raise FailedError(message)
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
