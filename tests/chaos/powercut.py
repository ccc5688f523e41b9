"""A disk that forgets: under SQLite as a VFS, it knows of every file what has been synced and what has only been written.

The files themselves are real ones and show what a running process sees. Beside them the disk keeps, in memory, what is
durable, and every write, truncation, new name and deletion since then. When the power is cut, each of those survives or not,
whatever came before or after it, a write sector by sector; a sector that was being written may come out as zeros or noise.
Afterwards ``restart`` makes the files what is left of them.

What is not made worse than it is: what has been synced stays, bytes beside those that are written stay (SQLite is told so by
the real VFS, too), and the names in the folder are durable with the first sync of a journal or a WAL that has been opened,
because the real VFS syncs the folder then.

A call may also fail while the power stays on (``fault``). A write then gets half-way, and a sync leaves what it should have
saved to chance once and for all: the system does not try again, so a later sync that succeeds says nothing about it.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw

SECTOR = 512
WAL_INDEX_BYTES = 32 * 1024

_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_IO_ERRORS = {
    "create": apsw.SQLITE_CANTOPEN,
    "write": apsw.SQLITE_IOERR_WRITE,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "delete": apsw.SQLITE_IOERR_DELETE,
}
"""The calls that change something, and what SQLite's own VFS says when one fails."""


class Written(NamedTuple):
    """Bytes put somewhere; or, without bytes, a file cut or grown to that size."""

    offset: int
    data: bytes | None


