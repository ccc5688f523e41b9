"""The options that every command takes, and the arguments that several of them take."""

import getpass
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

import lastgood
from lastgood.arguments import check_path
from lastgood.cli import completing
from lastgood.cli.failures import WrongUsageError
from lastgood.cli.jsonform import NotAValueError, from_json
from lastgood.errors import DaemonUnavailableError, PathError
from lastgood.locate import Location, locate, may_autostart
from lastgood.transport.autostart import LOG_FILE, is_owned
from lastgood.transport.connection import DEFAULT_TIMEOUT
from lastgood.transport.finder import answering


@dataclass(frozen=True)
class Given:
    """What the common options say. Each field is one of them; ``command.py`` adds them to every command."""

    data_dir: Annotated[
        str | None,
        typer.Option("--data-dir", metavar="DIR", show_default=False, help="The folder whose daemon it is."),
    ] = None
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="ADDRESS", show_default=False, help="unix:/path or host:port, instead of DIR."),
    ] = None
    agent_id: Annotated[
        str | None,
        typer.Option(
            "--agent-id", metavar="ID", show_default="user@host", help="Recorded as the author of what is written."
        ),
    ] = None
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", help="For connecting, and for each call."),
    ] = DEFAULT_TIMEOUT
    no_autostart: Annotated[
        bool,
        typer.Option("--no-autostart", show_default=False, help="Start no daemon where none runs."),
    ] = False
    json: Annotated[
        bool,
        typer.Option("--json", show_default=False, help="Print one JSON document."),
    ] = False

    def location(self) -> Location:
        """Which daemon it is."""
        if self.data_dir is not None and self.address is not None:
            text = "--data-dir and --address each name a daemon: give one of them"
            raise WrongUsageError(text)
        return locate(self.address, self.data_dir)

    @asynccontextmanager
    async def connect(self, *, autostart: bool = True) -> AsyncIterator[lastgood.Client]:
        """Connect to that daemon.

        Raises:
            DaemonUnavailableError: none runs in the folder, and none may be started: a command does not wait for one.
        """
        location = self.location()
        wanted = None if autostart and not self.no_autostart else False
        if location.folder is not None and not may_autostart(autostart=wanted) and await answering(location.folder) is None:
            raise not_running(location)
        async with lastgood.connect(
            self.address,
            data_dir=self.data_dir,
            agent_id=_who() if self.agent_id is None else self.agent_id,
            timeout=self.timeout,
            autostart=wanted,
        ) as client:
            yield client


def not_running(location: Location) -> DaemonUnavailableError:
    """Return the error for a daemon that does not run, or has the folder and does not answer."""
    if location.folder is not None and is_owned(location.folder):
        return DaemonUnavailableError(
            f"a daemon has {location} and does not answer: it is starting, hangs, or listens where it is not reached from "
            f"here. Wait for it, or look into {location.folder / LOG_FILE} and end it"
        )
    return DaemonUnavailableError(f"no daemon runs for {location}. To start one: {location.how_to_start}")


def _who() -> str:
    try:
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        who.encode()
    except (OSError, KeyError, ImportError, UnicodeEncodeError):  # a user without a name, as in many a container
        return f"uid-{os.getuid()}"
    return who


def _path(text: str) -> str:
    try:
        return check_path(text)
    except PathError as error:
        raise typer.BadParameter(str(error)) from None


def read_argument(text: str, what: str, otherwise: str = "") -> Any:  # noqa: ANN401 - any value of the model
    """Read an argument that is JSON.

    Raises:
        WrongUsageError: it is not.
    """
    try:
        return from_json(text)
    except NotAValueError as error:
        message = f"{what} is not JSON: {error}{'; ' if otherwise else ''}{otherwise}"
        raise WrongUsageError(message) from None


StateId = Annotated[
    str,
    typer.Argument(metavar="STATE", show_default=False, help="Id of a state.", autocompletion=completing.states),
]
WorkflowId = Annotated[
    str,
    typer.Argument(metavar="WORKFLOW", show_default=False, help="Id of a workflow.", autocompletion=completing.workflows),
]
Path = Annotated[
    str,
    typer.Argument(
        metavar="PATH", show_default=False, parser=_path, help=r"Such as research.findings.0; a literal dot in a key is \."
    ),
]
OptionalPath = Annotated[
    str | None,
    typer.Argument(
        metavar="PATH", show_default=False, parser=_path, help=r"Such as research.findings.0; a literal dot in a key is \."
    ),
]
Paths = Annotated[
    list[str] | None,
    typer.Option(
        "--path", metavar="PATH", show_default=False, parser=_path, help="Only this subtree. May be given several times."
    ),
]
Expected = Annotated[
    int | None,
    typer.Option("--expected", metavar="REVISION", min=0, show_default=False, help="Only if the state is at this revision."),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TARGET", show_default=False, help="As it was then: see TARGET below."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", show_default=False, help="Do not ask.")]
