"""What goes over one stream: waiting calls out, as many as fit into each message; answers in."""

import asyncio
import traceback
from collections.abc import Callable

from google.rpc import status_pb2

from lastgood.errors import InternalError, OutcomeUnknownError
from lastgood.transport import framing
from lastgood.transport.ledger import Ledger, PendingCall
from lastgood.transport.link import Link, LinkBrokenError, NotSentError
from lastgood.transport.status import error_from, reason_of
from lastgood_proto.v1.session_pb2 import Reply

MAX_IN_FLIGHT = 1024
_PARTING_SECONDS = 1.0


class Conversation:
    """One stream's worth of calls and answers.

    Attributes:
        answered: whether anything has been answered on it.
    """

    def __init__(self, link: Link, ledger: Ledger, wake: asyncio.Event, give_up: Callable[[PendingCall], None]) -> None:
        self.answered = False
        self._link = link
        self._ledger = ledger
        self._wake = wake
        self._give_up = give_up
        self._parting: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Carry calls and answers until the stream breaks.

        Raises:
            LinkBrokenError: it has, as every stream does in the end.
            LastgoodError: the daemon ended it in a way that another stream would not cure.
        """
        self._ledger.begin_stream()
        self._wake.set()
        sender = asyncio.create_task(self._send_waiting(), name="lastgood sender")
        try:
            await self._receive()
        except LinkBrokenError:
            if sender.done() and not sender.cancelled():
                sender.result()  # it may have failed first, and with more to say
            raise
        finally:
            if self._parting is not None:
                self._parting.cancel()
            sender.cancel()
            await asyncio.wait([sender])
            if not sender.cancelled():
                sender.exception()  # has been said, or matters no more

    async def _send_waiting(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._next_batch():
                    await self._send(batch)
        except LinkBrokenError:
            pass  # the receiver says why
        except asyncio.CancelledError as error:
            traceback.clear_frames(error.__traceback__)  # they would keep the stream, see Connection._run
            raise
        except Exception:
            self._link.abort()
            raise

    def _next_batch(self) -> list[PendingCall]:
        """Take what fits into one message, or one call that does not."""
        batch: list[PendingCall] = []
        size = 0
        ledger = self._ledger
        while ledger.waiting and ledger.in_flight < MAX_IN_FLIGHT and self._parting is None:
            call = ledger.waiting[0]
            if call.future.done():
                ledger.waiting.popleft()
                continue
            size += len(call.payload)
            if batch and size > framing.MESSAGE_BYTES:
                break
            ledger.waiting.popleft()
            ledger.sent(call)
            batch.append(call)
        return batch

    async def _send(self, batch: list[PendingCall]) -> None:
        now = asyncio.get_running_loop().time()
        calls = [
            framing.envelope(call.sequence, call.deadline - now, self._ledger.read_after(call)) + call.payload
            for call in batch
        ]
        acknowledged = self._ledger.acknowledged
        try:
            if len(calls) == 1 and len(calls[0]) > framing.MESSAGE_BYTES:
                await self._send_in_pieces(acknowledged, calls[0])
            else:
                await self._link.send(framing.join_calls(acknowledged, calls))
        except NotSentError:
            for call in batch:
                self._ledger.refused(call)
            raise

    async def _send_in_pieces(self, acknowledged: int, call: bytes) -> None:
        for message, last in framing.split_call(acknowledged, call):
            try:
                await self._link.send(message)
            except LinkBrokenError as error:
                if last:
                    raise
                raise NotSentError(str(error)) from None  # without its end, a call is none

    async def _receive(self) -> None:
        pieces = framing.ReplyPieces()
        while True:
            response = await self._link.receive()
            for reply in response.replies:
                self._answer(reply)
            if response.HasField("part"):
                whole = pieces.add(response.part)
                if whole is not None:
                    self._answer(whole)
            if response.HasField("going_away"):
                self._part()
            if self._ledger.waiting:
                self._wake.set()

    def _answer(self, reply: Reply) -> None:
        call = self._ledger.find(reply.sequence)
        if call is None:  # given up since
            return
        self.answered = True
        kind = reply.WhichOneof("result")
        if kind == "error":
            self._refuse(call, reply.error)
            return
        self._ledger.settle(call)
        if kind != call.operation.name:
            call.fail(InternalError(f"the daemon answered {call.operation.name} with {kind}"))
        elif not call.future.done():
            call.future.set_result(getattr(reply, kind))

    def _refuse(self, call: PendingCall, status: status_pb2.Status) -> None:
        reason = reason_of(status)
        if reason == "UNAVAILABLE":  # the daemon is leaving, and the next one will be asked
            self._ledger.refused(call)
            self._part()
        elif reason == "DEADLINE_EXCEEDED":
            self._ledger.refused(call)
            self._give_up(call)
        elif reason == "OVERLOADED" and call.operation.writes and call.deliveries > 1:
            # That nothing was written is true of this delivery, which was turned away before anyone looked it up.
            self._ledger.abandon(call)
            text = f"{call.operation.name} was sent before, and the daemon has no room now to tell whether it was done"
            call.fail(OutcomeUnknownError(text))
        else:
            self._ledger.settle(call)
            call.fail(error_from(status))

    def _part(self) -> None:
        """Send no more on this stream, which the daemon is about to end, and end it if that does not."""
        if self._parting is None:
            self._parting = asyncio.get_running_loop().call_later(_PARTING_SECONDS, self._link.abort)
