"""Checksums of rows. SQLite itself does not notice a flipped bit in a value."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from lastgood_daemon.store.protocol import RecordKey

_BYTES = 16


def record_checksum(key: RecordKey, version: int, updated_at: int, value: bytes) -> bytes:
    """16 bytes over all of a record; each part goes in with its length, so that no two records run together."""
    digest = blake2b(digest_size=_BYTES)
    for part in key:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    digest.update(version.to_bytes(8, "big", signed=True) + updated_at.to_bytes(8, "big", signed=True))
    digest.update(value)
    return digest.digest()


def log_checksum(
    state_id: str, incarnation: int, number: int, head: int, chain: bytes, updated_at: int, floor: int, floor_chain: bytes
) -> bytes:
    """The same over all that is noted of a log."""
    return _digest(state_id, incarnation, number, head, chain, updated_at, floor, floor_chain)


def facts_checksum(facts: Mapping[str, str | int], definitions: Sequence[str]) -> bytes:
    """The same over the facts about the file, and the definitions of its tables."""
    return _digest(*(part for name in sorted(facts) for part in (name, facts[name])), *definitions)


def piece_checksum(log: int, revision: int, piece: int, pieces: int, data: bytes) -> bytes:
    """The same over a piece of an image."""
    return _digest(log, revision, piece, pieces, data)


def _digest(*parts: str | bytes | int) -> bytes:
    """Each part goes in with its length, so that no two rows run together."""
    digest = blake2b(digest_size=_BYTES)
    for part in parts:
        encoded = (
            part.encode() if isinstance(part, str) else part.to_bytes(8, signed=True) if isinstance(part, int) else part
        )
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.digest()
