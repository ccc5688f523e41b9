"""``get``, ``set`` and ``delete``: the present content."""

import sys
from typing import Annotated

import typer

from lastgood.cli import jsonform, targets
from lastgood.cli.command import command
from lastgood.cli.existing import missing, require
from lastgood.cli.failures import WrongUsageError
from lastgood.cli.jsonform import JSON_HELP
from lastgood.cli.options import At, Expected, Given, OptionalPath, Path, StateId, Yes, read_argument
from lastgood.cli.targets import TARGET_HELP
from lastgood.cli.terminal import confirm, say
from lastgood.errors import NotFoundError

Value = Annotated[
    str, typer.Argument(metavar="VALUE", show_default=False, help="JSON, or - to read that from standard input.")
]
AsText = Annotated[bool, typer.Option("--string", show_default=False, help="VALUE is the text itself, and no JSON.")]
Default = Annotated[
    str | None,
    typer.Option(
        "--default", metavar="JSON", show_default=False, help="Print this where there is no value, and exit with 0."
    ),
]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "get",
        example="""
            lastgood get trip
            lastgood get trip research.findings | jq -r '.[]'
            lastgood get trip research.findings --at before-review
        """,
        document='{"state", "path", "revision", "existed", "value"}',
        notes=f"{JSON_HELP}\n\n{TARGET_HELP}",
    )(get)
    command(
        app,
        "set",
        example="""
            lastgood set trip research.findings '["finding1", "finding2"]'
            lastgood set trip topic --string 'a plain text'
            jq -n '{a: 1}' | lastgood set trip settings -
        """,
        document='{"state", "path", "revision"}',
        notes=JSON_HELP,
        numbers=True,
    )(set_)
    command(
        app,
        "delete",
        example="""
            lastgood delete trip research.findings
            lastgood delete trip --yes
        """,
        document='{"state", "path", "existed"}',
    )(delete)


async def get(given: Given, state: StateId, path: OptionalPath = None, at: At = None, default: Default = None) -> None:
    """Print a value, or a whole state, as JSON.

    Exit status 1 where there is no value.
    """
    instead = None if default is None else read_argument(default, "--default")
    async with given.connect() as client:
        past = None if at is None else await targets.find(at, client, state)
        reading = await client.state(state).read(path or "", at=past)
    existed = reading.existed and (at is not None or reading.revision > 0)  # what was never written reads as an empty map
    if default is None:
        if not reading.revision and at is None:
            raise missing(state)
        if not existed:
            when = f"revision {reading.revision}"
            message = f"state {state!r} has no value at {path!r} ({when}): lastgood get {state} prints all that it has"
            raise NotFoundError(message)
    value = jsonform.to_json(reading.value if existed else instead)
    if given.json:
        jsonform.write({
            "state": state, "path": path or "", "revision": reading.revision, "existed": existed, "value": value,
        })  # fmt: skip
    else:
        jsonform.write(value)


async def set_(
    given: Given, state: StateId, path: Path, value: Value, *, string: AsText = False, expected: Expected = None
) -> None:
    """Put a value at a path.

    That is one new revision; missing parents are made. VALUE is JSON, so a text has quotes of its own: '"text"'.
    With --string it is the text as it stands.
    """
    text = _standard_input() if value == "-" else value
    content = text if string else read_argument(text, "VALUE", "a plain text needs quotes of its own, or --string")
    async with given.connect() as client:
        revision = await client.state(state).set(path, content, expected=expected)
    if given.json:
        jsonform.write({"state": state, "path": path, "revision": revision})
    else:
        say(f"{state} is at revision {revision}")


async def delete(given: Given, state: StateId, path: OptionalPath = None, *, yes: Yes = False) -> None:
    """Remove a value, or a whole state.

    The value stays in the history, and a restore brings it back. Where nothing is at the path, nothing is removed, and that
    is no failure. A whole state goes with its history, its snapshots and the workflow of its id, for good: on a terminal it
    asks first, and elsewhere that needs --yes.
    """
    if path is None:
        confirm(
            f"Delete state {state} with its history, its snapshots and its workflow, for good?",
            f"deleting state {state!r} with its history is for good",
            yes=yes,
        )
    async with given.connect() as client:
        if path is not None:
            await require(client, state)
        existed = await (client.delete_state(state) if path is None else client.state(state).delete(path))
    if path is None and not existed:
        raise missing(state)
    if given.json:
        jsonform.write({"state": state, "path": path, "existed": existed})
    elif path is None:
        say(f"{state} is deleted")
    else:
        say(f"{path} is deleted" if existed else f"there was nothing at {path}")


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        message = f"standard input is not UTF-8: {error.reason} at byte {error.start}"
        raise WrongUsageError(message) from None
