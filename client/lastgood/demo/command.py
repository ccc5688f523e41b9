"""The command line of the demo: what it is given, what it prints, and how it ends."""

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lastgood.demo.facts import MAX_FILES, find_files, standard_library
from lastgood.demo.play import Outcome, play
from lastgood.demo.private import private_folder
from lastgood.demo.process import AgentFailedError
from lastgood.demo.report import show_report, show_timeline, show_undone
from lastgood.demo.show import Show
from lastgood.errors import LastgoodError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
_LIMIT_SECONDS = 120.0


def run(arguments: Sequence[str]) -> int:
    """Run the demo; 0 only if the state is exactly what it would be had nothing gone wrong."""
    given = _parser().parse_args(arguments).folder
    folder = standard_library() if given is None else Path(given).absolute()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know every sign
    try:
        study = _study(folder)
        show = Show(_Console(highlight=False))
        with private_folder() as data_dir, show:
            outcome = asyncio.run(_interruptible(play(study, data_dir, show)))
        return _conclude(outcome, show)
    except _UnusableFolderError as error:
        return _end(USAGE, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print goes nowhere
        return _end(FAILED, "nobody reads on")
    except (LastgoodError, AgentFailedError, OSError) as error:
        return _end(FAILED, str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _end(INTERRUPTED, "interrupted; its daemon has ended, and its folder is removed")


class _Console(Console):
    """A console that fails as any file does when nobody reads on, instead of leaving the event loop by SystemExit."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise  # noqa: PLE0704  # rich calls this while it handles the BrokenPipeError


class _UnusableFolderError(Exception):
    """There is nothing to study in the folder; the message says why."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lastgood demo",
        description="Agents in processes of their own study Python code through a shared state. One of them writes garbage "
        "into it and is killed; the next goes on from the last good checkpoint, and the report is completed. What cannot be "
        "rolled back, an announcement, is made once.",
        epilog="example: lastgood demo ~/src/my-project",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help=f"what to study, up to {MAX_FILES} Python files of it; the standard library of this Python if not given",
    )
    return parser


def _study(folder: Path) -> dict[str, Any]:
    """What the agents are to study, as it is put into the state."""
    if not folder.is_dir():
        text = f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist"
        raise _UnusableFolderError(text)
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        text = f"{folder!r} is not valid Unicode"
        raise _UnusableFolderError(text) from None
    files = find_files(folder)
    if not files:
        text = f"there are no Python files in {folder}"
        raise _UnusableFolderError(text)
    return {"folder": str(folder), "files": files}


async def _interruptible(playing: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Await it; Ctrl-C and SIGTERM cancel it, so that everything that it has started is ended."""
    task = asyncio.ensure_future(playing)

    def interrupt() -> None:
        if not task.cancelling():  # again would interrupt the cleaning up
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        async with asyncio.timeout(_LIMIT_SECONDS) as limit:
            return await task
    except TimeoutError:
        if not limit.expired():
            raise
        text = f"the agents are not done within {_LIMIT_SECONDS:g} s"
        raise AgentFailedError(text) from None


def _conclude(outcome: Outcome, show: Show) -> int:
    show_timeline(show.console, outcome.timeline, show.began)
    show_undone(show.console, outcome.timeline)
    show_report(show.console, outcome.content["report"])
    show.console.print()
    if len(outcome.heard) != 1:
        return _end(FAILED, f"the announcement was made {len(outcome.heard)} times, not once")
    if outcome.difference is not None:
        return _end(FAILED, f"the state is not what an undisturbed run gives: {outcome.difference}")
    if not outcome.timeline.exact:
        return _end(FAILED, "nothing was rolled back, or not to exactly what the last good checkpoint names")
    files, skipped = len(outcome.content["facts"]), len(outcome.content["skipped"])
    also = f" ({skipped} skipped)" if skipped else ""
    show.console.print(
        f"{files} files studied{also} in {outcome.timeline.revision} revisions, {outcome.timeline.undone} of them garbage "
        f"and rolled back. Lost: nothing, the state is exactly that of an undisturbed run; announced: once. "
        f"{show.seconds:.1f} s.",
        style="bold green",
    )
    return 0


def _end(status: int, why: str) -> int:
    sys.stderr.write(f"lastgood demo: {why}\n")
    return status
