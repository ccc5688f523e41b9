"""``history`` and ``diff``: what has been."""

import asyncio
from typing import Annotated

import typer

from lastgood import Difference, HistoryEntry, SharedState
from lastgood.cli import jsonform, targets, timeline
from lastgood.cli.command import command
from lastgood.cli.existing import require
from lastgood.cli.options import Given, OptionalPath, StateId
from lastgood.cli.render import DIM, Page
from lastgood.cli.targets import TARGET_HELP
from lastgood.cli.terminal import say
from lastgood.errors import RevisionUnavailableError

_SHOWN = 50
_TOGETHER = 256
"""So many questions are under way at once."""

Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=0, show_default=f"{_SHOWN}; with --json all", help="Only the last N revisions; 0: all."
    ),
]
NewestFirst = Annotated[bool, typer.Option("--newest-first", show_default=False, help="From the newest to the oldest.")]
Before = Annotated[str | None, typer.Option("--before", metavar="TARGET", show_default=False, help="Only what came before.")]
After = Annotated[str | None, typer.Option("--after", metavar="TARGET", show_default=False, help="Only what came after.")]
Old = Annotated[str, typer.Argument(metavar="OLD", show_default=False, help="TARGET to compare from.")]
New = Annotated[str | None, typer.Argument(metavar="NEW", show_default="now", help="TARGET to compare with.")]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "history",
        example="""
            lastgood history trip
            lastgood history trip research.findings --limit 10
            lastgood history trip --after before-review --json | jq .history
        """,
        document="""
            {"state", "path", "revision", "oldest", "earlier", "history":
              [{"revision", "path", "operation", "agent_id", "attempt", "step",
                "timestamp", "source": {"state", "revision"}, "existed", "value"}]}
        """,
        notes=TARGET_HELP,
    )(history)
    command(
        app,
        "diff",
        example="""
            lastgood diff trip before-review
            lastgood diff trip 3 5 --json
        """,
        document='{"state", "old", "new", "differences": [{"path", "kind", "old", "new"}]}',
        notes=TARGET_HELP,
    )(diff)


async def history(
    given: Given,
    state: StateId,
    path: OptionalPath = None,
    *,
    limit: Limit = None,
    newest_first: NewestFirst = False,
    before: Before = None,
    after: After = None,
) -> None:
    """Show who wrote what, and when.

    Rollbacks are marked ⟲. What was written in attempt 2 at a workflow, while its step 0 was open, is marked #2 step 0. With
    PATH only what changed the value there.
    """
    most = limit or None if limit is not None or given.json else _SHOWN
    async with given.connect() as client:
        handle = client.state(state)
        revision = await require(client, state)
        ends = [None if end is None else targets.bound(await targets.find(end, client, state)) for end in (before, after)]
        entries = await handle.get_history(path, limit=most and most + 1, newest_first=True, before=ends[0], after=ends[1])
        earlier, entries = most is not None and len(entries) > most, entries[:most]
        changes = {} if given.json or path is not None else await _changes(handle, entries)
        oldest = await _oldest(handle)
    if not newest_first:
        entries.reverse()
    if given.json:
        jsonform.write({
            "state": state, "path": path, "revision": revision, "oldest": oldest, "earlier": earlier,
            "history": [jsonform.entry_document(each) for each in entries],
        })  # fmt: skip
        return
    given_up = "" if oldest <= 1 else f"what came before revision {oldest} has been compacted"
    if entries:
        _show(entries, changes, earlier=earlier, newest_first=newest_first, whole=path is None, given_up=given_up)
    elif oldest == revision > 1 and path is None and before is None and after is None:
        say(f"{state} is at revision {revision}, which is kept; {given_up}, and with it who wrote this one, and when")
    else:
        gone = f"; {given_up}" if given_up else ""
        say(f"nothing of that in the history of {state}, which is at revision {revision}{gone}")


async def diff(given: Given, state: StateId, old: Old, new: New = None) -> None:
    """Show what differs between two revisions.

    + added, - removed, ~ changed. Each of the two is a TARGET.
    """
    async with given.connect() as client:
        await require(client, state)
        from_ = await targets.find(old, client, state)
        to = None if new is None else await targets.find(new, client, state)
        differences = await client.state(state).diff(from_, to)
    if given.json:
        found = [jsonform.difference_document(each) for each in differences]
        jsonform.write({"state": state, "old": old, "new": new, "differences": found})
        return
    if differences:
        Page().differences(differences)
    else:
        say(f"no difference between {targets.describe(from_)} and {'now' if to is None else targets.describe(to)}")


async def _oldest(handle: SharedState) -> int:
    """Return the oldest revision that there still is."""
    try:
        await handle.exists("", at=1)
    except RevisionUnavailableError as error:
        return error.oldest or 1
    return 1


async def _changes(handle: SharedState, entries: list[HistoryEntry]) -> dict[int, list[Difference]]:
    """What the revisions have changed of which the value at the path does not say it."""
    room = asyncio.Semaphore(_TOGETHER)

    async def changed(revision: int) -> tuple[int, list[Difference] | None]:
        async with room:
            try:
                return revision, await handle.diff(revision - 1, revision)
            except RevisionUnavailableError:  # compacted
                return revision, None

    compound = [entry.revision for entry in entries if timeline.is_compound(entry)]
    found = await asyncio.gather(*map(changed, compound))
    return {revision: differences for revision, differences in found if differences is not None}


def _show(
    entries: list[HistoryEntry],
    changes: dict[int, list[Difference]],
    *,
    earlier: bool,
    newest_first: bool,
    whole: bool,
    given_up: str,
) -> None:
    page = Page()
    note = "earlier revisions are not shown: --limit 0 shows all" if earlier else given_up
    if note and not newest_first:
        page.line(note, DIM)
    timeline.show(page, entries, changes, whole=whole)
    if note and newest_first:
        page.line(note, DIM)
