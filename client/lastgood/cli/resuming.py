"""``resume`` and ``release``: going on from the last good step, and letting that be done again."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lastgood import Checkpoint, Client, Effect, Rollback, UndoneRevision
from lastgood.cli import effects, jsonform, workflowform
from lastgood.cli.command import command
from lastgood.cli.existing import missing_workflow
from lastgood.cli.options import Given, WorkflowId, Yes
from lastgood.cli.render import DIM, Cell, Page, Row, moment
from lastgood.cli.terminal import confirm, say

_OTHERS = 20

Step = Annotated[
    int | None,
    typer.Option(
        "--step", metavar="K", min=0, show_default="the last good one", help="Back to the checkpoint of this step instead."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", show_default=False, help="Only show what it would put aside.")]
Force = Annotated[
    bool,
    typer.Option("--force", show_default=False, help="Also where somebody else holds it, who can no longer write then."),
]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "resume",
        example="""
            lastgood resume wf-123
            lastgood resume wf-123 --step 3 --dry-run
            lastgood resume wf-123 --step 3 --yes
            lastgood resume wf-123 --force
        """,
        document="""
            {"workflow", "is_resumed", "current_step", "attempt", "from_revision",
             "revision", "effects": [{"step", "key", "idempotency_key", "status",
               "in_doubt", "runs", "attempt", "agent_id", "claimed_at",
               "recorded_at", "line", "superseded", "failure"}],
             "undone": [{"revision", "agent_id", "timestamp"}]}
            with --dry-run {"workflow", "step", "differences": how many,
             "checkpoints", "effects"}: what would be put aside
        """,
    )(resume)
    command(
        app,
        "release",
        example="lastgood release wf-123",
        document='{"workflow", "released", "step": 2 or null, "deaths"}',
    )(release)


async def resume(
    given: Given,
    workflow: WorkflowId,
    step: Step = None,
    *,
    force: Force = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Roll a workflow back to its last good step.

    A new attempt begins. Without a checkpoint it goes back to where it began. What is undone stays in the history.
    Processes that still work on an earlier attempt can no longer write. With --step the later checkpoints are put aside.

    It tells what it could not undo: effects that had gone out. What is recorded of them is not run again; with --step they
    are put aside too, and run again. And it tells which revisions of others it has undone.

    With --step it shows what would be put aside, and asks; without a terminal it needs --yes then.
    """
    async with given.connect() as client:
        resumable = client.workflow(workflow)
        if await resumable.status() is None:
            raise missing_workflow(workflow)
        if step is not None or dry_run:
            aside = await _foresee(client, workflow, step)
            if dry_run:
                _tell_foreseen(given, workflow, aside)
                return
            if aside.loses:
                confirm(f"{aside.text()}. Go back?", aside.text(), yes=yes)
        current = await resumable.try_resume(step, force=force)
        revision = await resumable.state.revision()
    rollback = resumable.rollback or Rollback(revision)
    if given.json:
        jsonform.write({
            "workflow": workflow, "is_resumed": resumable.is_resumed, "current_step": current,
            "attempt": resumable.attempt, "from_revision": rollback.from_revision, "revision": revision,
            "effects": [workflowform.effect_document(each) for each in rollback.effects],
            "undone": [workflowform.undone_document(each) for each in rollback.undone],
        })  # fmt: skip
        return
    where = f"the checkpoint of step {current - 1}" if resumable.is_resumed else "where it began"
    say(f"{workflow} is back at {where} (revision {revision}): step {current} is next, in attempt {resumable.attempt}")
    _tell(rollback, put_aside=step is not None)


async def release(given: Given, workflow: WorkflowId) -> None:
    """Let a poisoned workflow be resumed again.

    So many processes have died under its step that no attempt begins any more; this forgets them. Remove the cause first,
    such as an input that is too big: lastgood workflow show tells what has happened. Nothing to forget is no failure.
    """
    async with given.connect() as client:
        resumable = client.workflow(workflow)
        status = await resumable.status()
        if status is None:
            raise missing_workflow(workflow)
        released = await resumable.release()
    step = status.step if released else None
    deaths = step.deaths if step is not None else 0
    if given.json:
        document = {"workflow": workflow, "released": released, "step": step.number if step else None, "deaths": deaths}
        jsonform.write(document)
    elif released:
        many = f"{deaths} death{'' if deaths == 1 else 's'} under step {step.number}" if step else "deaths"
        say(f"{many} of {workflow} forgotten: start its agent again")
    else:
        say(f"nothing to release: no process has died under the present step of {workflow}")


@dataclass(frozen=True)
class _Foreseen:
    """What going back would put aside, and how many values of the state it would change."""

    step: int | None
    checkpoints: list[Checkpoint]
    effects: list[Effect]
    differences: int

    @property
    def loses(self) -> bool:
        """Whether anything would be put aside."""
        return bool(self.checkpoints or self.effects)

    def text(self) -> str:
        """Say it in one line."""
        where = "where it began" if self.step is None else f"the checkpoint of step {self.step}"
        aside = f"later checkpoints put aside: {len(self.checkpoints):,}, effects: {len(self.effects):,}"
        return f"back to {where}: values changed: {self.differences:,}, {aside}"


async def _foresee(client: Client, workflow_id: str, step: int | None) -> _Foreseen:
    """Look what going back to a step, or to the last good one, would do."""
    manager, state = client.checkpoints, client.state(workflow_id)
    if step is None:
        good = await manager.get_last_good_checkpoint(workflow_id)
        if good is None:
            return _Foreseen(None, [], [], 0)
        return _Foreseen(good.step, [], [], len(await state.preview(good.state_snapshot)))
    target = await manager.get_checkpoint(workflow_id, step)
    checkpoints = await manager.list_checkpoints(workflow_id)
    out = await client.workflow(workflow_id).list_effects()
    return _Foreseen(
        step,
        [each for each in checkpoints if each.step > step and not each.superseded],
        [each for each in out if each.step > step and not each.superseded],
        len(await state.preview(target.state_snapshot)),
    )


def _tell_foreseen(given: Given, workflow: str, aside: _Foreseen) -> None:
    if given.json:
        jsonform.write({
            "workflow": workflow, "step": aside.step, "differences": aside.differences,
            "checkpoints": [jsonform.checkpoint_document(each) for each in aside.checkpoints],
            "effects": [workflowform.effect_document(each) for each in aside.effects],
        })  # fmt: skip
        return
    say(f"{workflow} would go {aside.text()}")
    effects.show(Page(), aside.effects)


def _tell(rollback: Rollback, *, put_aside: bool) -> None:
    """Say what a rollback could not undo, and what of others it has undone."""
    page = Page()
    if rollback.effects:
        again = "put aside, and run again with their steps" if put_aside else "what is recorded does not run again"
        page.line(f"not undone: {effects.count(rollback.effects)}; {again}")
        effects.show(page, rollback.effects)
    if rollback.undone:
        plural = "" if len(rollback.undone) == 1 else "s"
        page.line(f"undone too: {len(rollback.undone):,} revision{plural} of others")
        shown = rollback.undone[-_OTHERS:]
        if len(shown) < len(rollback.undone):
            page.line(f"  … {len(rollback.undone) - len(shown):,} earlier ones", DIM)
        page.rows([_undone_row(each) for each in shown], right=[1])


def _undone_row(undone: UndoneRevision) -> Row:
    revision, time = Cell(str(undone.revision), "bold"), Cell(moment(undone.timestamp), DIM)
    return Row([Cell("  revision"), revision, time, Cell(undone.agent_id or "-", "cyan")])
