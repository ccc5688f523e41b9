"""``states`` and ``fork``: which states there are."""

import asyncio
from typing import Annotated, NamedTuple

import typer

import lastgood
from lastgood import HistoryEntry
from lastgood.cli import jsonform, targets
from lastgood.cli.command import command
from lastgood.cli.existing import require
from lastgood.cli.options import At, Given, StateId
from lastgood.cli.render import Cell, Page, Row, moment
from lastgood.cli.targets import TARGET_HELP
from lastgood.cli.terminal import say
from lastgood.errors import CorruptDataError

NewId = Annotated[
    str | None, typer.Argument(metavar="NEW", show_default=False, help="Id of the new state; made up if not given.")
]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "states",
        example="""
            lastgood states
            lastgood states --json | jq -r '.states[].state'
        """,
        document='{"states": [{"state", "revision", "agent_id", "timestamp", "damaged"}]}',
    )(states)
    command(
        app,
        "fork",
        example="""
            lastgood fork trip trip-experiment
            lastgood fork trip trip-experiment --at before-review
        """,
        document='{"state", "revision", "origin": {"state", "revision"}}',
        notes=TARGET_HELP,
    )(fork)


class _Found(NamedTuple):
    state_id: str
    revision: int
    last: HistoryEntry | None
    damaged: bool = False


async def states(given: Given) -> None:
    """List the states, and who wrote them last."""
    async with given.connect() as client:
        listed = await client.list_states()
        found = await asyncio.gather(*(_last(client, each) for each in listed))
    if given.json:
        jsonform.write({"states": [_document(each) for each in found]})
    else:
        _show(found)


async def fork(given: Given, state: StateId, new: NewId = None, at: At = None) -> None:
    """Make a new state with the content of a state.

    They have nothing to do with each other from then on.
    """
    async with given.connect() as client:
        await require(client, state)
        past = None if at is None else await targets.find(at, client, state)
        made = await client.state(state).fork(new, at=past)
        origin, revision = await asyncio.gather(made.lineage(), made.revision())
    source = None if origin is None else {"state": origin.state_id, "revision": origin.revision}
    if given.json:
        jsonform.write({"state": made.state_id, "revision": revision, "origin": source})
        return
    of = f"{origin.state_id} at revision {origin.revision}" if origin else state
    say(f"{made.state_id} is a fork of {of}")


async def _last(client: lastgood.Client, state_id: str) -> _Found:
    try:
        entries = await client.state(state_id).get_history(limit=1, newest_first=True, values=False)
    except CorruptDataError:
        return _Found(state_id, 0, None, damaged=True)
    if entries:
        return _Found(state_id, entries[0].revision, entries[0])
    return _Found(state_id, await client.state(state_id).revision(), None)  # its history has been compacted


def _document(found: _Found) -> dict[str, object]:
    last = found.last
    return {
        "state": found.state_id,
        "revision": found.revision,
        "agent_id": last.agent_id if last else "",
        "timestamp": jsonform.time_text(last.timestamp) if last else None,
        "damaged": found.damaged,
    }


def _show(found: list[_Found]) -> None:
    page = Page()
    if not found:
        page.line("there are no states yet: lastgood set STATE PATH VALUE makes one")
        return
    page.rows([_row(each) for each in found], head=["state", "revision", "written", "by"], right=[1], soft=[0, 3])


def _row(found: _Found) -> Row:
    last = found.last
    named = Cell(found.state_id, "bold")
    if found.damaged:
        return Row([named, Cell("damaged", "bold red")])
    if last is None:
        return Row([named, Cell(str(found.revision)), Cell("-"), Cell("-")])
    return Row([named, Cell(str(found.revision)), Cell(moment(last.timestamp)), Cell(last.agent_id or "-", "cyan")])
