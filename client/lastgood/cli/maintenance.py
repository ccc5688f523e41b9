"""``backup`` and ``verify``: looking after a store."""

import asyncio
import importlib.util
import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from lastgood import Problem, Verification
from lastgood.cli import jsonform
from lastgood.cli.command import FAILED, command
from lastgood.cli.failures import FailedError
from lastgood.cli.options import Given
from lastgood.cli.render import Cell, Page, Row, size
from lastgood.cli.terminal import say
from lastgood.transport.child import interpreter
from lastgood.transport.connection import DEFAULT_TIMEOUT
from lastgood.transport.finder import answering

Folder = Annotated[
    str, typer.Argument(metavar="PATH", show_default=False, help="The folder to make, on the machine of the daemon.")
]


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "backup",
        example="lastgood backup backup-of-today",
        document='{"path", "bytes"}',
    )(backup)
    command(
        app,
        "verify",
        example="""
            lastgood verify
            lastgood verify --data-dir ~/agents --json
        """,
        document="""
            {"ok", "data_dir", "daemon": whether one was asked, "states", "revisions",
             "records", "problems": [{"where", "what"}]}
        """,
    )(verify)


async def backup(given: Given, path: Folder) -> None:
    """Copy the whole store into a new folder.

    Everybody works on meanwhile. The folder is there as a whole or not at all. To restore, serve it: --data-dir PATH.
    """
    async with given.connect() as client:
        made = await client.backup(path, timeout=_patience(given))
    if given.json:
        jsonform.write({"path": made.path, "bytes": made.size})
        return
    say(f"{made.path} holds a copy of the store, {size(made.size)}: lastgood serve --data-dir {shlex.quote(made.path)}")


async def verify(given: Given) -> int:
    """Tell whether all that is stored is what was written.

    A daemon that runs is asked, and works on. Where none runs, the folder is read without one, and stays as it is; that also
    works on a backup. Exit status 0: all is well; 1: something is damaged.
    """
    location = given.location()
    folder = location.folder
    if folder is not None and await answering(folder) is None:
        found, data_dir, asked = await _verify_folder(folder), str(folder), False
    else:
        async with given.connect(autostart=False) as client:
            found, data_dir, asked = (
                await client.verify(timeout=_patience(given)),
                (await client.server_info()).data_dir,
                True,
            )
    if given.json:
        problems = [{"where": each.where, "what": each.what} for each in found.problems]
        jsonform.write({
            "ok": found.ok, "data_dir": data_dir, "daemon": asked, "states": found.states, "revisions": found.revisions,
            "records": found.records, "problems": problems,
        })  # fmt: skip
    else:
        _show(found, data_dir)
    return 0 if found.ok else FAILED


def _patience(given: Given) -> float | None:
    """The time limit, if one was given: the usual one is nothing for a call that goes through the whole store."""
    return None if given.timeout == DEFAULT_TIMEOUT else given.timeout


async def _verify_folder(folder: Path) -> Verification:
    """Have the daemon's package read a folder; it is another program, which a client alone does not have."""
    if importlib.util.find_spec("lastgood_daemon") is None:
        text = f"no daemon answers for {folder}, and reading it without one needs: pip install 'lastgood[daemon]'"
        raise FailedError(text)
    command_line = (interpreter(folder), "-m", "lastgood_daemon", "verify", "--data-dir", str(folder), "--json")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command_line, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    if not out:
        raise FailedError(err.decode(errors="replace").strip().removeprefix("lastgood verify: ") or "it has failed")
    found = json.loads(out)
    problems = tuple(Problem(each["where"], each["what"]) for each in found["problems"])
    return Verification(found["states"], found["revisions"], found["records"], problems)


def _show(found: Verification, data_dir: str) -> None:
    page = Page()
    result = Cell("damaged", "bold red") if found.problems else Cell("all is well", "bold green")
    counts = {
        "states": found.states,
        "revisions": found.revisions,
        "records": found.records,
        "problems": len(found.problems),
    }
    page.rows([
        Row([Cell("result", "bold"), result]),
        Row([Cell("folder", "bold"), Cell(data_dir)]),
        *(Row([Cell(name, "bold"), Cell(f"{count:,}")]) for name, count in counts.items()),
    ])  # fmt: skip
    for problem in found.problems:
        page.line(f"{problem.where}: {problem.what}", "red")
