"""How a value is stored: as its bytes, or, once a text has been taken out of it, with the hash that it is chained by.

The chain of a log is over the hashes of its values. So a value can be replaced by a redacted one that keeps the hash of the
first, and the chain still holds:

    value      a6 "sk-123"                                          chained as   h(a6 "sk-123")
    redacted   c1  h(a6 "sk-123")  check  aa "[redacted]"           chained as   h(a6 "sk-123")

No MessagePack begins with c1. The chain says nothing about what stands there now, so that has a hash of its own: where it
does not match, the chain does not either.

This layout is known here alone: whatever reads, writes or exports a stored value goes through these functions.
"""

from hashlib import blake2b
from typing import NamedTuple

from lastgood_daemon.engine.encoded import joined, sliced

DIGEST_BYTES = 16

_MARK = b"\xc1"
_KEPT = slice(1, 1 + DIGEST_BYTES)
_CHECK = slice(_KEPT.stop, _KEPT.stop + DIGEST_BYTES)
_CONTENT = slice(_CHECK.stop, None)


class Redacted(NamedTuple):
    """A redacted value: the hash of what it was first, and what stands there now."""

    digest: bytes
    content: bytes

    def stored(self) -> bytes:
        """Return the bytes that are stored."""
        return joined((_MARK + self.digest + _digest(self.digest, self.content), self.content))


def redacted_of(stored: bytes) -> Redacted | None:
    """Return the parts of a stored value if it is a redacted one, else None.

    Raises:
        ValueError: it has been damaged since it was redacted.
    """
    if stored[:1] != _MARK:
        return None
    if not _is_sound(stored):
        message = "a redacted value does not match its checksum"
        raise ValueError(message)
    return Redacted(stored[_KEPT], content_of(stored))


def content_of(stored: bytes) -> bytes:
    """Return the value that is stored."""
    return joined(sliced(memoryview(stored)[_CONTENT])) if stored[:1] == _MARK else stored


def digest_of(stored: bytes) -> bytes:
    """Return the hash by which a stored value is chained: of what it was before it was ever redacted."""
    if stored[:1] != _MARK:
        return _digest(stored)
    return stored[_KEPT] if _is_sound(stored) else _digest(stored)


def in_place_of(stored: bytes, content: bytes) -> bytes:
    """Return what is to be stored so that a value reads otherwise and is chained as before."""
    return Redacted(digest_of(stored), content).stored()


def _is_sound(redacted: bytes) -> bool:
    return _digest(redacted[_KEPT], memoryview(redacted)[_CONTENT]) == redacted[_CHECK]


def _digest(*parts: bytes | memoryview) -> bytes:
    """Return the hash of parts as of one; a large one is hashed while others have the interpreter."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
