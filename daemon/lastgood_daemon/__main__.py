"""``python -m lastgood_daemon``: how a client starts a daemon (``serve``), or reads a folder that has none (``verify``).

People type ``lastgood serve`` and ``lastgood verify``.
"""

import importlib
import os
import sys

from lastgood_proto import descriptors

_COMMANDS = {"serve": "lastgood_daemon.start", "verify": "lastgood_daemon.process.verify"}


def main() -> int:
    """Do what is said; gives the exit status."""
    descriptors.open_missing()
    command, *flags = sys.argv[1:] or [""]
    if command not in _COMMANDS:
        sys.stderr.write(f"usage: python -m lastgood_daemon {{{'|'.join(_COMMANDS)}}} [FLAGS]\n")
        return 2
    try:
        module = importlib.import_module(_COMMANDS[command])  # here, to say what is missing
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"lastgood: the daemon needs {error.name}, which is not installed: pip install 'lastgood[daemon]'\n"
        )
        return 1
    status: int = module.main(flags)
    try:
        sys.stderr.flush()
    except OSError:  # its disk is full; what could not be said would also take the place of the status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return status


if __name__ == "__main__":
    sys.exit(main())
