"""Files of a data folder, opened only where the user, or root for a service, has made them.

Somebody else's folder may lead to somebody else's daemon, which would be told the token; a link in it, symbolic or hard, may
lead to a file that a client would write into, and opening a FIFO may wait forever.
"""

import os
import stat
from pathlib import Path

from lastgood.errors import DaemonUnavailableError


def open_own(path: Path, flags: int) -> int:
    """Open a regular file of the user without following a link or waiting; return its descriptor.

    Raises:
        DaemonUnavailableError: it is something else, has a second name, or belongs to another user.
        OSError: it cannot be opened.
    """
    if path.is_symlink():
        text = f"{path} is a symbolic link, which is not followed: somebody else may have put it there. Remove it"
        raise DaemonUnavailableError(text)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        _check_owner(path, os.fstat(descriptor))
        _check_kind(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_own(path: Path) -> bytes:
    """Read a file under the conditions of ``open_own``."""
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        return file.read()


def check_own_folder(folder: Path) -> None:
    """Check that what is at a folder's path, where there is something, is a folder of the user or of root alone.

    Raises:
        DaemonUnavailableError: it is not, is shared between users, or cannot be looked at.
    """
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        text = f"the data folder {folder} cannot be looked into ({error.strerror}); name another one"
        raise DaemonUnavailableError(text) from error
    if not stat.S_ISDIR(found.st_mode):
        text = f"{folder} is not a folder; name another data folder"
        raise DaemonUnavailableError(text)
    _check_owner(folder, found)
    if found.st_mode & stat.S_ISVTX:  # no daemon would serve it, and nothing is to be left in it
        text = f"{folder} is shared between users, like /tmp. Name a folder within it"
        raise DaemonUnavailableError(text)


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing, and what is missing above it, for nobody but the user (0700).

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(0o700)  # whatever the umask


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        text = (
            f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}: a client trusts only a data folder of "
            "its own user or of root. To use somebody else's daemon, name its address"
        )
        raise DaemonUnavailableError(text)


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        text = f"{path} is not a regular file: somebody else may have put it there. Remove it"
        raise DaemonUnavailableError(text)
    if found.st_nlink > 1:
        text = f"{path} has {found.st_nlink} names (hard links), and another of them may be anything. Remove this one"
        raise DaemonUnavailableError(text)
