"""The hashes by which long values are chained, and which take long themselves: a millisecond for each MB.

Whoever is on the event loop has them worked out elsewhere (``labour``) and is evaluated again. It brings along the very same
bytes then, and the hash is found by that.
"""

from collections import deque

from lastgood_daemon.engine.labour import labour
from lastgood_daemon.engine.stored_value import digest_of

_LONG_BYTES = 1024 * 1024
_MOST = 16


class Digests:
    """Those that somebody is about to need."""

    def __init__(self) -> None:
        self._known: deque[tuple[bytes, bytes]] = deque(maxlen=_MOST)

    def of(self, stored: bytes) -> bytes:
        """Give what ``digest_of`` gives.

        Raises:
            LabourError: that takes long.
        """
        if len(stored) < _LONG_BYTES:
            return digest_of(stored)
        for value, digest in self._known:
            if value is stored:
                return digest
        return labour(stored, lambda: self._work_out(stored))

    def clear(self) -> None:
        """Let go of the values: nobody is about to need them any more."""
        self._known.clear()

    def _work_out(self, stored: bytes) -> bytes:
        digest = digest_of(stored)
        self._known.append((stored, digest))
        return digest
