"""The command ``lastgood``, also as ``python -m lastgood``."""

import sys
from collections.abc import Sequence

from lastgood.cli import programs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and give its exit status: 0, 1 (it failed) or 2 (usage)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in programs.PROGRAMS:
        return programs.run(words[0], words[1:])
    try:
        from lastgood.cli import app  # noqa: PLC0415 - a client alone does not have what it needs

        return app.main(words)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        sys.stderr.write(f"lastgood: the command needs {missing}, which is not installed: pip install 'lastgood[cli]'\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
