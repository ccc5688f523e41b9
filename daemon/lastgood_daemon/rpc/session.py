"""The session streams: who is connected, and how a stream begins and ends.

What is between is in ``connection.py``: many calls in a message, answers as they become ready.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode, aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.rpc.authorize import authenticate
from lastgood_daemon.rpc.connection import Connection
from lastgood_daemon.rpc.dispatch import Dispatcher
from lastgood_daemon.rpc.errors import abort
from lastgood_daemon.rpc.incoming import BrokenStreamError
from lastgood_daemon.rpc.inflight import InFlight
from lastgood_daemon.rpc.operations import Edge
from lastgood_daemon.rpc.presence import Presence
from lastgood_daemon.rpc.unsettled import UnsettledWrites
from lastgood_proto.v1 import session_pb2

SERVICE = session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name
OPEN_SECONDS = 10.0
"""Within which the first message of a stream must have come."""
MAX_SESSION_ID = 256
"""Characters; a longer id was given by no daemon."""
STANDS_STILL = Refused(
    "OVERLOADED",
    "the client takes no answers, and others wait for the memory that they take up; connect again for what is unanswered",
)

log = logging.getLogger(__name__)


class SessionService:
    """The sessions that are connected."""

    def __init__(self, edge: Edge, dispatcher: Dispatcher, inflight: InFlight, token: str | None) -> None:
        self._edge = edge
        self._dispatcher = dispatcher
        self._inflight = inflight
        self._token = token
        self._connections: dict[str, Connection] = {}
        # Those of a session stay as long as one of its connections, or a write that one of them has taken.
        self._unsettled: WeakValueDictionary[str, UnsettledWrites] = WeakValueDictionary()
        self._presences: WeakValueDictionary[str, Presence] = WeakValueDictionary()
        self._ending = ""

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what the server calls. Messages come and go as bytes: what is large is read and made piece by piece."""
        method: grpc.RpcMethodHandler[bytes, session_pb2.SessionResponse | bytes] = grpc.stream_stream_rpc_method_handler(
            self._session, response_serializer=_encoded
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Session": method})

    @property
    def connected(self) -> int:
        """How many sessions are connected."""
        return len(self._connections)

    def end_all(self, reason: str) -> None:
        """End all streams, and all that come from now on."""
        self._ending = reason
        for connection in self._connections.values():
            connection.end(reason)

    async def _session(self, _: object, context: aio.ServicerContext[Any, Any]) -> None:
        """Serve one connection of one session. Not by the iterator, which keeps each message until the next one comes."""

        async def receive() -> bytes | None:
            message = await context.read()
            return message if isinstance(message, bytes) else None

        try:
            principal = authenticate(dict(context.invocation_metadata() or ()), self._token)
        except RefusedError as refusal:
            await abort(context, Refused.because(refusal))
        asked_for = await self._opening(receive, context)
        session_id = await self._edge.authority.open_session(asked_for)
        loop = asyncio.get_running_loop()
        stands_still = loop.create_future()

        def abandon() -> None:
            if not stands_still.done():
                stands_still.set_result(None)

        unsettled = self._unsettled.setdefault(session_id, UnsettledWrites())
        presence = self._presences.setdefault(session_id, Presence())
        connection = Connection(self._dispatcher, self._inflight, unsettled, presence, principal, session_id, abandon)
        before = self._connections.get(session_id)
        if before is not None:
            before.end("the session was taken up by another connection")
        self._connections[session_id] = connection
        if self._ending:
            connection.end(self._ending)
        opened = session_pb2.SessionOpened(session_id=session_id, server=self._edge.server)
        await context.write(session_pb2.SessionResponse(opened=opened))
        reader = loop.create_task(connection.read(receive))
        writer = loop.create_task(connection.write(context.write))
        presence.connections += 1
        try:
            await asyncio.wait([writer, stands_still], return_when=asyncio.FIRST_COMPLETED)
        finally:
            presence.connections -= 1
            if self._connections.get(session_id) is connection:
                del self._connections[session_id]
            connection.close()
            reader.cancel()
            writer.cancel()
        if stands_still.done():
            log.warning("ending a session: %s", STANDS_STILL.message)
            await abort(context, STANDS_STILL)
        writer.result()
        await self._report(reader, context)

    async def _opening(self, receive: Callable[[], Awaitable[bytes | None]], context: aio.ServicerContext[Any, Any]) -> str:
        """Take the first message, and give the id of the session that it asks for."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                first = session_pb2.SessionRequest.FromString(await receive() or b"")
        except TimeoutError:
            await context.abort(StatusCode.DEADLINE_EXCEEDED, f"a session must be opened within {OPEN_SECONDS:g} s")
        except DecodeError:
            first = session_pb2.SessionRequest()
        if not first.HasField("open"):
            await context.abort(StatusCode.INVALID_ARGUMENT, "the first message of a session must open it")
        asked_for = first.open.session_id
        return asked_for if len(asked_for) <= MAX_SESSION_ID else ""

    async def _report(self, reader: asyncio.Task[None], context: aio.ServicerContext[Any, Any]) -> None:
        """End the call with an error where the client did not keep to the protocol."""
        try:
            await reader
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        except (BrokenStreamError, DecodeError) as error:
            log.warning("ending a session: %s", error)
            error.__traceback__ = None  # it keeps what was read last
            await context.abort(StatusCode.INVALID_ARGUMENT, str(error))


def _encoded(response: session_pb2.SessionResponse | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()
