"""The data folder: who owns it, what lies where in it, and how others find its daemon.

::

    <folder>/daemon.lock     flock of the daemon that owns the folder, and its process id; stays there (lock.py)
    <folder>/endpoint.json   where that daemon is reached; there from binding to closing (endpoint.py)
    <folder>/daemon.sock     its socket (or in a private folder elsewhere, where this path does not fit one; sockets.py)
    <folder>/lastgood.db     the database, with lastgood.db-wal and -shm beside it, and -id, which tells it from a copy
    <folder>/lastgood.db-backup   there while a backup is made: says where
    <folder>/daemon.log      what a daemon that a client has started has to say
    <folder>/managed-by-service   there where a service has run the daemon: clients start none

The lock comes before everything else that is done in the folder: two daemons on one database would each believe their own
memory. What a killed daemon left behind is removed by the next, under the lock. What is missing while the daemon runs is
noticed by ``look``, and put back where that helps.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from lastgood_daemon.process.endpoint import Endpoint, EndpointFile
from lastgood_daemon.process.files import HeldOpen
from lastgood_daemon.process.filesystem import (
    FolderRefusedError,
    keep_others_out,
    make_folder,
    mounts_of_this_machine,
    refuse_network,
)
from lastgood_daemon.process.lock import LOCK, FolderInUseError, FolderLock, FolderLostError
from lastgood_daemon.process.own_files import ForeignPathError, open_own
from lastgood_daemon.process.sockets import SOCKET, SocketFile, answers, remove_private, socket_path

DATABASE = "lastgood.db"
"""What the database is called in its folder."""


class DataFolder:
    """A data folder that this process owns, until ``close`` or its end."""

    def __init__(self, path: Path | str) -> None:
        """Make the folder where it is missing (0700), and take its lock.

        Raises:
            FolderInUseError: another daemon has it.
            FolderRefusedError: it cannot be used safely.
        """
        self.path = Path(path).absolute().resolve()
        refuse_network(self.path, mounts_of_this_machine())
        self._made = make_folder(self.path)
        self._served = False
        self._lock = FolderLock(self.path)
        try:
            self._socket: SocketFile | None = None
            self._refuse_other_daemon()
            self._opened = HeldOpen(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY))
            self._endpoint = EndpointFile(self.path)
        except BaseException:
            self._leave()
            raise

    @property
    def database(self) -> Path:
        """Where the database is."""
        return self.path / DATABASE

    @property
    def log(self) -> Path:
        """Where an autostarted daemon logs to."""
        return self.path / "daemon.log"

    @property
    def endpoint(self) -> Path:
        """Where the endpoint is published."""
        return self._endpoint.path

    def socket(self, path: Path | None = None) -> SocketFile:
        """Return the socket to listen at: the folder's own, or one that is to be at a path elsewhere.

        Raises:
            FolderRefusedError: there is no place for one, or what is there is not a socket.
            SocketTakenError: another process listens there.
        """
        if self._socket is None:
            self._socket = SocketFile(path or socket_path(self.path))
        self._socket.refuse_taken()
        return self._socket

    def mark_as_service(self) -> None:
        """Keep clients from starting a daemon here, also while the service is down: it has its own user and limits."""
        try:
            os.close(open_own(self.path / "managed-by-service", os.O_WRONLY | os.O_CREAT))
        except ForeignPathError as error:
            raise FolderRefusedError(str(error)) from error

    def publish(self, endpoint: Endpoint) -> None:
        """Tell where the daemon is reached. To be called once it is: who reads it connects at once."""
        keep_others_out(self.path)
        self._served = True
        self._endpoint.publish(endpoint)

    def look(self) -> list[str]:
        """Put back what has been removed of lock and endpoint; return the names of what was missing.

        Raises:
            FolderLostError: the folder itself, or its lock, is no longer ours.
        """
        if not self._opened.is_at(self.path):
            message = f"the folder {self.path} was removed, renamed or replaced while this daemon served it"
            raise FolderLostError(message)
        missing = []
        if self._lock.look():
            missing.append(LOCK)
        if self._endpoint.look():
            missing.append(self.endpoint.name)
        return missing

    def withdraw(self) -> None:
        """Take back what was published: nobody new is to come. Idempotent."""
        self._endpoint.withdraw()

    def close(self) -> None:
        """Withdraw, remove the socket, let go of the folder. Idempotent. The last thing that a daemon does with it."""
        if not self._lock.is_open:
            return
        self.withdraw()
        if self._socket is not None:
            self._socket.remove()
            remove_private(self._socket.path.parent)
        self._opened.close()
        self._leave()

    def __enter__(self) -> Self:
        """Nothing more: the lock is taken by making the object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _leave(self) -> None:
        """Let go of the lock. A folder that could not be served is as it was before."""
        self._lock.close(unused=not self._served)
        if not self._served:
            with suppress(OSError):  # something is in it, which is not ours to remove
                for made in self._made:
                    made.rmdir()

    def _refuse_other_daemon(self) -> None:
        """Raise FolderInUseError where a daemon answers that has lost its lock because the file was removed."""
        path = self.path / SOCKET
        if answers(path):
            raise FolderInUseError(self.path, None, f"unix:{path}")
