"""Which calls are unanswered, under which numbers, and which of them have yet to be sent."""

import asyncio
from collections import deque
from typing import Any

from lastgood.operations import Operation


class PendingCall:
    """A call whose caller waits.

    Attributes:
        sequence: its identity within the session.
        operation: what it asks for.
        payload: the encoded operation.
        timeout: seconds that the caller gave.
        deadline: until when it waits, by the loop's clock.
        future: what it waits for.
        deliveries: how often it has been sent without being told that nothing came of it. Above 0, a write may have
            happened.
        in_flight: whether it has been sent on the present stream.
    """

    __slots__ = ("deadline", "deliveries", "future", "in_flight", "operation", "payload", "sequence", "timeout")

    def __init__(
        self,
        operation: Operation[Any, Any],
        payload: bytes,
        timeout: float,
        deadline: float,
        future: asyncio.Future[Any],
    ) -> None:
        self.sequence = 0
        self.operation = operation
        self.payload = payload
        self.timeout = timeout
        self.deadline = deadline
        self.future = future
        self.deliveries = 0
        self.in_flight = False

    @property
    def in_doubt(self) -> bool:
        """Whether it may have changed something."""
        return self.operation.writes and self.deliveries > 0

    def fail(self, error: Exception) -> None:
        """Tell the caller, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)


class Ledger:
    """Gives calls their numbers, in order, and keeps them until they are settled: answered, or given up.

    Attributes:
        waiting: what has yet to be sent on the present stream, in the order of the numbers. Calls that have been given up
            may still be in it.
        in_flight: how many have been sent on it and are unanswered.
    """

    def __init__(self) -> None:
        self._last = 0
        self._abandoned = 0
        self._unanswered: dict[int, PendingCall] = {}  # in the order of their numbers
        self.waiting: deque[PendingCall] = deque()
        self.in_flight = 0

    def __len__(self) -> int:
        return len(self._unanswered)

    def enter(self, call: PendingCall) -> None:
        """Give a call its number, and let it wait to be sent."""
        self._last += 1
        call.sequence = self._last
        self._unanswered[call.sequence] = call
        self.waiting.append(call)

    def begin_stream(self) -> None:
        """Let everything that is unanswered wait to be sent, again or for the first time."""
        for call in self._unanswered.values():
            call.in_flight = False
        self.in_flight = 0
        self.waiting = deque(self._unanswered.values())

    def sent(self, call: PendingCall) -> None:
        """Note that a call is on its way."""
        call.deliveries += 1
        call.in_flight = True
        self.in_flight += 1

    def refused(self, call: PendingCall) -> None:
        """Note that nothing came of the last delivery of a call."""
        call.deliveries -= 1
        self._landed(call)

    def settle(self, call: PendingCall) -> bool:
        """Strike a call off; False where that has been done."""
        if self._unanswered.pop(call.sequence, None) is None:
            return False
        self._landed(call)
        return True

    def abandon(self, call: PendingCall) -> bool:
        """Strike a call off that has no answer. A write that may still be carried out is remembered, for later reads."""
        if call.in_doubt and call.sequence in self._unanswered:
            self._abandoned = max(self._abandoned, call.sequence)
        return self.settle(call)

    def read_after(self, call: PendingCall) -> int:
        """Return the number of the last write that a call must not overtake: for a read, the last one abandoned."""
        return 0 if call.operation.writes else self._abandoned

    def find(self, sequence: int) -> PendingCall | None:
        """The unanswered call of that number; None where it has been settled."""
        return self._unanswered.get(sequence)

    def unanswered(self) -> list[PendingCall]:
        """All of them, in the order of their numbers."""
        return list(self._unanswered.values())

    @property
    def acknowledged(self) -> int:
        """The largest number up to which every call is settled."""
        return next(iter(self._unanswered), self._last + 1) - 1

    def _landed(self, call: PendingCall) -> None:
        if call.in_flight:
            call.in_flight = False
            self.in_flight -= 1
