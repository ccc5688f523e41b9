"""The standard descriptors of a process, which may have been started without some of them (``lastgood set … 2>&-``).

The next file or socket that such a process opens gets the number: and what it prints lands in the database, or in a
connection. So both programs fill the gaps before they open anything.
"""

import os
import sys
from errno import EBADF


def open_missing() -> None:
    """Open ``/dev/null`` for each of stdin, stdout and stderr that is closed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if _is_closed(number):
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            os.set_inheritable(opened, True)  # noqa: FBT003 - its only parameter; children expect all three
        if getattr(sys, name) is None:  # Python has found it closed at its start
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115, PTH123 - stays open


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError as error:
        return error.errno == EBADF
    return False
