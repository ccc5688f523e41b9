"""A revision as it is stored: who changed what and when, and the hash that chains it to the one before.

The chain is over everything of an entry, but over the hash of a value where the value stands. So a value can be taken out
of the log for good, leaving its hash, and the chain still holds (``redaction.py``). It detects corruption; it is no proof
against whoever can rewrite the file.

    chain(n) = blake2b-128( chain(n-1) + n + entry n with each value replaced by its blake2b-128 )
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, Splice
from lastgood_daemon.engine.encoded import PIECE_BYTES, bytes_head, joined, list_head
from lastgood_daemon.engine.labour import LONG_BYTES, spend
from lastgood_daemon.engine.long_changes import decoded_changes, decoded_list
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


_FEW = 16
_VALUE_COST = 2
"""Of encoding or hashing one value; see ``spend``."""
_BYTES_A_MICROSECOND = 1000
"""So many are hashed."""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Entry)
_squash_decoder = msgspec.msgpack.Decoder(Squash)
_long_decoder = msgspec.msgpack.Decoder(tuple[int, Author, msgspec.Raw])
_edits_decoder = msgspec.msgpack.Decoder(list[LoggedEdit])
_long_edit_decoder = msgspec.msgpack.Decoder(tuple[str, Path, msgspec.Raw, Point | None])
_long_squash_decoder = msgspec.msgpack.Decoder(tuple[int, int, msgspec.Raw, bytes])


def encode_entry(entry: Entry) -> bytes:
    """Give an entry as bytes."""
    if is_short(entry.edits):
        return _encode(entry)
    return joined(_pieces(entry.timestamp, entry.author, entry.edits, _as_it_is))


def is_short(edits: Sequence[LoggedEdit]) -> bool:
    """Whether edits are so few and small that one call may encode them."""
    if len(edits) == 1 and len(edits[0].changes) <= 1:
        return not edits[0].changes or _is_short(edits[0].changes[0])
    return len(edits) <= _FEW and all(_are_short(edit.changes) for edit in edits)


def _are_short(changes: Sequence[Change]) -> bool:
    return len(changes) <= _FEW and all(map(_is_short, changes))


def _is_short(change: Change) -> bool:
    match change:
        case Put():
            return len(change.value) <= LONG_BYTES
        case Splice():
            return len(change.items) <= _FEW and all(len(item) <= LONG_BYTES for item in change.items)
        case Patch():
            return _are_short(change.changes)
        case Remove():
            return True


def _as_it_is(stored: bytes) -> bytes:
    return stored


def encode_squash(squash: Squash) -> bytes:
    """Give a squashed delta as bytes, which no entry begins like."""
    head = SQUASHED + b"\x94" + _encode(squash.timestamp) + _encode(squash.before)
    return joined((head, *_pieces_of(squash.changes, _as_it_is), _encode(squash.seal)))


def decode_row(encoded: bytes) -> Entry | Squash:
    """Give the entry or the squashed delta of bytes.

    Raises:
        msgspec.DecodeError: they are none.
    """
    try:
        if len(encoded) > PIECE_BYTES:
            return _squash_of_pieces(encoded[1:]) if encoded[:1] == SQUASHED else _entry_of_pieces(encoded)
        return _squash_decoder.decode(encoded[1:]) if encoded[:1] == SQUASHED else _decoder.decode(encoded)
    except ValueError as error:  # which is how msgspec says that a text is none, and msgpack that bytes are none
        raise msgspec.DecodeError(str(error)) from error


def _entry_of_pieces(encoded: bytes) -> Entry:
    timestamp, author, edits = _long_decoder.decode(encoded)
    return Entry(timestamp, author, tuple(decoded_list(edits, _edits_decoder.decode, _long_edit)))


def _long_edit(encoded: msgspec.Raw) -> LoggedEdit:
    operation, path, changes, source = _long_edit_decoder.decode(encoded)
    return LoggedEdit(operation, path, decoded_changes(changes), source)


def _squash_of_pieces(encoded: bytes) -> Squash:
    timestamp, before, changes, seal = _long_squash_decoder.decode(encoded)
    return Squash(timestamp, before, decoded_changes(changes), seal)


SQUASHED = b"\xc1"


def sealed(before: int, revision: int, timestamp: int, changes: Iterable[Change], entry_chain: bytes) -> Squash:
    """Make a squashed delta that ends at a revision with that chain."""
    squash = Squash(timestamp, before, tuple(changes), b"")
    return msgspec.structs.replace(squash, seal=seal_of(squash, revision, entry_chain))


def seal_of(squash: Squash, revision: int, entry_chain: bytes) -> bytes:
    """Give the hash that a squashed delta must have; over the hashes of its values, as the chain is."""
    head = entry_chain + b"\x94" + _encode(squash.timestamp) + _encode(squash.before) + _encode(revision)
    hashed = blake2b(head, digest_size=16)
    for piece in _pieces_of(squash.changes, digest_of):
        hashed.update(piece)
    return hashed.digest()


def chain(before: bytes, revision: int, entry: Entry) -> bytes:
    """Return the hash that chains an entry to the one before it (``b""`` before the first)."""
    # Without a step the author is hashed as it was before steps were recorded, so that older logs still match.
    author = entry.author[:3] if entry.author.step is None else entry.author
    begin = before + revision.to_bytes(8)
    # Nearly all entries have one change, or none: encoded in one call, that gives the same as the pieces.
    match entry.edits:
        case [LoggedEdit(operation, path, [Put(place, value, position)], source)]:
            spend(_VALUE_COST + len(value) // _BYTES_A_MICROSECOND)
            change = Put(place, digest_of(value), position)
            whole = _encode((entry.timestamp, author, ((operation, path, (change,), source),)))
            return blake2b(begin + whole, digest_size=16).digest()
        case [LoggedEdit(operation, path, [], source)]:
            return blake2b(
                begin + _encode((entry.timestamp, author, ((operation, path, (), source),))), digest_size=16
            ).digest()
        case _:
            pass
    hashed = blake2b(begin, digest_size=16)
    for piece in _pieces(entry.timestamp, author, entry.edits, digest_of):
        hashed.update(piece)
    return hashed.digest()


def _pieces(
    timestamp: int, author: tuple[object, ...], edits: Sequence[LoggedEdit], stored: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """Encode an entry a little at a time, with each value as ``stored`` gives it: what one call would give, in pieces."""
    yield b"\x93" + _encode((timestamp, author))[1:] + list_head(len(edits))
    for edit in edits:
        yield b"\x94" + _encode((edit.operation, edit.path))[1:]
        yield from _pieces_of(edit.changes, stored)
        yield _encode(edit.source)


def _pieces_of(changes: Sequence[Change], stored: Callable[[bytes], bytes]) -> Iterator[bytes]:
    yield list_head(len(changes))
    for change in changes:
        match change:
            case Put():
                path, value, position = change.path, change.value, change.position
                spend(_VALUE_COST + len(value) // _BYTES_A_MICROSECOND)
                content = stored(value)
                if len(content) <= LONG_BYTES:
                    yield _encode(Put(path, content, position))
                else:
                    yield b"\x94" + _encode("p") + _encode(path) + bytes_head(len(content))
                    yield content
                    yield _encode(position)
            case Splice(path, index, removed, items):
                yield b"\x95" + _encode("s") + _encode(path) + _encode(index) + _encode(removed) + list_head(len(items))
                for item in items:
                    spend(_VALUE_COST + len(item) // _BYTES_A_MICROSECOND)
                    yield _encode(stored(item))
            case Patch(path, inner):
                yield b"\x93" + _encode("d") + _encode(path)
                yield from _pieces_of(inner, stored)
            case Remove():
                yield _encode(change)
