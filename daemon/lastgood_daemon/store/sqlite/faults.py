"""Telling a full disk, after which one goes on, from a broken store, after which one must not.

=======================================================  ==========================================================
SQLite says                                              which means
=======================================================  ==========================================================
FULL; IOERR_WRITE with errno ENOSPC, EDQUOT or EFBIG     full: no commit frame reached the WAL, nothing was written
any other I/O error                                      broken: the commit may or may not be there after a restart
                                                         (a failed fsync is not "not written"; IOERR_SHMSIZE, even
                                                         with ENOSPC, comes *after* the fsync of the commit; while a
                                                         file is opened, nothing was written: full, too)
CORRUPT, NOTADB, IOERR_READ, IOERR_SHORT_READ and such   damaged: a page cannot be read. That touches what lies on it, and
                                                         nothing else, so it does not break the store (``lane``)
CANTOPEN, READONLY, PROTOCOL, INTERNAL                   broken: the file is not what it was
CONSTRAINT                                               broken: the file contradicts itself (a head below its rows)
BUSY, LOCKED                                             broken: somebody else writes into the file
=======================================================  ==========================================================

Everything else (a value that cannot be stored, a mistake in a statement) is a mistake of ours and stays what it is.
"""

import errno
import os
import struct
from pathlib import Path

import apsw

from lastgood_daemon.store.protocol import StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite.errors import DamagedFileError, ReadOnlyError, StoreOpenError
from lastgood_proto.system_errors import NO_ROOM

_MEND = "See what is wrong with its disk, and start again"
_FREE = "Free some space there, and start again; nothing is lost"
_PIECE = 1024 * 1024
_HEADER = struct.Struct(">16xH10xI")
"""Of a file of SQLite: the size of its pages, and how many there are."""

_BROKEN = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.InternalError,
    apsw.ConstraintError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.PermissionsError,
    apsw.NoLFSError,
)


_UNREADABLE = frozenset(
    {
        apsw.SQLITE_IOERR_READ,
        apsw.SQLITE_IOERR_SHORT_READ,
        apsw.SQLITE_IOERR_CORRUPTFS,
        apsw.SQLITE_IOERR_DATA,
    }
)


def is_damaged_page(error: BaseException) -> bool:
    """Whether an error of SQLite says no more than that a page cannot be read."""
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return True
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _UNREADABLE


def translated(error: BaseException, connection: apsw.Connection | None) -> BaseException:
    """What an error of SQLite is to the callers of the store; any other error comes back as it is."""
    if isinstance(error, apsw.FullError):
        return StoreFullError("there is no room left for the database: free some space on its disk, and go on")
    if not isinstance(error, _BROKEN):
        return error
    code = getattr(error, "extendedresult", 0)
    number = connection.system_errno if connection and isinstance(error, apsw.IOError) else 0
    if code == apsw.SQLITE_IOERR_WRITE and number in NO_ROOM:
        return StoreFullError(f"{errno.errorcode[number]}: there is no room left for the database")
    system = f", errno {errno.errorcode.get(number, number)}" if number else ""
    return StoreBrokenError(f"the storage failed underneath: {type(error).__name__}: {error} (SQLite code {code}{system})")


def refused(error: BaseException, connection: apsw.Connection | None, path: Path) -> BaseException:
    """What an error of SQLite says of a file that cannot be opened; any other error comes back as it is.

    It may be read for that, which lets go of the locks that this process has on it: not for one that is being served.
    """
    if isinstance(error, apsw.CorruptError):
        return _damaged(path)
    if isinstance(error, apsw.ReadOnlyError) or (isinstance(error, apsw.CantOpenError) and not _may_be_written(path)):
        return ReadOnlyError(path)
    number = connection.system_errno if connection and isinstance(error, (apsw.IOError, apsw.CantOpenError)) else 0
    if isinstance(error, apsw.FullError) or number in NO_ROOM:
        return StoreFullError(f"there is no room left on the disk of {path.parent} to start a daemon. {_FREE}")
    if isinstance(error, apsw.BusyError):
        return StoreBrokenError(f"another program keeps {path} locked. End it, and start again")
    if isinstance(error, _BROKEN):
        why = f"{os.strerror(number).lower()} ({errno.errorcode.get(number, number)})" if number else str(error)
        return StoreBrokenError(f"{path} cannot be opened: {why}. {_MEND}")
    return error


def _may_be_written(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=True)


def _damaged(path: Path) -> StoreOpenError | StoreBrokenError:
    """Say what is wrong with a file that SQLite finds malformed."""
    try:
        return DamagedFileError(path, _malformed(path))
    except OSError as failed:
        why = errno.errorcode.get(failed.errno or 0, str(failed))
        return StoreBrokenError(f"{path} cannot be opened: reading it fails ({why}). {_MEND}")


def _malformed(path: Path) -> str:
    """Tell a file that was cut short, as its header shows, from whatever else SQLite calls malformed.

    Raises:
        OSError: it cannot be read, which SQLite calls malformed, too.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        header, size = os.pread(descriptor, _HEADER.size, 0), 0
        while piece := os.pread(descriptor, _PIECE, size):
            size += len(piece)
    finally:
        os.close(descriptor)
    if len(header) < _HEADER.size:
        return f"it was cut short, to {size:,} bytes"
    page_size, pages = _HEADER.unpack(header)
    if size < page_size * pages:
        return f"it was cut short, to {size:,} of {page_size * pages:,} bytes"
    return "SQLite finds it malformed"
