"""Which writes of a session are being carried out: a read that asks what became of one must not overtake it.

A client that has given a write up, because its time was up or its task was cancelled, may read to find out whether the
write happened. Its later reads name the write, and wait here. Other reads never do. ::

    write 5 taken ──────────── commit ── settled
    client gives 5 up
    read 6, after 5       waits ········ performed: it sees write 5
    read 7 of another session    performed at once

The writes are those of the session, not of one connection: the client may come back over another one.
"""

import asyncio

from lastgood_daemon.authority.submission import Submission

LOOK_SECONDS = 0.01
"""How often a read that waits looks again. Few ever wait, and a claim that begins to wait for a workflow tells nobody."""


class UnsettledWrite:
    """A write that was taken and has no answer yet."""

    __slots__ = ("sequence", "submission")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.submission: Submission | None = None


class UnsettledWrites:
    """Those of one session."""

    def __init__(self) -> None:
        self._writes: set[UnsettledWrite] = set()

    def begin(self, sequence: int) -> UnsettledWrite:
        """Note a write that is taken. The same number may come again over another connection."""
        write = UnsettledWrite(sequence)
        self._writes.add(write)
        return write

    def note(self, write: UnsettledWrite, submission: Submission | None) -> None:
        """Note what has become of a write that was taken: a command, unless it is settled already."""
        if write in self._writes:
            write.submission = submission

    def settle(self, write: UnsettledWrite) -> None:
        """Note that a write has its answer."""
        self._writes.discard(write)
        write.submission = None  # which refers to the write in turn: only the garbage collector would free the two

    def hold(self, after: int) -> bool:
        """Whether a read after that number has to wait."""
        return any(write.sequence <= after and not _waits(write) for write in self._writes)

    async def settled(self, after: int) -> None:
        """Wait until a read after that number may be performed."""
        while self.hold(after):  # noqa: ASYNC110 - see LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)


def _waits(write: UnsettledWrite) -> bool:
    return write.submission is not None and write.submission.waits
