"""``redact``: taking a text out of a state and its history for good."""

import sys
from typing import Annotated

import typer

from lastgood import Redaction
from lastgood.cli import jsonform
from lastgood.cli.command import command
from lastgood.cli.existing import require_any
from lastgood.cli.failures import WrongUsageError
from lastgood.cli.options import Given, StateId, Yes
from lastgood.cli.terminal import ask, ask_secret, say, somebody_answers

Replacement = Annotated[str, typer.Option("--replacement", metavar="TEXT", help="What is put in its place.")]


def register(app: typer.Typer) -> None:
    """Add it."""
    command(
        app,
        "redact",
        example="""
            lastgood redact trip
            lastgood redact trip --json < leaked-key
        """,
        document='{"state", "revision", "revisions", "records"}',
        notes="The text is no argument: there others would see it, and the shell keep it.",
    )(redact)


async def redact(given: Given, state: StateId, replacement: Replacement = "[redacted]", *, yes: Yes = False) -> None:
    """Take a leaked key out of all history.

    Or any other text: it is replaced in all revisions of a state, and cannot be brought back.

    On a terminal it asks for the text, without showing it, and then whether to go on. Otherwise the text is what standard
    input has, without the end of its last line.

    Afterwards make the key itself worthless all the same. Backups and forks keep it. Where there is much data, give it a
    longer --timeout.
    """
    async with given.connect() as client:
        await require_any(client, state)
    asks = somebody_answers()
    text = ask_secret(f"Text to redact from {state}") if asks else _given_text()
    if not text:
        message = "there is no text to redact: it is read from standard input"
        raise WrongUsageError(message)
    if asks and not yes:
        ask(f"Replace it by {replacement!r} in all revisions of {state}? This cannot be undone.")
    async with given.connect() as client:
        found = await client.state(state).redact(text, replacement)
    if given.json:
        document = {"state": state, "revision": found.revision, "revisions": found.revisions, "records": found.records}
        jsonform.write(document)
    else:
        say(_told(state, found))


def _given_text() -> str:
    if sys.stdin is None:
        return ""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        message = f"the text to redact is not UTF-8: {error.reason}"
        raise WrongUsageError(message) from None
    return text.removesuffix("\n").removesuffix("\r")


def _told(state: str, found: Redaction) -> str:
    if not found.revisions and not found.records:
        return f"{state} does not have it, nor has its history"
    revisions = f"{found.revisions:,} revision{'' if found.revisions == 1 else 's'}"
    records = f"{found.records:,} other record{'' if found.records == 1 else 's'}"
    return f"{state} is at revision {found.revision}: replaced in {revisions} and {records}"
