"""A revision as it is stored: who changed what and when, and the hash that chains it to the one before.

The chain is over everything of an entry, but over the hash of a value where the value stands. So a value can be taken out
of the log for good, leaving its hash, and the chain still holds (``redaction.py``). It detects corruption; it is no proof
against whoever can rewrite the file.

    chain(n) = blake2b-128( chain(n-1) + n + entry n with each value replaced by its blake2b-128 )
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.stored_value import digest_of
from lastgood_proto.paths import Path


class Author(NamedTuple):
    """Who writes: an agent, the attempt at a workflow that it belongs to (none: "" and 0), and the step open there."""

    agent_id: str = ""
    workflow_id: str = ""
    attempt: int = 0
    step: int | None = None


class LoggedEdit(msgspec.Struct, frozen=True, array_like=True):
    """One operation of a revision, and what it did."""

    operation: str
    path: Path
    changes: tuple[Change, ...]
    source: Point | None = None
    """Where a restore went back to, or what was copied; nothing where the content was brought along."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One revision. ``timestamp`` is in microseconds since 1970-01-01 UTC and never goes backwards within a state."""

    timestamp: int
    author: Author
    edits: tuple[LoggedEdit, ...]

    def changes(self) -> list[Change]:
        """Give what the revision did, in order."""
        return [change for edit in self.edits for change in edit.changes]


class Squash(msgspec.Struct, frozen=True, array_like=True):
    """What stands in a compacted log for all revisions after ``before``, up to its own: the difference between the two.

    The chain cannot be followed through it, so it has a hash of its own (``seal``); the next entry goes on from the chain of
    the last revision that it stands for.
    """

    timestamp: int
    """Of the last revision."""
    before: int
    changes: tuple[Change, ...]
    seal: bytes


class Other(NamedTuple):
    """A revision of a workflow's state that none of its attempts has written. ``timestamp`` as in its entry."""

    revision: int
    agent_id: str
    timestamp: int


Digest = Callable[[bytes], bytes]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)
_squash_decoder = msgspec.msgpack.Decoder(Squash)


def encode_entry(entry: Entry) -> bytes:
    """Give an entry as bytes."""
    return _encoder.encode(entry)


def encode_squash(squash: Squash) -> bytes:
    """Give a squashed delta as bytes, which no entry begins like."""
    return SQUASHED + _encoder.encode(squash)


def decode_row(encoded: bytes) -> Entry | Squash:
    """Give the entry or the squashed delta of bytes.

    Raises:
        msgspec.DecodeError: they are none.
    """
    try:
        return _squash_decoder.decode(encoded[1:]) if encoded[:1] == SQUASHED else _decoder.decode(encoded)
    except UnicodeDecodeError as error:  # which is how msgspec says that a text is none
        raise msgspec.DecodeError(str(error)) from error


SQUASHED = b"\xc1"


def sealed(before: int, revision: int, timestamp: int, changes: Iterable[Change], entry_chain: bytes) -> Squash:
    """Make a squashed delta that ends at a revision with that chain."""
    squash = Squash(timestamp, before, tuple(changes), b"")
    return msgspec.structs.replace(squash, seal=seal_of(squash, revision, entry_chain))


def seal_of(squash: Squash, revision: int, entry_chain: bytes) -> bytes:
    """Give the hash that a squashed delta must have; over the hashes of its values, as the chain is."""
    changes = _without_values(squash.changes, digest_of)
    skeleton = _encoder.encode((squash.timestamp, squash.before, revision, changes))
    return blake2b(entry_chain + skeleton, digest_size=16).digest()


def chain(before: bytes, revision: int, entry: Entry, digest: Digest = digest_of) -> bytes:
    """Give the hash that chains an entry to the one before it (``b""`` before the first).

    ``digest`` does what ``digest_of`` does, perhaps faster.
    """
    # Without a step the author is hashed as it was before steps were recorded, so that older logs still match.
    author = entry.author[:3] if entry.author.step is None else entry.author
    skeleton = (
        entry.timestamp,
        author,
        tuple(LoggedEdit(e.operation, e.path, _without_values(e.changes, digest), e.source) for e in entry.edits),
    )
    return blake2b(before + revision.to_bytes(8) + _encoder.encode(skeleton), digest_size=16).digest()


def _without_values(changes: Iterable[Change], digest: Digest) -> tuple[Change, ...]:
    return tuple(
        Patch(change.path, tuple(_without_value(inner, digest) for inner in change.changes))
        if isinstance(change, Patch)
        else _without_value(change, digest)
        for change in changes
    )


def _without_value(change: SimpleChange, digest: Digest) -> SimpleChange:
    match change:
        case Put(path, value, position):
            return Put(path, digest(value), position)
        case Splice(path, index, removed, items):
            return Splice(path, index, removed, [digest(item) for item in items])
        case Remove():
            return change
