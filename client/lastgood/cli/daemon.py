"""``status``; and ``serve`` and ``demo``, which are other programs and only listed here."""

import asyncio
from pathlib import Path

import typer

from lastgood import ServerInfo
from lastgood.cli import jsonform, programs
from lastgood.cli.command import command
from lastgood.cli.options import Given, not_running
from lastgood.cli.render import Cell, Page, Row, size
from lastgood.errors import DaemonUnavailableError, IncompatibleDaemonError
from lastgood.locate import Endpoint, Location, read_endpoint
from lastgood.transport.finder import answering

_FILES = "lastgood.db*"


def register(app: typer.Typer) -> None:
    """Add them."""
    command(
        app,
        "status",
        example="""
            lastgood status
            lastgood status --data-dir ~/agents --json
        """,
        document="""
            {"running", "version", "address", "data_dir", "daemon_id", "pid",
             "autostarted", "states", "file_bytes"}; what is not known is null
        """,
    )(status)
    for name, program in programs.PROGRAMS.items():
        _list_program(app, name, program)


async def status(given: Given) -> int:
    """Tell whether a daemon runs, and which.

    It starts none. Exit status 0: one runs; 1: none does.
    """
    location = given.location()
    folder = location.folder
    if folder is not None and await answering(folder) is None:
        return _not_running(given, location)
    try:
        async with given.connect(autostart=False) as client:
            info, states = await asyncio.gather(client.server_info(), client.list_states())
    except IncompatibleDaemonError:
        raise
    except DaemonUnavailableError as error:
        return _not_running(given, location, error)
    _running(given, info, len(states))
    return 0


def _list_program(app: typer.Typer, name: str, program: programs.Program) -> None:
    def run(context: typer.Context) -> None:
        raise typer.Exit(programs.run(name, context.args))

    app.command(
        name,
        help=program.does,
        epilog=f"\b\nExample:\n  {program.example}",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(run)


def _running(given: Given, info: ServerInfo, states: int) -> None:
    endpoint, file_bytes = _seen_from_here(info)
    if given.json:
        _write(
            running=True,
            version=info.version,
            address=info.address,
            data_dir=info.data_dir,
            daemon_id=info.daemon_id,
            pid=endpoint.pid if endpoint else None,
            autostarted=endpoint.autostarted if endpoint else None,
            states=states,
            file_bytes=file_bytes,
        )
        return
    lines = {"running": f"lastgood {info.version}", "address": info.address, "folder": info.data_dir}
    if endpoint:
        lines["process"] = f"{endpoint.pid}, started by a client" if endpoint.autostarted else str(endpoint.pid)
    lines["states"] = f"{states:,}"
    if file_bytes is not None:
        lines["file"] = size(file_bytes)
    rows = [Row([Cell(name, "bold green" if name == "running" else "bold"), Cell(text)]) for name, text in lines.items()]
    Page().rows(rows, soft=[1])


def _not_running(given: Given, location: Location, why: DaemonUnavailableError | None = None) -> int:
    if given.json:
        folder = location.folder
        _write(running=False, address=None if folder else location.target, data_dir=str(folder) if folder else None)
    raise why or not_running(location)


def _write(**known: object) -> None:
    names = ("running", "version", "address", "data_dir", "daemon_id", "pid", "autostarted", "states", "file_bytes")
    jsonform.write({name: known.get(name) for name in names})


def _seen_from_here(info: ServerInfo) -> tuple[Endpoint | None, int | None]:
    """What the daemon says in its folder, and how big its files are; None where that folder is on another machine."""
    folder = Path(info.data_dir)
    endpoint = read_endpoint(folder)
    if endpoint is None or endpoint.daemon_id != info.daemon_id:
        return None, None
    return endpoint, sum(file.stat().st_size for file in folder.glob(_FILES))
