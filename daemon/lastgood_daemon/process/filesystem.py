"""Whether a folder can be used as a data folder: whose it is, who may write there, and what file system it is on."""

import errno
import os
import re
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from lastgood_proto.system_errors import in_words

_NETWORK_FILESYSTEMS = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs",
    "pvfs2", "smb3", "smbfs",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mfs",
    "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs", "fuse.weed",
})  # fmt: skip
"""File systems on which two machines can meet, where neither flock nor the shared memory of the WAL does.

9p and virtiofs are not among them: they are how virtual machines, gVisor and WSL see a disk of their own host. Whatever
the name, the lock is tried out when it is taken (``lock.py``).
"""


class FolderRefusedError(Exception):
    """The folder cannot be used as a data folder; the message says why and what to do."""


def make_folder(path: Path) -> list[Path]:
    """Make the folder where it is missing, and what is missing above it (0700). One that is there stays as it is.

    Returns:
        what was made, the folder first.

    Raises:
        FolderRefusedError: it cannot be made, or is not our own.
    """
    try:
        made = _made(path)
    except OSError as error:
        message = f"the data folder cannot be made: {in_words(error, path)}"
        raise FolderRefusedError(message) from error
    if made:
        return made
    if not path.is_dir():
        message = f"{path} is not a folder. Name another data folder"
        raise FolderRefusedError(message)
    found = path.stat()
    if found.st_uid != os.geteuid():
        message = (
            f"{path} belongs to user {found.st_uid}, and this daemon runs as user {os.geteuid()}. "
            "Run it as the owner, or name another data folder"
        )
        raise FolderRefusedError(message)
    if found.st_mode & stat.S_ISVTX:
        message = f"{path} is shared between users, like /tmp. Name a folder within it"
        raise FolderRefusedError(message)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        message = (
            f"{path} may not be written to. Make it writable (chmod u+rwx {shlex.quote(str(path))}), or name another data "
            f"folder. To look at what is there: lastgood verify --data-dir {shlex.quote(str(path))}"
        )
        raise FolderRefusedError(message)
    return []


def keep_others_out(path: Path) -> None:
    """Let only the owner write to the folder: whoever may write to it may replace what is in it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        path.chmod(mode & ~0o022)


def _made(path: Path) -> list[Path]:
    """Make a folder, and those above it; return those that were missing, the lowest first."""
    above = [] if path.parent.is_dir() else _made(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return above
    path.chmod(0o700)  # whatever the umask
    sync_folder(path.parent)
    return [path, *above]


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot, and need not
            raise
    finally:
        os.close(descriptor)


def mounts_of_this_machine() -> list[bytes]:
    """Return what is mounted where, as Linux lists it; nothing on other systems."""
    try:
        return Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []


def refuse_network(folder: Path, mounts: Iterable[bytes]) -> None:
    """Raise FolderRefusedError for a folder on a network file system.

    The mount that it is on is the one with the longest mount point above it, of equal ones the last.
    """
    best = ""
    kind = ""
    for line in mounts:
        place, _, source = line.partition(b" - ")
        escaped = place.split(b" ")[4]  # a space is \\040
        mounted_at = os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped))
        if len(mounted_at) >= len(best) and folder.is_relative_to(mounted_at):
            best, kind = mounted_at, source.split(b" ")[0].decode()
    if kind in _NETWORK_FILESYSTEMS:
        message = (
            f"{folder} is on a network file system ({kind} at {best}), where the lock that keeps a second daemon out "
            "and the shared memory of the database cannot be relied on. Name a data folder on a local disk"
        )
        raise FolderRefusedError(message)
