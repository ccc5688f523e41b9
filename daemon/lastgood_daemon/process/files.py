"""Which file it is, whatever its name: by device and inode, so that nothing of another process is taken for one's own.

An inode is used again when the file is gone. So whoever compares one keeps the file open.
"""

import os
from pathlib import Path
from typing import NamedTuple, Self


class Identity(NamedTuple):
    """What tells a file from every other one that exists at the same time."""

    device: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return that of a file of which this is known."""
        return cls(found.st_dev, found.st_ino)


def identity_of(path: Path) -> Identity | None:
    """Return which file has a name; None where there is none."""
    try:
        return Identity.of(path.lstat())
    except OSError:
        return None


def remove(path: Path, identity: Identity) -> None:
    """Remove a name, if it is still that of this file."""
    if identity_of(path) == identity:
        path.unlink(missing_ok=True)


class HeldOpen:
    """A file that is kept open, so that no other one becomes like it."""

    def __init__(self, descriptor: int, identity: Identity | None = None) -> None:
        """Keep this descriptor until ``close``; with an identity and -1, nothing but that is known of the file."""
        self._descriptor = descriptor
        self.identity = identity or Identity.of(os.fstat(descriptor))

    @classmethod
    def socket(cls, path: Path) -> Self:
        """Keep a socket. Only Linux can open one; elsewhere its name alone has to keep it."""
        flag = getattr(os, "O_PATH", None)
        return cls(-1, Identity.of(path.lstat())) if flag is None else cls(os.open(path, flag | os.O_NOFOLLOW))

    def is_at(self, path: Path) -> bool:
        """Whether it still has that name."""
        return identity_of(path) == self.identity

    def remove(self, path: Path) -> None:
        """Remove the name, if it still has that, and let go of it."""
        remove(path, self.identity)
        self.close()

    def close(self) -> None:
        """Let go of it. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
