"""What all commands have in common: the common options, the event loop, errors and the exit status.

A command is a coroutine function. Its first parameter is what the common options say (``Given``), the others are its own
arguments and options; it gives the exit status, None being 0. ::

    @command(app, "get", example="lastgood get trip research.findings", document='{"state": …}')
    async def get(given: Given, state: StateId, …) -> int | None:
"""

import asyncio
import inspect
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, cast

import typer
from typer.core import TyperCommand

from lastgood.cli.failures import FailedError, WrongUsageError
from lastgood.cli.options import Given
from lastgood.cli.terminal import plain
from lastgood.errors import InternalError, InvalidArgumentError, InvalidValueError, LastgoodError
from lastgood.remedies import hint

USAGE_ERRORS = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""What typer raises where a command line makes no sense; it has no public name for that."""
FAILED = 1
USAGE = 2
INTERRUPTED = 130
_REASONS = {FAILED: "FAILED", USAGE: "USAGE", INTERRUPTED: "INTERRUPTED"}

_P = ParamSpec("_P")
_Body = Callable[Concatenate[Given, _P], Coroutine[Any, Any, int | None]]


def command(
    app: typer.Typer, name: str, *, example: str, document: str, notes: str = "", numbers: bool = False
) -> Callable[[_Body[_P]], _Body[_P]]:
    """Make a coroutine function a command.

    Args:
        app: of which program, or of which group of one.
        name: its name, after that of its group.
        example: a command line, or several.
        document: what ``--json`` prints.
        notes: what else there is to know, after the options.
        numbers: whether ``-5`` is an argument and no option.
    """

    def register(body: _Body[_P]) -> _Body[_P]:
        common = inspect.signature(Given).parameters
        own = list(inspect.signature(body).parameters.values())[1:]

        def run(**values: Any) -> None:  # noqa: ANN401 - as the command line has them
            given = Given(**{each: values.pop(each) for each in common})
            status = run_safely(
                name,
                lambda: asyncio.run(body(given, **values)),  # type: ignore[call-arg]  # by its signature
                as_json=given.json,
            )
            raise typer.Exit(status)

        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *common.values())]
        run.__doc__ = inspect.getdoc(body)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        kind = _WithNumbers if numbers else TyperCommand
        app.command(name.rsplit(maxsplit=1)[-1], cls=kind, epilog=_epilog(example, document, notes))(run)
        return body

    return register


class _WithNumbers(TyperCommand):
    """A command of which ``-5`` is an argument, and no option."""

    ignore_unknown_options = True

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own context
        """Refuse mistyped options, which would be arguments otherwise."""
        known = {name for each in self.get_params(ctx) for name in each.opts}
        for each in itertools.takewhile("--".__ne__, args):
            if each.startswith("--") and each.partition("=")[0] not in known:
                ctx.fail(f"No such option: {each}")
        return super().parse_args(ctx, args)


def run_safely(name: str, run: Callable[[], int | None], *, as_json: bool = False) -> int:
    """Run something; what goes wrong is said in one line, and becomes the exit status."""
    done = False
    try:
        status = run() or 0
        done = True
        sys.stdout.flush()  # what cannot be written is noticed here
    except (FailedError, WrongUsageError, LastgoodError) as error:
        status = USAGE if _is_usage(error) else FAILED
        return complain(name, f"{error}{hint(error)}", status, as_json=as_json, error=error)
    except OSError as error:
        return complain_of_output(name, error, as_json=as_json, done=done)
    except KeyboardInterrupt:
        return complain(name, "interrupted", INTERRUPTED, as_json=as_json)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001 - nobody is to see a traceback who has not asked for it
        if os.environ.get("LASTGOOD_DEBUG"):
            traceback.print_exc()
        kind = type(error).__name__
        text = f"a fault of lastgood itself: {kind}: {error} (LASTGOOD_DEBUG=1 shows where)"
        return complain(name, text, FAILED, as_json=as_json, error=error)
    return status


def complain_of_output(name: str, error: OSError, *, as_json: bool = False, done: bool = False) -> int:
    """Say that standard output could not be written, drop what is left of it, and return the status.

    Args:
        name: of the command.
        error: what the system says; it is another failure where it names a file.
        as_json: as ``complain`` has it.
        done: whether all but the output is done.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return FAILED  # the reader has gone, and need not be told
    text = str(error)
    if error.filename is None:
        text = f"standard output could not be written: {error.strerror or error}"
        text += "; the command itself is done, do not repeat it for that" if done else ""
    return complain(name, text, FAILED, as_json=as_json, error=error)


def complain(name: str, why: str, status: int, *, as_json: bool = False, error: Exception | None = None) -> int:
    """Say on standard error, in one line, what is wrong, and return the status.

    Args:
        name: of the command.
        why: the text.
        status: the exit status.
        as_json: as ``{"error": {"reason", "message", …}}``, with the attributes of the error.
        error: what it is about, where it is an error of the client.
    """
    text = " ".join(why.split())
    if as_json:
        sys.stderr.write(json.dumps({"error": _document(text, status, error)}) + "\n")
    else:
        sys.stderr.write(f"{f'lastgood {name}'.strip()}: {plain(text)}\n")
    return status


def _document(text: str, status: int, error: Exception | None) -> dict[str, object]:
    if not isinstance(error, LastgoodError):
        reason = _own_reason(status, error)
        return {"reason": reason, "message": text}
    simple = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float)}
    return {**simple, "reason": error.reason, "message": text}


def _own_reason(status: int, error: Exception | None) -> str:
    if isinstance(error, FailedError):
        return error.reason
    ours = error is None or isinstance(error, WrongUsageError | OSError)
    return _REASONS.get(status, "FAILED") if ours else InternalError.reason


def _is_usage(error: Exception) -> bool:
    return isinstance(error, (WrongUsageError, InvalidArgumentError, InvalidValueError))


def _epilog(example: str, document: str, notes: str) -> str:
    """The end of the help, the lines as they are."""
    label = "Examples" if "\n" in example.strip() else "Example"
    parts = [*notes.split("\n\n"), f"{label}:\n{_indented(example)}", f"--json prints:\n{_indented(document)}"]
    return "\n\n".join(f"\b\n{part}" for part in parts if part)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in inspect.cleandoc(text).splitlines())
