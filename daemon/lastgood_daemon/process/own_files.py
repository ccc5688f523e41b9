"""Files of a data folder, opened only where they are ours: never through a link of either kind, never waiting for a FIFO."""

import os
import stat
from pathlib import Path


class ForeignPathError(Exception):
    """A path leads to what is not a regular file of this user; the message says what to do."""


def open_own(path: Path, flags: int) -> int:
    """Open a regular file of the user, or of root, that has no second name; return its descriptor.

    Raises:
        ForeignPathError: it is something else.
        OSError: it cannot be opened.
    """
    if path.is_symlink():
        message = f"{path} is a symbolic link, which is not followed. Remove it"
        raise ForeignPathError(message)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    found = os.fstat(descriptor)
    if not (stat.S_ISREG(found.st_mode) and found.st_uid in {0, os.geteuid()}):
        message = f"{path} is not a regular file of user {os.geteuid()}. Remove it"
    elif found.st_nlink > 1:
        message = f"{path} has {found.st_nlink} names (hard links), and another of them may be anything. Remove this one"
    else:
        return descriptor
    os.close(descriptor)
    raise ForeignPathError(message)


def read_own(path: Path) -> bytes:
    """Read a file under the conditions of ``open_own``."""
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        return file.read()
