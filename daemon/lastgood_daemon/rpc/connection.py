"""One connection of one session: its calls in, its answers out.

It has a reader, which performs the calls as they come, and an outbox, which the stream empties. It takes no more from its
client than it can answer: while calls are unanswered, or answers not taken, beyond the bounds below, nothing more is read or
parsed, and the client's next messages wait in its own memory.

A call that was handed in is done, whoever is left to hear of it: a client that lost its connection takes the session up on
another, sends again what is unanswered, and finds what it had done recorded. What only reads is done while its client waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from google.protobuf.message import Message

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.rpc.authorize import Principal
from lastgood_daemon.rpc.dispatch import LONG_REQUEST_BYTES, Caller, Dispatcher, Long, Slow, Translated
from lastgood_daemon.rpc.envelope import size_of
from lastgood_daemon.rpc.errors import status_of
from lastgood_daemon.rpc.incoming import pieces_of
from lastgood_daemon.rpc.inflight import Hold, InFlight
from lastgood_daemon.rpc.large import at_hand, read_call
from lastgood_daemon.rpc.outbox import Outbox
from lastgood_daemon.rpc.parts import Parts
from lastgood_daemon.rpc.presence import Presence, SessionCall
from lastgood_daemon.rpc.unsettled import UnsettledWrites
from lastgood_proto.v1.session_pb2 import Call, SessionResponse

MAX_UNANSWERED = 2048
"""Calls of one connection that may be unanswered before no more are performed."""
MAX_UNANSWERED_BYTES = 2 * 1024 * 1024
"""What these may come to; one call may be larger."""
SLOW_READS = 4
"""Of one connection, that are worked on at a time."""
LARGE_MESSAGE_BYTES = 2 * 1024 * 1024
"""A message that is larger is counted among what is in flight. One with a part is smaller, and the part is counted."""
SLICE_SECONDS = 0.002
"""Performing calls, before others have a turn."""
SLICE_CALLS = 64
"""That are performed at a time all the same, unless that takes ``LONGEST_SLICE_SECONDS``: what is split up is committed in
two groups and answered in two messages, and the client goes on in two halves from then on."""
LONGEST_SLICE_SECONDS = 0.008
"""Four times what so many small calls take, so that a busy machine has time for them, too."""
FINISH_SECONDS = 2.0
"""How long a stream that is asked to end still answers what it has taken."""

LATE = Refused("DEADLINE_EXCEEDED", "the time of the call had passed before its turn; nothing was done")
_UNKNOWN = Translated(
    Refused("INVALID_ARGUMENT", "the call has no operation that this daemon knows"),
    as_json=False,
)


class _Call(msgspec.Struct, frozen=True):
    """A call without its request, which may be large."""

    sequence: int
    after: int
    name: str
    size: int
    deadline: float | None
    translated: Translated
    hold: Hold | None = None


class Connection:
    """See the module. ``abandon`` is called where the client stands still and keeps others waiting."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        inflight: InFlight,
        unsettled: UnsettledWrites,
        presence: Presence,
        principal: Principal,
        session_id: str,
        abandon: Callable[[], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._inflight = inflight
        self._unsettled = unsettled
        self._presence = presence
        self._principal = principal
        self._session_id = session_id
        self._abandon = abandon
        self._now = asyncio.get_running_loop().time
        self._outbox = Outbox()
        self._parts = Parts(inflight, self._refuse)
        self._slots = asyncio.Semaphore(SLOW_READS)
        self._reads: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._bytes = 0
        self._acknowledged = 0
        self._ending = ""

    # Reading.

    async def read(self, receive: Callable[[], Awaitable[bytes | None]]) -> None:
        """Perform the calls of a stream until the client ends it."""
        try:
            while (message := await receive()) is not None:
                self._dispatcher.look()
                part = await self._take(message)
                del message  # the next lines may wait for long
                if part is not None:
                    await self._take_part(*part)
        finally:
            self.close()

    async def _take(self, message: bytes) -> tuple[bytes, bool] | None:
        """Perform the calls of a message; gives its part of a call, if it has one, and whether that is the last."""
        if len(message) <= LARGE_MESSAGE_BYTES:
            return await self._take_pieces(message)
        hold = self._inflight.hold(self._abandon)
        await hold.grow(len(message))
        try:
            return await self._take_pieces(message, hold.progress)
        finally:
            hold.release()

    async def _take_pieces(self, message: bytes, progress: Callable[[], None] | None = None) -> tuple[bytes, bool] | None:
        arrived = began = self._now()
        performed = 0
        for piece in pieces_of(message):
            if isinstance(piece, memoryview):
                await self._room()
                self._perform(await asyncio.to_thread(self._read_large, [piece], len(piece), arrived))
                continue
            self._acknowledged = max(self._acknowledged, piece.acknowledged)
            self._presence.acknowledged = max(self._presence.acknowledged, piece.acknowledged)
            for call in piece.calls:
                if self._is_full:
                    await self._room()
                elif self._now() - began > (SLICE_SECONDS if performed >= SLICE_CALLS else LONGEST_SLICE_SECONDS):
                    with self._outbox.gathering():
                        await asyncio.sleep(0)
                    began, performed = self._now(), 0
                size = call.ByteSize()
                performed += 1
                if size > LONG_REQUEST_BYTES:
                    self._perform(await asyncio.to_thread(self._translated, call, size, arrived))
                else:
                    self._perform(self._translated(call, size, arrived))
            if progress is not None:
                progress()
            if piece.HasField("part"):
                return piece.part.data, piece.part.last
        return None

    async def _take_part(self, data: bytes, last: bool) -> None:  # noqa: FBT001 - as in the contract
        whole = await self._parts.take(data, last)
        if whole is not None:
            await self._take_whole(*whole)

    async def _take_whole(self, parts: list[bytes], hold: Hold) -> None:
        """Perform a call that has come in parts. Nothing more is read meanwhile."""
        arrived = self._now()
        try:
            call = await asyncio.to_thread(self._read_large, parts, 0, arrived)
        except BaseException:
            hold.release()
            raise
        self._perform(msgspec.structs.replace(call, hold=hold))

    def _read_large(self, parts: list[bytes] | list[memoryview], size: int, arrived: float) -> _Call:
        large = read_call(parts)
        with at_hand(large):
            return self._translated(large.message, size, arrived, large.digest)

    def _translated(self, call: Call, size: int, arrived: float, digest: bytes | None = None) -> _Call:
        name = call.WhichOneof("operation") or ""
        translated = self._dispatcher.translate(name, getattr(call, name), self._principal, digest) if name else _UNKNOWN
        deadline = arrived + call.timeout_ms / 1000 if call.timeout_ms else None
        return _Call(call.sequence, call.after, name, size, deadline, translated)

    @property
    def _is_full(self) -> bool:
        return self._unanswered >= MAX_UNANSWERED or self._bytes >= MAX_UNANSWERED_BYTES or self._outbox.is_full

    async def _room(self) -> None:
        """Wait until a call may be performed."""
        while self._is_full and not self._outbox.closed:
            await self._outbox.moved()

    # Performing.

    def _perform(self, call: _Call) -> None:
        self._unanswered += 1
        self._bytes += call.size
        if self._ending:
            reason = f"{self._ending}; nothing was written, connect again"
            self._answer(call, Refused("UNAVAILABLE", reason))
        elif call.translated.reads and self._is_late(call):
            self._answer(call, LATE)
        elif call.translated.digest:
            self._write(call)
        elif call.after and self._unsettled.hold(call.after):
            self._beside(self._perform_held(call))
        else:
            self._dispatcher.perform(call.translated, Caller(None, call.deadline), lambda answer: self._answer(call, answer))

    def _is_late(self, call: _Call) -> bool:
        return call.deadline is not None and self._now() > call.deadline

    def _write(self, call: _Call) -> None:
        write = self._unsettled.begin(call.sequence)

        def settle(answer: Message | Slow | Refused) -> None:
            self._unsettled.settle(write)
            self._answer(call, answer)

        identity = Identity(self._session_id, call.sequence, self._acknowledged, call.translated.digest)
        caller = Caller(identity, call.deadline, SessionCall(self._presence, call.sequence))
        self._unsettled.note(write, self._dispatcher.perform(call.translated, caller, settle))

    async def _perform_held(self, call: _Call) -> None:
        await self._unsettled.settled(call.after)
        self._dispatcher.perform(call.translated, Caller(None, call.deadline), lambda answer: self._answer(call, answer))

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        """Do something as long as the client is there."""
        task = asyncio.get_running_loop().create_task(work)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)

    def _answer(self, call: _Call, answer: Message | Slow | Refused) -> None:
        if isinstance(answer, Slow):
            self._beside(self._answer_slowly(call, answer))
            return
        if isinstance(answer, Refused):
            self._refuse(call.sequence, answer)
        else:
            self._outbox.put(call.sequence, call.name, answer.SerializeToString())
        self._settle(call)

    def _settle(self, call: _Call) -> None:
        """Note that a call has been answered."""
        self._unanswered -= 1
        self._bytes -= call.size
        if call.hold is not None:
            call.hold.release()
        self._outbox.move()
        if self._ending and not self._unanswered:
            self._outbox.end(self._ending)

    def _refuse(self, sequence: int, refused: Refused) -> None:
        self._outbox.put(sequence, "error", status_of(refused).SerializeToString())

    async def _answer_slowly(self, call: _Call, slow: Slow) -> None:
        async with self._slots:
            await self._outbox.room()
            found: Message | Long | Refused = LATE if self._is_late(call) else await slow.find()
            if not isinstance(found, Long):
                self._answer(call, found)
                return
            refusal = await self._send(call, found)
        if refusal is None:
            self._settle(call)
        else:
            self._answer(call, refusal)

    async def _send(self, call: _Call, answer: Long) -> Refused | None:
        """Encode a large answer when it is its turn, and send it; gives why that cannot be."""
        hold = self._inflight.hold(self._abandon)
        try:
            async with self._outbox.turn():
                async with self._inflight.encoding:
                    if self._is_late(call):
                        return LATE
                    data = await self._dispatcher.encoded(answer)
                    if isinstance(data, Refused):
                        return data
                    await hold.grow(size_of(data))
                await self._outbox.send(call.sequence, call.name, data, hold.progress)
        finally:
            hold.release()
        return None

    # Writing.

    async def write(self, send: Callable[[SessionResponse | bytes], Any]) -> None:
        """Send answers until the stream ends."""
        async for message in self._outbox.messages():
            await send(message)

    def end(self, reason: str) -> None:
        """Let the stream end when all that it has taken is answered, or after a while."""
        self._ending = reason
        if self._unanswered:
            asyncio.get_running_loop().call_later(FINISH_SECONDS, self._outbox.end, reason)
        else:
            self._outbox.end(reason)

    def close(self) -> None:
        """Answer nothing any more: what is only read for this client is not read, and what it holds is let go."""
        self._outbox.close()
        self._parts.drop()
        for task in self._reads:
            task.cancel()
