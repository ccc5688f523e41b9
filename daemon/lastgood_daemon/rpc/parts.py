"""Putting together the calls that are too large for one message.

The parts of a call are held from the first to the last, and after that the call, until it has been answered. While there is
no room for a part, nothing more is read from its client. Where room does not come, or the client stands still while others
wait for room, the call is refused, and the rest of its parts are passed over.
"""

import asyncio
from collections.abc import Callable

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.rpc.incoming import BrokenStreamError, sequence_of
from lastgood_daemon.rpc.inflight import PATIENCE_SECONDS, Hold, InFlight
from lastgood_proto.values import MAX_BYTES

MAX_CALL_BYTES = MAX_BYTES + 1024 * 1024
"""What the parts of one call may come to: a value of the largest size, and what stands around it."""


class Parts:
    """The call of one connection that is being put together."""

    def __init__(self, inflight: InFlight, refuse: Callable[[int, Refused], None]) -> None:
        self._inflight = inflight
        self._refuse = refuse
        self._data: list[bytes] = []
        self._size = 0
        self._hold: Hold | None = None
        self._passing = False
        self._patience = PATIENCE_SECONDS

    async def take(self, data: bytes, last: bool) -> tuple[list[bytes], Hold] | None:  # noqa: FBT001 - as in the contract
        """Take a part; with the last one, return all parts and what they hold, which the caller has to release.

        Raises:
            BrokenStreamError: the call is larger than any may be.
        """
        if self._passing:
            self._passing = not last
            return None
        self._size += len(data)
        if self._size > MAX_CALL_BYTES:
            problem = f"a call of more than {MAX_CALL_BYTES} bytes"
            raise BrokenStreamError(problem)
        self._data.append(data)
        hold = self._hold = self._hold or self._inflight.hold(self._revoked)
        asked = self._inflight.now()
        try:
            async with asyncio.timeout(self._patience):
                await hold.grow(len(data))
        except TimeoutError:
            self._give_up(f"there was no room for a large call within {PATIENCE_SECONDS:g} s")
            self._passing = not last
            return None
        self._patience -= self._inflight.now() - asked
        if not last:
            return None
        parts, self._data, self._hold = self._data, [], None
        self.drop()
        hold.revoke = None  # from here on it waits for the daemon, not for its client
        return parts, hold

    def drop(self) -> None:
        """Hold nothing any more, and be ready for the next call."""
        self._data, self._size, self._patience = [], 0, PATIENCE_SECONDS
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def _revoked(self) -> None:
        self._give_up("its client stood still in the middle of a large call while others waited")
        self._passing = True

    def _give_up(self, why: str) -> None:
        sequence = sequence_of(self._data[0])
        self.drop()
        limit = self._inflight.limit // 1024 // 1024
        self._refuse(
            sequence,
            Refused(
                "OVERLOADED",
                f"{why}: {limit} MiB, a quarter of --memory, are there for calls and answers on their way;"
                " nothing was written; try again later, or with fewer large calls at a time",
            ),
        )
