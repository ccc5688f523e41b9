"""How daemon and client show each other that they know the secret in ``endpoint.json``, without saying it.

Whoever can read that file is the owner of the folder; whoever wrote it is the daemon that serves the folder. What is sent is
worth nothing to anybody who happens to have the address by now.
"""

import hmac

MIN_NONCE_BYTES = 16
MAX_NONCE_BYTES = 64


def of_identity(secret: str, nonce: bytes) -> bytes:
    """Return what a daemon answers to a nonce."""
    return _sign(secret, b"lastgood identify " + nonce)


def of_shut_down(secret: str) -> bytes:
    """Return what a daemon wants to see before it ends."""
    return _sign(secret, b"lastgood shut down")


def _sign(secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, "sha256")
