"""The beginning of a line whose end has not come yet.

A line may hold the whole content of a state. While its sender takes its time, or never goes on, only a little of it is in
memory: the rest is in a file without a name, which is gone with the daemon.
"""

import errno
import tempfile
from pathlib import Path

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.engine.errors import TooLargeError
from lastgood_proto.values import MAX_BYTES

IN_MEMORY = 256 * 1024
"""Bytes of an unfinished line that are kept in memory."""
MAX_LINE = 8 * MAX_BYTES


class UnfinishedLine:
    """See the module. Its methods may wait for the disk."""

    def __init__(self, folder: Path | None) -> None:
        """Begin an empty line; what is large goes into that folder, or to where temporary files go."""
        self._folder = None if folder is None else str(folder)
        self._size = 0
        self._file = self._empty()

    def _empty(self) -> "tempfile.SpooledTemporaryFile[bytes]":
        return tempfile.SpooledTemporaryFile(IN_MEMORY, dir=self._folder)

    def add(self, data: bytes) -> None:
        """Go on with the line.

        Raises:
            RefusedError: it is too large, for the format or for the disk.
        """
        self._size += len(data)
        if self._size > MAX_LINE:
            what = "a line of the export"
            raise TooLargeError(what, self._size, MAX_LINE)
        try:
            self._file.write(data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            text = "the disk has no room for an unfinished line; nothing of the import is left, try again when there is room"
            raise Refused("OVERLOADED", text).error() from error

    def ended(self, data: bytes) -> bytes:
        """End the line, give all of it, and begin the next one."""
        self.add(data)
        self._file.seek(0)
        line = self._file.read()
        if self._size > IN_MEMORY:
            self._file.close()
            self._file = self._empty()
        else:
            self._file.seek(0)
            self._file.truncate()
        self._size = 0
        return line

    def close(self) -> None:
        """Let go of what is there."""
        self._file.close()
