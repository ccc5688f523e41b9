"""``serve`` and ``demo``: programs of their own, looked up when they are asked for and given their arguments as they are.

A client alone can do without either, and ``serve`` without typer.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Program(NamedTuple):
    """A program behind a name.

    Attributes:
        module: where its ``main`` is.
        what: what a person calls it.
        does: what it does.
        example: a command line.
    """

    module: str
    what: str
    does: str
    example: str


PROGRAMS = {
    "serve": Program(
        "lastgood_daemon.start",
        "the daemon",
        "Run the daemon of a folder.",
        "lastgood serve --data-dir ~/agents",
    ),
    "demo": Program(
        "lastgood.demo",
        "the demo",
        "Show a rollback with real processes.",
        "lastgood demo",
    ),
}


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a program, and give its exit status."""
    program = PROGRAMS[name]
    try:
        main: Callable[[list[str]], int | None] = importlib.import_module(program.module).main
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"lastgood: {program.what} needs {error.name}, which is not installed: pip install 'lastgood[daemon]'\n"
        )
        return 1
    return main(list(arguments)) or 0
