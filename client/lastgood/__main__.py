"""The command ``lastgood``, also as ``python -m lastgood``.

The daemon and the demo are looked up when they are asked for: a client alone can do without either.
"""

import importlib
import sys
from collections.abc import Callable, Sequence

_USAGE = """\
usage: lastgood serve --data-dir DIR [--address ADDRESS]
       lastgood demo

serve   run the daemon of a folder, until it is told to end
demo    show a rollback to the last good checkpoint, with real processes
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and give its exit status: 0, 1 (it failed) or 2 (usage)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    match words:
        case ["serve", *rest]:
            return _run("lastgood_daemon.process.main", rest, "the daemon")
        case ["demo", *rest]:
            return _run("lastgood.demo", rest, "the demo")
        case ["-h" | "--help"]:
            sys.stdout.write(_USAGE)
            return 0
        case _:
            sys.stderr.write(_USAGE)
            return 2


def _run(module: str, arguments: list[str], what: str) -> int:
    try:
        run: Callable[[list[str]], int | None] = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        sys.stderr.write(f"lastgood: {what} needs {error.name}, which is not installed: pip install 'lastgood[daemon]'\n")
        return 1
    return run(arguments) or 0


if __name__ == "__main__":
    sys.exit(main())
