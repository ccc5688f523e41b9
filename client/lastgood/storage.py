"""A folder, standing for the daemon that owns it."""

import os
from pathlib import Path

from lastgood.locate import Location, absolute_folder
from lastgood.transport.connection import Connection
from lastgood.transport.registry import shared_connection


class FileCheckpointStorage:
    """The daemon that owns a folder, which is started where none runs.

    Everything in this event loop that names the same folder shares one connection. ``lastgood.connect(data_dir=…)`` gives
    a client of the same daemon with a connection of its own.

    Args:
        path: the folder. A relative one is taken from the present working folder, now.

    Raises:
        InvalidArgumentError: it is no path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._location = Location(absolute_folder(path))

    @property
    def path(self) -> Path:
        """The folder, as an absolute path."""
        return Path(self._location.target)

    def __repr__(self) -> str:
        """For people."""
        return f"FileCheckpointStorage({self._location.target!r})"

    def _connection(self) -> Connection:
        return shared_connection(self._location)
