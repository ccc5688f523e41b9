"""``snapshot``, ``snapshots`` and ``restore``: naming a content, and bringing one back."""

import sys
from typing import Annotated, NamedTuple

import typer

from lastgood import Checkpoint, Client, SharedState, Snapshot
from lastgood.cli import effects, jsonform, targets, workflowform
from lastgood.cli.command import command
from lastgood.cli.existing import require
from lastgood.cli.options import Expected, Given, Paths, StateId, Yes, read_argument
from lastgood.cli.render import Cell, Page, Row, moment
from lastgood.cli.targets import TARGET_HELP
from lastgood.cli.terminal import ask, confirm, say, somebody_answers

_PREVIEWED = 20
_SAME = "{} is like that already: nothing was written"

Label = Annotated[str | None, typer.Argument(metavar="LABEL", show_default=False, help="A name for it.")]
Metadata = Annotated[str | None, typer.Option("--metadata", metavar="JSON", show_default=False, help="A map, kept with it.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", show_default=False, help="What to bring back.")]
DryRun = Annotated[bool, typer.Option("--dry-run", show_default=False, help="Only show what it would change.")]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "snapshot",
        example="lastgood snapshot trip before-review",
        document='{"snapshot_id", "state", "revision", "label", "metadata", "created_at"}',
    )(snapshot)
    command(
        app,
        "snapshots",
        example="lastgood snapshots trip",
        document="""
            {"state", "snapshots":
              [{"snapshot_id", "state", "revision", "label", "metadata", "created_at"}]}
        """,
    )(snapshots)
    command(
        app,
        "restore",
        example="""
            lastgood restore trip before-review --dry-run
            lastgood restore trip 12 --path research.findings
            lastgood restore wf-123 step:3 --yes
        """,
        document="""
            {"state", "target", "revision"}
            with --dry-run {"state", "target", "differences":
              [{"path", "kind", "old", "new"}], "effects": [{"step", "key",
                "idempotency_key", "status", "in_doubt", …}]};
            old is now, new is the target
        """,
        notes=TARGET_HELP,
    )(restore)


async def snapshot(given: Given, state: StateId, label: Label = None, metadata: Metadata = None) -> None:
    """Name what a state is now, and keep that.

    Copies nothing, however much it is.
    """
    extra = None if metadata is None else read_argument(metadata, "--metadata")
    async with given.connect() as client:
        await require(client, state)
        taken = await client.state(state).snapshot(label, metadata=extra)
    if given.json:
        jsonform.write(jsonform.snapshot_document(taken))
    else:
        named = f", {taken.label}," if taken.label else ""
        say(f"snapshot {taken.snapshot_id}{named} is {state} at revision {taken.revision}")


async def snapshots(given: Given, state: StateId) -> None:
    """List the snapshots of a state, oldest first."""
    async with given.connect() as client:
        await require(client, state)
        found = await client.state(state).list_snapshots()
    if given.json:
        jsonform.write({"state": state, "snapshots": [jsonform.snapshot_document(each) for each in found]})
        return
    page = Page()
    if not found:
        page.line(f"{state} has no snapshots: lastgood snapshot {state} LABEL takes one")
        return
    page.rows([_row(each) for each in found], head=["snapshot", "revision", "taken", "label"], right=[1], soft=[3])


async def restore(
    given: Given,
    state: StateId,
    target: Target,
    *,
    path: Paths = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    expected: Expected = None,
) -> None:
    """Bring an earlier content back.

    That is a new revision, and nothing is lost: a restore is undone by a restore. Effects that went out past a checkpoint
    are not; they are put aside, and run again when their steps do.

    On a terminal it shows what it would change, and asks; if the state is written meanwhile, it changes nothing. Without a
    terminal, or with --yes, it does not ask; but without --yes it does not empty a state. Where nothing would change,
    nothing is written.
    """
    asks = not yes and not dry_run and somebody_answers()
    if dry_run or asks:
        seen = await _preview(given, state, target, path, dry_run=dry_run)
        if dry_run:
            return
        if not seen.changes:
            say(_SAME.format(state))
            return
        ask(f"Restore {state}?")
        expected = seen.revision if expected is None else expected
    async with given.connect() as client:
        past = await _find(client, state, target)
        handle = client.state(state)
        present = None if asks else await _unchanged(handle, past, path)
        same = present is not None and expected in {None, present}
        if present is not None and same:
            revision = present
        else:
            if not yes and path is None and not await handle.get(at=targets.bound(past)):
                nothing = f"nothing would be left in {state!r}: {targets.describe(past)} is empty"
                confirm(f"Empty {state}?", nothing, yes=asks)
            revision = await handle.restore(past, paths=path, expected=expected)
    if given.json:
        jsonform.write({"state": state, "target": target, "revision": revision})
    elif same:
        say(_SAME.format(state))
    else:
        what = " and ".join(path) + " in it" if path else "it"
        say(f"{state} is at revision {revision}: {what} is as in {targets.describe(past)}")
        say(f"to undo that: lastgood restore {state} {revision - 1}")


def _row(snapshot: Snapshot) -> Row:
    named, revision = Cell(snapshot.snapshot_id or "", "yellow"), Cell(str(snapshot.revision), "bold")
    return Row([named, revision, Cell(moment(snapshot.created_at)), Cell(snapshot.label or "")])


async def _find(client: Client, state: str, target: str) -> targets.Past:
    """Find what a text names. A content of another state may go into a new one; one of its own needs a state to be there."""
    past = await targets.find(target, client, state)
    if not isinstance(past, Checkpoint):
        await require(client, state)
    return past


class _Seen(NamedTuple):
    """What a preview has shown: the revision that it was compared with, or an earlier one; whether anything would change."""

    revision: int
    changes: bool


async def _unchanged(handle: SharedState, past: targets.Past, paths: list[str] | None) -> int | None:
    """Return the revision of a state that a restore would leave as it is, and None where it would change something."""
    seen = await handle.revision()
    differences = await handle.preview(past, paths=paths)
    return None if differences or differences.effects else seen


async def _preview(given: Given, state: str, target: str, paths: list[str] | None, *, dry_run: bool) -> _Seen:
    """Show what a restore would change."""
    async with given.connect() as client:
        past = await _find(client, state, target)
        handle = client.state(state)
        seen = await handle.revision()
        differences = await handle.preview(past, paths=paths)
    if given.json and dry_run:
        found = [jsonform.difference_document(each) for each in differences]
        out = [workflowform.effect_document(each) for each in differences.effects]
        jsonform.write({"state": state, "target": target, "differences": found, "effects": out})
        return _Seen(seen, changes=True)
    page = Page(sys.stdout if dry_run else sys.stderr)
    page.line(f"{state}, now at revision {seen}, would go back to {targets.describe(past)}:")
    if differences:
        page.differences(differences, None if dry_run else _PREVIEWED)
    else:
        page.line("nothing would change")
    if differences.effects:
        page.line(f"not undone: {effects.count(differences.effects)}; put aside, and run again with their steps")
        effects.show(page, differences.effects, None if dry_run else _PREVIEWED)
    return _Seen(seen, changes=bool(differences or differences.effects))
