"""Which commands there are.

To add one: a coroutine function in the module of its kind, a ``command(…)`` in the ``register`` there, and its name here.
"""

import importlib
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from lastgood.cli.command import USAGE, USAGE_ERRORS, complain, complain_of_output
from lastgood.cli.words import wants_json
from lastgood.version import __version__

COMMANDS = {
    "status": "daemon",
    "serve": "daemon",
    "demo": "daemon",
    "backup": "maintenance",
    "verify": "maintenance",
    "states": "states",
    "fork": "states",
    "export": "transfer",
    "import": "transfer",
    "get": "values",
    "set": "values",
    "delete": "values",
    "history": "past",
    "diff": "past",
    "snapshot": "snapshots",
    "snapshots": "snapshots",
    "restore": "snapshots",
    "workflows": "workflows",
    "checkpoints": "workflows",
    "resume": "resuming",
    "release": "resuming",
    "redact": "redaction",
    "retention": "retention",
    "compact": "retention",
    "workflow": "workflow",
}
"""Each command or group of commands, and the module that has it. Help lists groups last."""

_EPILOG = """\b
Examples:
  lastgood set trip research.findings '["finding1", "finding2"]'
  lastgood snapshot trip before-review
  lastgood set trip research.findings '["bad data"]'
  lastgood restore trip before-review
  lastgood history trip

The daemon is that of --data-dir or --address, of LASTGOOD_ADDRESS or LASTGOOD_DATA_DIR, or else that of
~/.local/state/lastgood; it is started where none runs. The options that all commands take may stand before the command, too.
Exit status: 0; 1 where the operation failed, with one line on stderr, which is JSON with --json; 2 for wrong usage."""

Version = Annotated[bool, typer.Option("--version", is_eager=True, show_default=False, help="Print the version.")]


def main(arguments: Sequence[str]) -> int:
    """Run a command line, and give its exit status."""
    app = typer.main.get_command(make_app(arguments[0] if arguments else ""))
    try:
        status = app.main(args=list(arguments), prog_name="lastgood", standalone_mode=False)
    except USAGE_ERRORS as error:
        if not wants_json(arguments):
            error.show()
            return error.exit_code
        return complain("lastgood", error.format_message(), error.exit_code, as_json=True)
    except OSError as error:  # of a help that cannot be written
        return complain_of_output("", error, as_json=wants_json(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return status if isinstance(status, int) else 0


def make_app(name: str = "") -> typer.Typer:
    """Put the program together; of a command only what that needs, since making all of them takes time."""
    app = typer.Typer(
        name="lastgood",
        help="Shared state for agents, with history, snapshots and rollback.",
        epilog=_EPILOG,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for module in [COMMANDS[name]] if name in COMMANDS else dict.fromkeys(COMMANDS.values()):
        importlib.import_module(f"lastgood.cli.{module}").register(app)
    return app


def _root(context: typer.Context, *, version: Version = False) -> None:
    if version:
        typer.echo(f"lastgood {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)
