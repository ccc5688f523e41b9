"""How the idempotency key of an effect is made: what an outside service is given to tell a repetition."""

from hashlib import blake2b


def idempotency_key(daemon_id: str, workflow_id: str, line: int, step: int, key: str) -> str:
    """Give the key of an effect: 32 hexadecimal digits, which any service takes.

    It stays the same in a retry and in a resume. It is another one on another line, where the outside world is to be asked
    anew, and for another store, whose workflows may have the same ids.
    """
    hashed = blake2b(digest_size=16)
    for part in (daemon_id, workflow_id, str(line), str(step), key):
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(8))  # so that no two lists of parts read the same
        hashed.update(encoded)
    return hashed.hexdigest()
