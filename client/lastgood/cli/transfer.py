"""``export`` and ``import``: a state with its history as a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from lastgood import InvalidArgumentError, LastgoodError
from lastgood.cli import jsonform
from lastgood.cli.command import command
from lastgood.cli.existing import require
from lastgood.cli.failures import FailedError
from lastgood.cli.options import Given, StateId
from lastgood.cli.terminal import say, somebody_answers

To = Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False, help="Where to; without it, to stdout.")]
From = Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False, help="Where from; without it, stdin.")]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "export",
        example="""
            lastgood export trip trip.jsonl
            lastgood export trip | gzip > trip.jsonl.gz
        """,
        document='{"state", "file", "lines"}; without FILE, the lines themselves',
    )(export)
    command(
        app,
        "import",
        example="""
            lastgood import trip-again trip.jsonl
        """,
        document='{"state", "revision"}',
    )(import_)


async def export(given: Given, state: StateId, file: To = None) -> None:
    """Write a state with its history and snapshots as JSON lines.

    Attempts, checkpoints and effects of a workflow are not part of it.
    """
    lines = 0
    async with given.connect() as client:
        await require(client, state)
        with _written(file) as out:
            async for line in client.export_state(state):
                out.write(line.encode())
                lines += 1
    if file is None:
        return
    if given.json:
        jsonform.write({"state": state, "file": str(file), "lines": lines})
    else:
        say(f"{state} is in {file}")


async def import_(given: Given, state: StateId, file: From = None) -> None:
    """Make a state of what export has written.

    With its history and snapshots; nobody sees anything of it before all of it is there.
    """
    if file is None and somebody_answers():
        sys.stderr.write("reading an export from the terminal; Ctrl-D ends it, Ctrl-C gives up\n")
    async with given.connect() as client:
        with _read(file) as lines:
            try:
                revision = await client.import_state(state, lines)
            except InvalidArgumentError as error:
                if error.field not in {"lines", "import_id"}:
                    raise
                message = f"nothing was imported: {error}"
                raise FailedError(message, reason=error.reason) from None
    if given.json:
        jsonform.write({"state": state, "revision": revision})
    else:
        say(f"{state} is at revision {revision}")


@contextmanager
def _written(file: Path | None) -> Iterator[IO[bytes]]:
    """Give where to write. A file is there when all of it is."""
    if file is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        if isinstance(error, LastgoodError):
            raise
        raise _unusable(file, error) from None
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _read(file: Path | None) -> Iterator[Iterator[str]]:
    """Give the lines to read."""
    if file is None:
        yield _not_empty(_decoded(sys.stdin.buffer))
        return
    try:
        lines = file.open("rb")
    except OSError as error:
        raise _unusable(file, error) from None
    with lines:
        yield _decoded(lines)


def _unusable(file: Path, error: OSError) -> FailedError:
    return FailedError(f"{file}: {error.strerror}")


def _not_empty(lines: Iterator[str]) -> Iterator[str]:
    first = next(lines, None)
    if first is None:
        message = "nothing was imported: standard input is empty. To read a file: lastgood import STATE FILE"
        raise FailedError(message)
    yield first
    yield from lines


def _decoded(lines: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            message = f"nothing was imported: line {number} is not UTF-8"
            raise FailedError(message) from None
