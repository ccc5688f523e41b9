"""How many bytes of calls and answers the whole daemon holds at a time.

A large call is held from its first part until it has been answered, a large answer from when it is encoded until its client
has taken the last of it. Each of them has a ``Hold``, and all holds share one limit. With a limit of 64 MiB:

    a   grow(32 MiB)     held 32                    an answer is encoded
    b   grow(32 MiB)     held 64                    another one
    c   grow(8 MiB)      waits                      nothing is read or encoded for c meanwhile
    a   release()        held 32, and then 40       a's client has taken its answer; c goes on

Among those that wait, the hold that began first goes first. It may exceed the limit when all that is held belongs to holds
that wait themselves: otherwise two calls that are half complete would wait for each other.

A hold whose client stands still must not keep the others waiting. While any wait, a hold that has made no progress for
``STALL_SECONDS`` and does not wait itself is revoked: its owner is told to drop what it holds.
"""

import asyncio
from collections.abc import Callable
from itertools import count

SHARE = 4
"""Which part of the memory budget calls and answers may take: one in so many."""
LEAST = 16 * 1024 * 1024
"""The limit under a small budget."""
STALL_SECONDS = 1.0
"""Without progress, while others wait."""
PATIENCE_SECONDS = 10.0
"""How long a call in parts waits for room, in all, before it is refused."""


class Hold:
    """What one call or one answer holds."""

    def __init__(self, inflight: "InFlight", revoke: Callable[[], None] | None) -> None:
        self.size = 0
        self.moved_at = 0.0
        self.began = 0
        self.revoke = revoke
        """None where it is not its client that it waits for."""
        self._inflight = inflight

    async def grow(self, size: int) -> None:
        """Hold so many bytes more; waits while there is no room for them."""
        await self._inflight.admit(self, size)

    def progress(self) -> None:
        """Note that the client has sent or taken something."""
        self.moved_at = self._inflight.now()

    def release(self) -> None:
        """Hold nothing any more. Doing so again does nothing."""
        self._inflight.free(self)


class InFlight:
    """See the module."""

    def __init__(self, budget: int) -> None:
        """Size the limit by the memory budget of the daemon."""
        self.limit = max(LEAST, budget // SHARE)
        self.held = 0
        """Bytes."""
        self.encoding = asyncio.Lock()
        """Taken while an answer is encoded: it is only known afterwards how large it is."""
        self._holds: set[Hold] = set()
        self._waiting: dict[Hold, tuple[int, asyncio.Future[None]]] = {}
        self._began = count(1)
        self._looking: asyncio.TimerHandle | None = None
        self._freed = 0

    def hold(self, revoke: Callable[[], None] | None) -> Hold:
        """Make a hold of nothing yet. ``revoke`` is called when what it holds has to be dropped; None: it never has."""
        return Hold(self, revoke)

    def now(self) -> float:
        """Return the time by the clock of the event loop."""
        return asyncio.get_running_loop().time()

    @property
    def freed(self) -> int:
        """How many bytes have been held and released so far."""
        return self._freed

    async def admit(self, hold: Hold, size: int) -> None:
        """Let a hold grow, now or when it is its turn."""
        if not hold.began:
            hold.began = next(self._began)
        if not self._waiting and self._fits(size):
            self._grant(hold, size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[hold] = size, turn
        try:
            self._serve()
            await turn
        finally:
            self._waiting.pop(hold, None)
            self._serve()

    def free(self, hold: Hold) -> None:
        """Take back what a hold has."""
        self.held -= hold.size
        self._freed += hold.size
        hold.size = 0
        self._holds.discard(hold)
        self._serve()

    def _fits(self, size: int) -> bool:
        return self.held + size <= self.limit or not self.held

    def _grant(self, hold: Hold, size: int) -> None:
        self.held += size
        hold.size += size
        hold.progress()
        self._holds.add(hold)

    def _serve(self) -> None:
        """Let those go on that can."""
        while self._waiting:
            hold = min(self._waiting, key=lambda waiting: waiting.began)
            size, turn = self._waiting[hold]
            if not self._fits(size) and any(other not in self._waiting for other in self._holds):
                break
            del self._waiting[hold]
            if not turn.done():
                self._grant(hold, size)
                turn.set_result(None)
        if self._waiting and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(STALL_SECONDS / 4, self._look)

    def _look(self) -> None:
        """Revoke what stands still while others wait."""
        self._looking = None
        before = self.now() - STALL_SECONDS
        for hold in [each for each in self._holds if each not in self._waiting and each.moved_at < before]:
            if hold.revoke is not None:
                self.free(hold)
                hold.revoke()
        self._serve()
