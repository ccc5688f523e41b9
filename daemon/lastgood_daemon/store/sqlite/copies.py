"""Telling a store from its copies: one made by ``cp``, a backup, and what it was before one was put in its place.

A copy of the database has all that is in it, so what tells them apart lies outside: a small file beside it, the mark, that
is made anew each time the database is opened. The database notes which file that is (inode and generation, by which file
systems tell apart files that had the same inode one after the other) and what is in it (a nonce). ::

    cp of the whole folder                  another file, whatever its inode
    an earlier state of the database alone  it notes the mark of an earlier opening
    cp of the database alone                no mark at all

The device is not noted: it may be another one after a reboot. A file moved within its file system keeps what is noted.

The database says which nonce is next, then the mark is made, then the database notes it; a crash in between leaves either
the mark that was noted, or one with that nonce.
"""

import fcntl
import os
import secrets
import struct
import uuid
from contextlib import suppress
from pathlib import Path

import apsw

from lastgood_daemon.store.protocol import StoreFullError
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite import schema
from lastgood_daemon.store.sqlite.errors import ForeignWalError, LostFileError, LostWritesError, StoreOpenError
from lastgood_daemon.store.sqlite.faults import refused, translated
from lastgood_daemon.store.sqlite.marks import Found, Mark, mark_of, read
from lastgood_proto.system_errors import NO_ROOM

_FS_IOC_GETVERSION = 0x80087601


def refuse_foreign_wal(path: Path) -> None:
    """Raise ForeignWalError where what is in the WAL is of another database than the one that it is beside.

    SQLite would bring it in all the same. To be called before the database is opened; what cannot be told is let pass.
    """
    wal = path.with_name(f"{path.name}-wal")
    mark = _look(path)[0]
    if mark.base is None or not path.exists() or not wal.exists() or not wal.stat().st_size:
        return
    if noted_alone(path) not in {None, mark.nonce, mark.base}:
        raise ForeignWalError(path)


def refuse_emptied(path: Path) -> None:
    """Raise LostFileError for a database without tables that something beside it says was filled."""
    if _look(path)[0].nonce:
        raise LostFileError(path, "is empty", [mark_of(path)])


def refuse_lost_writes(connection: apsw.Connection, path: Path, identity: schema.Identity) -> None:
    """Raise LostWritesError for a database that ends before what was acknowledged."""
    mark, place = _look(path)
    is_its_mark = f"{mark.nonce} {place}" == schema.facts_of(connection, path).get("mark")
    if is_its_mark and identity.is_exact and identity.latest < mark.reached:
        raise LostWritesError(path, identity.latest, mark.reached)


def recognize(connection: apsw.Connection, path: Path) -> tuple[str, Mark]:
    """Return the id of this copy of the store, and its new mark. The id is the former one where nothing is copied.

    Without room on the disk the mark stays the former one.
    """
    base = noted_alone(path)  # first: a file that cannot be read is left as it is
    facts = schema.facts_of(connection, path)
    noted, following = facts.get("mark"), facts.get("next_mark")
    former, place = _look(path)
    is_its_mark = f"{former.nonce} {place}" == noted
    if noted is None and following is None:  # a new file, or one from before there were marks; or else a backup
        is_same = "copy_id" not in facts
    else:
        is_same = is_its_mark or (bool(former.nonce) and former.nonce == following)
    copy_id = str(facts.get("copy_id", facts["daemon_id"])) if is_same else str(uuid.uuid4())
    known = {} if copy_id == facts["daemon_id"] else {"copy_id": copy_id}
    try:
        return copy_id, _renewed(connection, path, known, base, former.reached if is_its_mark else 0)
    except StoreFullError:
        return copy_id, Mark.opened(mark_of(path), former.nonce) if is_same else Mark(-1)


def forget_mark(connection: apsw.Connection) -> None:
    """Have a backup be another copy when it is opened, each time that it is."""
    schema.note(connection, {"copy_id": str(uuid.uuid4())}, ("mark", "next_mark"))


def noted_alone(path: Path) -> str | None:
    """Return the nonce that a database notes without its WAL: empty where it notes none, None where damage hides that.

    Raises:
        StoreBrokenError: the disk fails.
    """
    connection: apsw.Connection | None = None
    try:
        connection = opening.connect_alone(path)
        return str(schema.facts_of(connection, path).get("mark", "")).partition(" ")[0]
    except apsw.IOError as error:
        raise refused(error, connection, path) from error
    except (apsw.Error, StoreOpenError):
        return None
    finally:
        if connection is not None:
            connection.close(force=True)


def _renewed(connection: apsw.Connection, path: Path, known: dict[str, str], base: str | None, reached: int) -> Mark:
    """Make a new mark, and note it."""
    nonce = secrets.token_hex(16)
    mark: Mark | None = None
    try:
        schema.note(connection, {**known, "next_mark": nonce})
        mark = Mark.made(mark_of(path), nonce, base, reached)
        schema.note(connection, {"mark": f"{nonce} {_place(mark.descriptor)}"}, ("next_mark",))
    except (apsw.Error, OSError) as error:
        if mark is not None:
            mark.close()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise StoreFullError(str(error)) from error
        is_damaged = isinstance(error, apsw.CorruptError)
        outward = refused(error, connection, path) if is_damaged else translated(error, connection)
        if outward is error:
            raise
        raise outward from error
    return mark


def _look(path: Path) -> tuple[Found, str]:
    """Return what the mark of a database says, and which file it is."""
    found, descriptor = read(mark_of(path))
    if descriptor < 0:
        return found, ""
    try:
        return found, _place(descriptor)
    finally:
        os.close(descriptor)


def _place(descriptor: int) -> str:
    """Return inode and generation of a file; the generation is 0 where the file system tells none."""
    found = os.fstat(descriptor)
    generation = getattr(found, "st_birthtime", 0)  # where it is told, as on macOS, it says the same
    with suppress(OSError):
        (generation,) = struct.unpack("l", fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, bytes(struct.calcsize("l"))))
    return f"{found.st_ino}:{generation}"
