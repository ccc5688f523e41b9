"""Keeps the lease of a claim alive, beside whatever else its process does."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from lastgood.errors import ClientUnusableError, FencedError, LastgoodError, LeaseLostError, StoreReplacedError
from lastgood.operations import RENEW
from lastgood.transport import forks
from lastgood.transport.connection import Connection
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence
from lastgood_proto.v1.workflows_pb2 import RenewRequest

_PARTS = 3
"""A lease is renewed when this part of it has passed, so that two renewals may fail."""
_PAUSE = 0.2
_STILL = 1.0
"""How long a daemon beside us that is silent is asked at a time, once the lease is over by our own reckoning."""


class Spawner(Protocol):
    """A connection, of either client."""

    def spawn(self, function: Callable[[Connection], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Run an async function beside the calls, and give what ends it."""


class Keepalive:
    """Renews the lease of an attempt until it is ended, or the lease is lost.

    It holds nothing of whoever made it, so that a claim that nobody holds any more can end it and expire. Times are those
    of the monotonic clock, which goes on while a process stands still. Past its time the lease is lost without asking, as
    another may have it by then; not where the daemon is connected by a socket of this machine, and does not answer: such a
    daemon stands still itself, and grants nothing meanwhile.

    Attributes:
        workflow_id: the workflow.
        attempt: whose lease it is. A rollback by its holder changes it.
        lost: why it is lost; empty as long as it is not.
        expired: whether it is lost only because its time has passed here, which the daemon may not know.

    Args:
        workflow_id: the workflow.
        attempt: the attempt.
        lease: seconds.
        asked: when the claim was sent. It may have waited since then, for the daemon or for the workflow: then it is renewed
            at once.
        on_loss: is called, on the event loop, when it is lost.
    """

    def __init__(self, workflow_id: str, attempt: int, lease: float, *, asked: float, on_loss: Callable[[], None]) -> None:
        self.workflow_id = workflow_id
        self.attempt = attempt
        self.lost = ""
        self.expired = False
        self._lease = lease
        self._renewed = asked
        self._deadline = time.monotonic() + lease
        self._on_loss = on_loss
        self._moving = False
        self._ended = False
        self._cancel: Callable[[], None] | None = None

    def begin(self, connection: Spawner) -> None:
        """Begin, on the event loop of the connection."""
        self._cancel = connection.spawn(self._run)

    def end(self) -> None:
        """End it, from any thread. Ending it again does nothing."""
        self._ended = True
        cancel, self._cancel = self._cancel, None
        if cancel is not None and not forks.is_forked():
            cancel()

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While the lease moves to another attempt: that it is not the old one's any more is no loss."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    async def _run(self, connection: Connection) -> None:
        while not self._ended:
            now = time.monotonic()
            if now >= self._deadline and connection.is_beside:
                # The daemon has let go of nothing: it stands still, and so does its time. Or we did: it will say so.
                await self._renew(connection, now, _STILL)
            elif now >= self._deadline:
                self.expired = True
                self._lose(f"it was not renewed within {self._lease:g} s")
            elif (due := min(self._renewed + self._lease / _PARTS, self._deadline)) > now:
                await asyncio.sleep(due - now)
            else:
                await self._renew(connection, now, min(connection.timeout, self._deadline - now))

    async def _renew(self, connection: Connection, now: float, timeout: float) -> None:
        attempt = self.attempt
        fence = Fence(workflow_id=self.workflow_id, attempt=attempt)
        request = RenewRequest(context=ChangeContext(fence=fence), workflow_id=self.workflow_id)
        try:
            await connection.call(RENEW, request, timeout=timeout)
        except (FencedError, LeaseLostError, StoreReplacedError) as error:
            if self.attempt == attempt and not self._moving:
                self._lose(str(error))
                return
        except ClientUnusableError:
            self._ended = True  # every call says so, and needs no lease to do it
            return
        except LastgoodError:
            pass  # until the deadline it may still work
        else:
            self._renewed, self._deadline = now, now + self._lease
            return
        await asyncio.sleep(min(_PAUSE, self._lease / (_PARTS * _PARTS)))

    def _lose(self, why: str) -> None:
        if not self._ended:
            self._ended = True
            self.lost = why
            self._on_loss()
