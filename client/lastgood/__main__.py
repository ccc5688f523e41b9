"""The command ``lastgood``, also as ``python -m lastgood``."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lastgood.cli import programs
from lastgood.cli.words import in_order
from lastgood_proto import descriptors


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and give its exit status: 0, 1 (it failed) or 2 (usage)."""
    words = in_order(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in programs.PROGRAMS:
        return programs.run(words[0], words[1:])
    gc.disable()  # nothing of what is imported is garbage, and looking for it takes time
    try:
        from lastgood.cli import app  # noqa: PLC0415 - a client alone does not have what it needs

        gc.enable()
        return app.main(words)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        sys.stderr.write(f"lastgood: the command needs {missing}, which is not installed: pip install 'lastgood[cli]'\n")
        return 1


def run() -> NoReturn:
    """Run the command as a process, and end without taking the interpreter apart, a sixth of the time of a `get`."""
    descriptors.open_missing()
    status = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever read has gone
        status = status or 1
    os._exit(status)


if __name__ == "__main__":
    run()
