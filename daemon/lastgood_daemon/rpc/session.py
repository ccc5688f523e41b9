"""The session stream: many calls in a message, answers as they become ready.

One connection has a reader, which performs the calls as they come, and an outbox, which the stream empties; what has
gathered there goes into one message. Calls that were handed in are answered to whoever holds the session: a client that
lost its connection takes the session up on another, sends again what is unanswered, and finds what it had done recorded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from google.protobuf.message import DecodeError, Message
from grpc import StatusCode, aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.rpc.authorize import Principal, authenticate
from lastgood_daemon.rpc.dispatch import OPERATIONS, Caller, Dispatcher, Long, Translated
from lastgood_daemon.rpc.errors import abort, status_of
from lastgood_daemon.rpc.operations import Edge
from lastgood_daemon.rpc.unsettled import UnsettledWrites
from lastgood_proto.v1 import session_pb2, session_pb2_grpc
from lastgood_proto.values import MAX_BYTES

MAX_UNANSWERED = 2048
"""Calls of one connection that may be unanswered or unsent before no more are read."""
MESSAGE_BYTES = 1024 * 1024
"""A message of answers is closed at this size; an answer larger than it goes in parts."""
MAX_CALL_BYTES = MAX_BYTES + 1024 * 1024
"""What the parts of one call may come to: a value of the largest size, and what stands around it."""
FINISH_SECONDS = 2.0
"""How long a stream that is asked to end still answers what it has taken."""

log = logging.getLogger(__name__)


class BrokenStreamError(Exception):
    """The client does not keep to the protocol."""


class _Call(NamedTuple):
    """A call without its request, which may be large."""

    sequence: int
    timeout_ms: int
    after: int
    name: str
    translated: Translated


class _LongReply(NamedTuple):
    """An answer of which no reply has been made yet."""

    sequence: int
    name: str
    message: Message


_UNKNOWN = Translated(
    Refused("INVALID_ARGUMENT", "the call has no operation that this daemon knows"),
    as_json=False,
)


class Connection:
    """One connection of one session."""

    def __init__(self, dispatcher: Dispatcher, principal: Principal, session_id: str, unsettled: UnsettledWrites) -> None:
        self._dispatcher = dispatcher
        self._unsettled = unsettled
        self._held: set[asyncio.Task[None]] = set()
        self._principal = principal
        self._session_id = session_id
        self._outbox: deque[session_pb2.Reply] = deque()
        self._long: deque[_LongReply] = deque()
        self._unanswered = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._parts: list[bytes] = []
        self._ending = ""
        self._closed = False

    # Reading.

    async def read(self, requests: AsyncIterator[session_pb2.SessionRequest]) -> None:
        """Perform the calls of a stream until the client ends it."""
        try:
            async for message in requests:
                for call in message.calls:
                    self._perform(self._read_call(call), message.acknowledged)
                if message.HasField("part"):
                    await self._take(message.part, message.acknowledged)
                while self._unanswered + len(self._outbox) + len(self._long) >= MAX_UNANSWERED:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._closed = True
            self._changed.set()

    async def _take(self, part: session_pb2.Part, acknowledged: int) -> None:
        """Take a part of a large call, and perform the call with its last one. Nothing more is read meanwhile."""
        self._parts.append(part.data)
        if sum(map(len, self._parts)) > MAX_CALL_BYTES:
            problem = f"a call of more than {MAX_CALL_BYTES} bytes"
            raise BrokenStreamError(problem)
        if part.last:
            parts, self._parts = self._parts, []
            self._perform(await asyncio.to_thread(self._join, parts), acknowledged)

    def _join(self, parts: list[bytes]) -> _Call:
        # Put together piece by piece: filling 11 MB of new memory at once takes 10 ms, and the event loop waits meanwhile.
        whole = bytearray(sum(map(len, parts)))
        end = 0
        for part in parts:
            begin, end = end, end + len(part)
            whole[begin:end] = part
        parts.clear()
        call = session_pb2.Call()
        call.ParseFromString(whole)  # type: ignore[arg-type]  # it takes any bytes, its stubs do not
        del whole
        return self._read_call(call)

    def _read_call(self, call: session_pb2.Call) -> _Call:
        name = call.WhichOneof("operation") or ""
        translated = self._dispatcher.translate(name, getattr(call, name), self._principal) if name else _UNKNOWN
        return _Call(call.sequence, call.timeout_ms, call.after, name, translated)

    def _perform(self, call: _Call, acknowledged: int) -> None:
        sequence, name = call.sequence, call.name
        self._unanswered += 1
        if self._ending:
            self._answer(sequence, name, Refused("UNAVAILABLE", f"{self._ending}; nothing was written, connect again"))
            return
        writes = bool(name) and OPERATIONS[name].verb == "write"
        identity = Identity(self._session_id, sequence, acknowledged) if writes else None
        deadline = asyncio.get_running_loop().time() + call.timeout_ms / 1000 if call.timeout_ms else None
        caller = Caller(identity, deadline)
        if writes:
            write = self._unsettled.begin(sequence)

            def settle(answer: Message | Long | Refused) -> None:
                self._unsettled.settle(write)
                self._answer(sequence, name, answer)

            write.submission = self._dispatcher.perform(call.translated, caller, settle)
        elif call.after and self._unsettled.hold(call.after):
            task = asyncio.get_running_loop().create_task(self._perform_held(call, caller))
            self._held.add(task)
            task.add_done_callback(self._held.discard)
        else:
            self._dispatcher.perform(call.translated, caller, lambda answer: self._answer(sequence, name, answer))

    async def _perform_held(self, call: _Call, caller: Caller) -> None:
        await self._unsettled.settled(call.after)
        self._dispatcher.perform(call.translated, caller, lambda answer: self._answer(call.sequence, call.name, answer))

    # Writing.

    def _answer(self, sequence: int, name: str, answer: Message | Long | Refused) -> None:
        self._unanswered -= 1
        if self._closed:
            return
        if isinstance(answer, Long):
            self._long.append(_LongReply(sequence, name, answer.message))
        else:
            fields: dict[str, Any] = {"error": status_of(answer)} if isinstance(answer, Refused) else {name: answer}
            self._outbox.append(session_pb2.Reply(sequence=sequence, **fields))
        self._changed.set()

    async def messages(self) -> AsyncIterator[session_pb2.SessionResponse]:
        """Give the messages for the client, until it ends the stream or ``end`` is called."""
        while True:
            while self._outbox or self._long:
                for message in self._packed():
                    yield message
                if self._long:
                    for part in await asyncio.to_thread(_parts_of, self._long.popleft()):
                        yield part
            self._room.set()
            if self._closed:
                return
            if self._ending and not self._unanswered:
                yield session_pb2.SessionResponse(going_away=session_pb2.GoingAway(message=self._ending))
                return
            self._changed.clear()
            await self._changed.wait()

    def _packed(self) -> Iterator[session_pb2.SessionResponse]:
        message = session_pb2.SessionResponse()
        size = 0
        while self._outbox and size < MESSAGE_BYTES:
            reply = self._outbox.popleft()
            reply_size = reply.ByteSize()
            if reply_size > MESSAGE_BYTES:
                yield from _in_parts(reply)
                continue
            message.replies.append(reply)
            size += reply_size
        if size:
            yield message

    def end(self, reason: str) -> None:
        """Let the stream end when all that it has taken is answered, or after a while."""
        self._ending = reason
        self._changed.set()
        asyncio.get_running_loop().call_later(FINISH_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._unanswered = 0
        self._changed.set()


def _parts_of(answer: _LongReply) -> list[session_pb2.SessionResponse]:
    fields: dict[str, Any] = {answer.name: answer.message}
    return list(_in_parts(session_pb2.Reply(sequence=answer.sequence, **fields)))


def _in_parts(reply: session_pb2.Reply) -> Iterator[session_pb2.SessionResponse]:
    data = reply.SerializeToString()
    for start in range(0, len(data), MESSAGE_BYTES):
        end = start + MESSAGE_BYTES
        yield session_pb2.SessionResponse(part=session_pb2.Part(data=data[start:end], last=end >= len(data)))


class SessionService(session_pb2_grpc.SessionServiceServicer):
    """The sessions that are connected."""

    def __init__(self, edge: Edge, dispatcher: Dispatcher, token: str | None) -> None:
        self._edge = edge
        self._dispatcher = dispatcher
        self._token = token
        self._connections: dict[str, Connection] = {}
        # Those of a session stay as long as one of its connections, or a write that one of them has taken.
        self._unsettled: WeakValueDictionary[str, UnsettledWrites] = WeakValueDictionary()
        self._ending = ""

    @property
    def connected(self) -> int:
        """How many sessions are connected."""
        return len(self._connections)

    def end_all(self, reason: str) -> None:
        """End all streams, and all that come from now on."""
        self._ending = reason
        for connection in self._connections.values():
            connection.end(reason)

    async def Session(  # noqa: N802 - as in the contract
        self,
        request_iterator: AsyncIterator[session_pb2.SessionRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[session_pb2.SessionResponse]:
        """One connection of one session."""
        try:
            principal = authenticate(dict(context.invocation_metadata() or ()), self._token)
        except RefusedError as refusal:
            await abort(context, Refused.because(refusal))
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("open"):
            await context.abort(StatusCode.INVALID_ARGUMENT, "the first message of a session must open it")
            return
        session_id = await self._edge.authority.open_session(first.open.session_id)
        unsettled = self._unsettled.setdefault(session_id, UnsettledWrites())
        connection = Connection(self._dispatcher, principal, session_id, unsettled)
        before = self._connections.get(session_id)
        if before is not None:
            before.end("the session was taken up by another connection")
        self._connections[session_id] = connection
        if self._ending:
            connection.end(self._ending)
        reader = asyncio.get_running_loop().create_task(connection.read(request_iterator))
        try:
            opened = session_pb2.SessionOpened(session_id=session_id, server=self._edge.server)
            yield session_pb2.SessionResponse(opened=opened)
            async for message in connection.messages():
                yield message
        finally:
            if self._connections.get(session_id) is connection:
                del self._connections[session_id]
            reader.cancel()
        await self._report(reader, context)

    async def _report(self, reader: asyncio.Task[None], context: aio.ServicerContext[Any, Any]) -> None:
        """End the call with an error where the client did not keep to the protocol."""
        try:
            await reader
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        except (BrokenStreamError, DecodeError) as error:
            log.warning("ending a session: %s", error)
            await context.abort(StatusCode.INVALID_ARGUMENT, str(error))
