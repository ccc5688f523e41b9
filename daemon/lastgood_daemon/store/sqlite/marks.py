"""The mark: a small file beside the database, for what cannot be in the database itself.

::

    nonce     made at random each time the database is opened, which notes it, and which file this is (copies.py)
    base      the nonce that the database alone, without its WAL, noted when this file was made
    reached   up to which moment writes were acknowledged, and a checksum of that

It tells what SQLite cannot: to a database whose WAL is gone, cut short or damaged, that WAL looks as if it had ended there.
``reached`` is written over after each commit's fsync and before its answer (2 µs), and is not brought to disk itself. A
process that is killed leaves it as it is, and after a power cut it is what it was earlier, which only asks for less.
"""

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

_NONE = "-" * 32
_UNKNOWN = "?" * 32
_FORM = "{} {} {}"
_REACHED_AT = len(_FORM.format(_NONE, _NONE, ""))
_MOST_BYTES = 256


def mark_of(path: Path) -> Path:
    """Return where the mark of a database is."""
    return Path(f"{path}-id")


class Found(NamedTuple):
    """What a mark says."""

    nonce: str = ""
    """Empty where there is no mark."""
    base: str | None = None
    """Empty where the database noted none, and None where that is not known."""
    reached: int = 0
    """0 where that is not known."""


class Mark:
    """The mark of a database that is open. To be used from one thread."""

    def __init__(self, descriptor: int, nonce: str = "") -> None:
        """Use ``made`` or ``opened``; a negative descriptor is that of no file."""
        self._descriptor = descriptor
        self.nonce = nonce

    @classmethod
    def made(cls, path: Path, nonce: str, base: str | None, reached: int) -> Self:
        """Put a new file in the place of the one that may be there, and bring it to disk."""
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            noted = _UNKNOWN if base is None else base or _NONE
            os.write(descriptor, _FORM.format(nonce, noted, _encoded(reached)).encode())
            os.fsync(descriptor)
            new.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, nonce)

    @classmethod
    def opened(cls, path: Path, nonce: str) -> Self:
        """Go on with the file that is there, if there is one. It has no second name: ``presence`` has refused that."""
        try:
            return cls(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), nonce)
        except OSError:
            return cls(-1, nonce)

    @property
    def descriptor(self) -> int:
        """Of the file; negative where there is none."""
        return self._descriptor

    def reach(self, moment: int) -> None:
        """Note up to which moment writes are in the database; 0 where what was written last may have gone again."""
        if self._descriptor >= 0:
            with suppress(OSError):  # then it says less than it could
                os.pwrite(self._descriptor, _encoded(moment).encode(), _REACHED_AT)

    def settle(self) -> None:
        """Note that the database notes this mark without its WAL, too."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.pwrite(self._descriptor, self.nonce.encode(), len(self.nonce) + 1)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read(path: Path) -> tuple[Found, int]:
    """Return what the mark at a path says, and the open file that it is in; (nothing, -1) where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return Found(), -1
    try:
        return _decoded(os.read(descriptor, _MOST_BYTES).decode("ascii", "replace")), descriptor
    except BaseException:
        os.close(descriptor)
        raise


def _encoded(moment: int) -> str:
    digits = f"{moment:020d}"
    return f"{digits} {zlib.crc32(digits.encode()):08x}"


def _decoded(text: str) -> Found:
    match text.split(" "):
        case [nonce, base, digits, checksum]:
            is_whole = checksum == f"{zlib.crc32(digits.encode()):08x}"
            return Found(
                nonce, None if base == _UNKNOWN else base.strip("-"), int(digits) if is_whole and digits.isdigit() else 0
            )
        case [nonce]:
            return Found(nonce)
        case _:
            return Found(text)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
