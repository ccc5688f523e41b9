"""The checksum of a record. SQLite itself does not notice a flipped bit in a value."""

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
