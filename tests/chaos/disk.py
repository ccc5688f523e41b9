"""A disk whose power can be cut: ext4 in a file, on a loop device.

``cut`` is the ioctl that file systems are tested with. From that moment nothing more reaches the device, neither data that
lies in memory nor the journal of the file system; what an fsync has brought there stays. The next mount finds what a machine
finds after a power cut. Not tried by this: a device that loses what it said that it had flushed.
"""

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from tests.support.waiting import wait_until

_FS_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_THE_LOG = struct.pack("I", 2)
_BYTES = 1 << 30  # sparse: it takes what is written


class NotHereError(Exception):
    """This machine cannot do it; the message says what is missing."""


class LoopDisk:
    """A file system of its own, mounted at ``folder``; ``close`` leaves nothing behind, whatever it has come to."""

    def __init__(self, folder: Path) -> None:
        """Make it.

        Raises:
            NotHereError: that is not possible.
        """
        self.folder = folder
        self._device = ""
        if os.geteuid() != 0:
            message = "mounting takes root"
            raise NotHereError(message)
        for command in ("mkfs.ext4", "losetup", "mount", "umount"):
            if shutil.which(command) is None:
                message = f"there is no {command}"
                raise NotHereError(message)
        try:
            self._make(folder.with_name(f"{folder.name}.img"))
            self.cut()
            self.mount_again()
        except NotHereError:
            self.close()
            raise
        except OSError as error:
            self.close()
            message = f"no FS_IOC_SHUTDOWN for ext4: {error.strerror}"
            raise NotHereError(message) from error

    def cut(self) -> None:
        """Cut the power: nothing that is not on the device gets there any more."""
        opened = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(opened, _FS_IOC_SHUTDOWN, _WITHOUT_THE_LOG)
        finally:
            os.close(opened)

    def mount_again(self) -> None:
        """Have the power back. Nobody may have a file open there."""
        _run("umount", str(self.folder))
        self._mount()

    def close(self) -> None:
        """Take it away."""
        if os.path.ismount(self.folder):
            _run("umount", "--lazy", str(self.folder))
        if self._device:
            # The device is let go of with the last file that is open there.
            _run("losetup", "--detach", self._device)
            backing = Path("/sys/block", Path(self._device).name, "loop/backing_file")
            wait_until(lambda: not backing.exists())
            self._device = ""

    def _make(self, image: Path) -> None:
        with image.open("wb") as file:
            file.truncate(_BYTES)
        # Complete at once: no thread of the kernel writes tables later.
        _run("mkfs.ext4", "-q", "-N", "1024", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        self._device = _run("losetup", "--find", "--show", str(image)).strip()
        self.folder.mkdir()
        self._mount()

    def _mount(self) -> None:
        # The kernel is not to help by committing its journal every five seconds.
        _run("mount", "-t", "ext4", "-o", "commit=300", self._device, str(self.folder))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        why, _, _ = done.stderr.strip().partition("\n")
        message = f"{command[0]} failed: {why}"
        raise NotHereError(message)
    return done.stdout