class Inode:
    """A file without its name: what is durable of it, and what has been done to it since."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.pending: list[Written] = []

    def sync(self) -> None:
        for written in self.pending:
            _apply(self.durable, written)
        self.pending.clear()

    def tear(self, random: Random) -> None:
        """Have any part of what is not durable survive."""
        # Now and then all or nothing, so that what takes many survivors or few comes up, too.
        share = random.choice((0.0, 0.5, 0.9, 1.0, random.random()))
        for written in self.pending:
            for part in _sectors(written):
                if random.random() < share:
                    _apply(self.durable, part)
                elif part.data and random.random() < 0.05:
                    size = len(part.data)
                    _apply(self.durable, Written(part.offset, random.choice((bytes(size), random.randbytes(size)))))
        self.pending.clear()


def _apply(image: bytearray, written: Written) -> None:
    offset, data = written
    end = offset + len(data or b"")
    if len(image) < end:
        image.extend(bytes(end - len(image)))
    if data is None:
        del image[offset:]
    else:
        image[offset:end] = data


def _sectors(written: Written) -> list[Written]:
    offset, data = written
    if data is None:
        return [written]
    ends = [*range(offset - offset % SECTOR + SECTOR, offset + len(data), SECTOR), offset + len(data)]
    starts = [offset, *ends[:-1]]
    return [Written(start, data[start - offset : end - offset]) for start, end in zip(starts, ends, strict=True)]


class Disk(apsw.VFS):
    """The VFS of every file that is opened while it is installed. For the files of one folder."""

    def __init__(self, folder: Path, random: Random) -> None:
        """Install it."""
        self.folder = folder
        self.random = random
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.off = False
        self.calls = 0
        self.was_doing = "nothing"
        """What was being done when the power was cut."""
        self.cut_at = 0
        """The power goes in the midst of this call, counted since the last start; 0: it does not."""
        self.fault: Callable[[str], int] | None = None
        """Told of each call, says with which errno it fails; 0: it does not."""
        self.deaf = False
        """Whether a sync does nothing: what a test of durability has to notice."""
        self._errno = 0
        super().__init__("forgetful", "", makedefault=True)

    # What happens to it.

    def cut(self) -> None:
        """Cut the power: nothing that changes anything works from now on."""
        self.off = True

    def restart(self) -> None:
        """Go on with what is left. To be called when nobody has a file open any more."""
        for name in sorted({*self.names, *self.durable_names}):
            old, new = self.durable_names.get(name), self.names.get(name)
            left = old if old is not new and self.random.random() < 0.5 else new
            if left is None:
                self.durable_names.pop(name, None)
                Path(name).unlink(missing_ok=True)
            else:
                left.tear(self.random)
                self.durable_names[name] = left
                _fill(name, left.durable)
        self.names = dict(self.durable_names)
        for name in sorted(self.names):
            if name.endswith(".db") and self.random.random() < 0.5:
                # The index of the WAL is a file on this disk, too, and nobody ever syncs it.
                _fill(f"{name}-shm", self.random.randbytes(WAL_INDEX_BYTES))
        self.off, self.was_doing, self.calls, self.cut_at = False, "nothing", 0, 0

    def check(self, call: str, name: str) -> Exception | None:
        """Count a call that is going to change a file; gives what it fails with."""
        self.calls += 1
        if self.calls == self.cut_at:
            self.cut()
            self.was_doing = f"{call} {name.rpartition('.')[2].rpartition('-')[2]}"
        number = errno.EIO if self.off else self.fault(call) if self.fault else 0
        if not number:
            return None
        self._errno = number
        if number == errno.ENOSPC and call == "write":
            self._errno = 0  # as SQLite's own VFS has it
            return _error(apsw.FullError("database or disk is full"), apsw.SQLITE_FULL)
        kind = apsw.CantOpenError if call == "create" else apsw.IOError
        return _error(kind(f"{call} failed"), _IO_ERRORS[call])

    def inode(self, name: str) -> Inode:
        """Give what a name stands for; a file that was there before the disk was is durable."""
        if name not in self.names:
            self.names[name] = self.durable_names[name] = Inode(Path(name).read_bytes())
        return self.names[name]

    def make(self, name: str) -> Inode:
        """Make a file."""
        return self.names.setdefault(name, Inode())

    def sync_folder(self) -> None:
        """Make names durable as they are."""
        self.durable_names = dict(self.names)

    # What SQLite asks of it.

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:  # a temporary file
            return apsw.VFSFile("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        new = not Path(path).exists()
        if new and flags[0] & apsw.SQLITE_OPEN_CREATE and (error := self.check("create", path)):
            raise error
        opened = DiskFile("unix", name, flags)
        opened.disk, opened.path = self, path
        opened.syncs_folder = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _JOURNALS)
        opened.inode = self.make(path) if new else self.inode(path)
        return opened

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        was_off = self.off
        error = self.check("delete", filename)
        if error is None or (self.off and not was_off):
            self.names.pop(filename, None)
        if error and filename.endswith("-wal"):
            return  # SQLite does not mind: it stays, and is brought in at the next start. apsw would raise all the same
        if error:
            raise error
        super().xDelete(filename, syncdir)
        if syncdir:
            self.sync_folder()

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        return self._errno, ""

    def excepthook(self, *_: object) -> bool:
        """Say nothing of what SQLite does not tell its callers either."""
        return True


class DiskFile(apsw.VFSFile):
    """One opened file."""

    disk: Disk
    path: str
    inode: Inode
    syncs_folder: bool
    """Whether its first sync is still to come, with which SQLite's own VFS syncs the folder of a journal or WAL, too."""

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self.disk.fault and self.disk.fault("read"):
            raise _error(apsw.IOError("read failed"), apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self.disk.off:
            raise _gone()
        error = self.disk.check("write", self.path)
        if error and not self.disk.off:
            data = data[: len(data) // 2]
            super().xWrite(data, offset)
        self.inode.pending.append(Written(offset, data))
        if error:
            raise error
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        if self.disk.off:
            raise _gone()
        error = self.disk.check("truncate", self.path)
        if error is None or self.disk.off:
            self.inode.pending.append(Written(newsize, None))
        if error:
            raise error
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        if self.disk.off:
            raise _gone()
        error = self.disk.check("sync", self.path)
        if error and not self.disk.off:
            self.inode.tear(self.disk.random)
        if error:
            raise error
        if not self.disk.deaf:
            self.inode.sync()
            if self.syncs_folder:
                self.syncs_folder = False
                self.disk.sync_folder()

    def excepthook(self, *_: object) -> bool:
        """As for the disk."""
        return True


def _fill(name: str, content: bytes | bytearray) -> None:
    """Write a file over what is there: one that is emptied first goes to the real disk when it is closed."""
    file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(file, len(content))
        os.pwrite(file, content, 0)
    finally:
        os.close(file)


def _error(error: apsw.Error, code: int) -> apsw.Error:
    vars(error).update(result=code & 0xFF, extendedresult=code)  # apsw hands SQLite that
    return error


def _gone() -> apsw.Error:
    return _error(apsw.IOError("the power is off"), apsw.SQLITE_IOERR)
