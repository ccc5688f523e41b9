"""Where a daemon is reached: ``endpoint.json`` in the folder that it owns, which only the owner of the folder can read.

It names the folder by device and inode, because a copied folder holds a copy of this file, too, and that must lead nobody to
the daemon of the original. And it holds a secret of this life of the daemon, by which whoever answers at the address shows
that it wrote the file (``lastgood_proto/proof.py``): an address may have been left behind, and be another's by now.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lastgood_daemon.process.files import HeldOpen
from lastgood_daemon.process.own_files import ForeignPathError, read_own

ENDPOINT = "endpoint.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a daemon is reached."""

    address: str
    """``unix:/path`` or ``host:port``."""
    pid: int
    daemon_id: str
    version: str
    autostarted: bool
    secret: str = field(default="", repr=False)
    """In hexadecimal digits."""


class EndpointFile:
    """The file of a folder that this process owns."""

    def __init__(self, folder: Path) -> None:
        """Remove what a daemon that was killed has left."""
        self.path = folder / ENDPOINT
        self._folder = folder
        self._published: Endpoint | None = None
        self._content = b""
        self._written: HeldOpen | None = None
        self.path.unlink(missing_ok=True)

    def publish(self, endpoint: Endpoint) -> None:
        """Write it. To be called when the daemon is reached there: who reads it connects at once."""
        place = self._folder.stat()
        self._content = json.dumps({**asdict(endpoint), "device": place.st_dev, "inode": place.st_ino}).encode()
        new = self.path.with_name(f"{ENDPOINT}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        if self._written is not None:
            self._written.close()
        self._written = HeldOpen(descriptor)
        os.write(descriptor, self._content)
        new.replace(self.path)
        self._published = endpoint

    def look(self) -> bool:
        """Put the file back where it has been removed or changed, and tell whether it had been."""
        if self._published is None or self._is_whole():
            return False
        self.publish(self._published)
        return True

    def withdraw(self) -> None:
        """Take back what was published: no new client is to come. Idempotent."""
        if self._written is not None:
            self._written.remove(self.path)
        self._written = self._published = None

    def _is_whole(self) -> bool:
        try:
            return self._written is not None and self._written.is_at(self.path) and self.path.read_bytes() == self._content
        except OSError:
            return False


def read_endpoint(folder: Path) -> Endpoint | None:
    """Return what the daemon of a folder says; None where none says so, or where it says so of another folder."""
    try:
        content = json.loads(read_own(folder / ENDPOINT))
        place = folder.stat()
        if (content["device"], content["inode"]) != (place.st_dev, place.st_ino):
            return None
        return Endpoint(
            address=str(content["address"]),
            pid=int(content["pid"]),
            daemon_id=str(content["daemon_id"]),
            version=str(content["version"]),
            autostarted=bool(content["autostarted"]),
            secret=str(content["secret"]),
        )
    except (OSError, ForeignPathError, ValueError, KeyError, TypeError):
        return None
