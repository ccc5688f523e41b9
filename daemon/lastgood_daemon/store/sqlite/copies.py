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
from lastgood_daemon.store.sqlite import schema
from lastgood_daemon.store.sqlite.faults import NO_ROOM, translated

_FS_IOC_GETVERSION = 0x80087601


def mark_of(path: Path) -> Path:
    """Return where the mark of a database is."""
    return Path(f"{path}-id")


def recognize(connection: apsw.Connection, path: Path) -> str:
    """Return the id of this copy of the store: the former one where nothing is copied, otherwise one made now.

    Without room on the disk the mark stays the former one.
    """
    facts = schema.facts_of(connection, path)
    noted, following = facts.get("mark"), facts.get("next_mark")
    nonce, place = _read(mark_of(path))
    if noted is None and following is None:  # a new file, or one from before there were marks; or else a backup
        is_same = "copy_id" not in facts
    else:
        is_same = f"{nonce} {place}" == noted or (bool(nonce) and nonce == following)
    copy_id = str(facts.get("copy_id", facts["daemon_id"])) if is_same else str(uuid.uuid4())
    with suppress(StoreFullError):
        _renew(connection, path, facts, copy_id)
    return copy_id


def forget_mark(connection: apsw.Connection) -> None:
    """Have a backup be another copy when it is opened, each time that it is."""
    schema.note(connection, {"copy_id": str(uuid.uuid4())}, ("mark", "next_mark"))


def _renew(connection: apsw.Connection, path: Path, facts: dict[str, str | int], copy_id: str) -> None:
    """Make a new mark, and note it."""
    nonce = secrets.token_hex(16)
    known = {} if copy_id == facts["daemon_id"] else {"copy_id": copy_id}
    try:
        schema.note(connection, {**known, "next_mark": nonce})
        place = _write(mark_of(path), nonce)
        schema.note(connection, {"mark": f"{nonce} {place}"}, ("next_mark",))
    except (apsw.Error, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise StoreFullError(str(error)) from error
        outward = translated(error, connection)
        if outward is error:
            raise
        raise outward from error


def _write(path: Path, nonce: str) -> str:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, nonce.encode())
        os.fsync(descriptor)
        place = _place(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return place


def _read(path: Path) -> tuple[str, str]:
    """Return the nonce of a mark and which file it is; nothing where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return "", ""
    try:
        return os.read(descriptor, 64).decode("ascii", "replace"), _place(descriptor)
    finally:
        os.close(descriptor)


def _place(descriptor: int) -> str:
    """Return inode and generation of a file; the generation is 0 where the file system tells none."""
    found = os.fstat(descriptor)
    generation = getattr(found, "st_birthtime", 0)  # where it is told, as on macOS, it says the same
    with suppress(OSError):
        (generation,) = struct.unpack("l", fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, bytes(struct.calcsize("l"))))
    return f"{found.st_ino}:{generation}"
