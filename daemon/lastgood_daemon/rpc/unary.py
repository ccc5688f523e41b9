"""Every operation as a unary call, for grpcurl and for clients in other languages.

The methods are read from the contract: ``StateService.ListKeys`` is the operation ``list_keys`` of Call and Reply. They take
the same road as the calls of a session.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc import aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.sessions import Identity, key_session
from lastgood_daemon.engine.encoded import joined
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.rpc.authorize import Principal, authenticate
from lastgood_daemon.rpc.dispatch import (
    LONG_REQUEST_BYTES,
    OPERATIONS,
    Answer,
    Caller,
    Dispatcher,
    Long,
    Slow,
    Translated,
)
from lastgood_daemon.rpc.envelope import size_of
from lastgood_daemon.rpc.errors import abort
from lastgood_daemon.rpc.incoming import PIECE_BYTES, BrokenStreamError
from lastgood_daemon.rpc.inflight import Hold, InFlight
from lastgood_daemon.rpc.large import Large, at_hand, read_request
from lastgood_daemon.rpc.presence import UnaryCall
from lastgood_daemon.rpc.requests import text_of
from lastgood_proto.v1 import (
    checkpoints_pb2,
    history_pb2,
    maintenance_pb2,
    redaction_pb2,
    retention_pb2,
    server_pb2,
    state_pb2,
    transfer_pb2,
    workflows_pb2,
)

SERVICES: tuple[ServiceDescriptor, ...] = (
    state_pb2.DESCRIPTOR.services_by_name["StateService"],
    history_pb2.DESCRIPTOR.services_by_name["HistoryService"],
    checkpoints_pb2.DESCRIPTOR.services_by_name["CheckpointService"],
    workflows_pb2.DESCRIPTOR.services_by_name["WorkflowService"],
    retention_pb2.DESCRIPTOR.services_by_name["RetentionService"],
    maintenance_pb2.DESCRIPTOR.services_by_name["MaintenanceService"],
    redaction_pb2.DESCRIPTOR.services_by_name["RedactionService"],
    transfer_pb2.DESCRIPTOR.services_by_name["TransferService"],
    server_pb2.DESCRIPTOR.services_by_name["ServerService"],
)

SLOW_READS = 8
"""Of all unary calls, that are worked on at a time."""
RECEIVING = 4
"""Unary calls whose message is received at a time: how large it is is known only when it is there."""
RECEIVE_SECONDS = 5.0
"""Within which the message of a call must have come."""


def operation_name(method: str) -> str:
    """Give the name of the operation of a method."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()


def unary_handlers(dispatcher: Dispatcher, inflight: InFlight, token: str | None) -> Iterable[grpc.GenericRpcHandler]:
    """Make the handlers of all services but the sessions'."""
    slots, receiving = asyncio.Semaphore(SLOW_READS), asyncio.Semaphore(RECEIVING)
    for service in SERVICES:
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            # A call with one message is a short stream. As one, its message is received when there is room for it, and bytes
            # that cannot be read are answered by name, after who calls has been checked.
            method.name: grpc.stream_stream_rpc_method_handler(
                _Method(method, dispatcher, inflight, slots, receiving, token).call
            )
            for method in service.methods
        }
        yield grpc.method_handlers_generic_handler(service.full_name, methods)


class _Method:
    """One unary method."""

    def __init__(
        self,
        method: MethodDescriptor,
        dispatcher: Dispatcher,
        inflight: InFlight,
        slots: asyncio.Semaphore,
        receiving: asyncio.Semaphore,
        token: str | None,
    ) -> None:
        self._name = operation_name(method.name)
        self._request = message_factory.GetMessageClass(method.input_type)
        self._dispatcher = dispatcher
        self._inflight = inflight
        self._slots = slots
        self._receiving = receiving
        self._token = token
        self._write = OPERATIONS[self._name].verb == "write"

    async def _read(self, message: list[bytes]) -> Large[Any]:
        """Read the request of a call, which is taken out of the list."""
        if len(message[0]) > PIECE_BYTES:
            return await asyncio.to_thread(read_request, self._name, self._request(), message)
        return Large(self._request.FromString(message.pop()), None, {}, {})

    async def _translated(self, request: Large[Any], size: int, principal: Principal) -> Translated:
        def translated() -> Translated:
            with at_hand(request):
                return self._dispatcher.translate(self._name, request.message, principal, request.digest)

        return await asyncio.to_thread(translated) if size > LONG_REQUEST_BYTES else translated()

    async def call(self, _: object, context: aio.ServicerContext[Any, Any]) -> None:
        """Answer one call."""
        hold = self._inflight.hold(None)
        try:
            answer = await self._answer(hold, context)
        finally:
            hold.release()
        if isinstance(answer, Refused):
            await abort(context, answer)
        await context.write(answer if isinstance(answer, bytes) else answer.SerializeToString())

    async def _received(self, hold: Hold, context: aio.ServicerContext[Any, Any]) -> bytes:
        """Receive the message of a call, and hold what it costs: itself, and what it is taken apart into."""
        async with self._receiving:
            try:
                async with asyncio.timeout(RECEIVE_SECONDS):
                    message = await context.read()
            except TimeoutError:
                late = f"the message of the call did not come within {RECEIVE_SECONDS:g} s; nothing was done"
                await abort(context, Refused("DEADLINE_EXCEEDED", late))
            encoded_request = message if isinstance(message, bytes) else b""
            if len(encoded_request) > LONG_REQUEST_BYTES:
                await hold.grow(2 * len(encoded_request))
        return encoded_request

    async def _answer(self, hold: Hold, context: aio.ServicerContext[Any, Any]) -> Message | bytes | Refused:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Message | Slow | Refused] = loop.create_future()
        remaining = context.time_remaining()
        try:
            principal = authenticate(dict(context.invocation_metadata() or ()), self._token)
        except RefusedError as refusal:
            return Refused.because(refusal)
        received: list[bytes] = [await self._received(hold, context)]
        size = len(received[0])
        try:
            request = await self._read(received)
            key = text_of(request.message.context.idempotency_key, "idempotency_key") if self._write else ""
        except (BrokenStreamError, DecodeError) as error:
            message = f"the request is not an encoded {self._name} request: {error}"
            return Refused("INVALID_ARGUMENT", message, {"field": "request"})
        except RefusedError as refusal:
            return Refused.because(refusal)
        deadline = None if remaining is None else loop.time() + remaining
        listener = UnaryCall()
        self._dispatcher.look()
        translated = await self._translated(request, size, principal)
        del request
        identity = Identity(key_session(key), 1, digest=translated.digest) if key else None
        self._dispatcher.perform(translated, Caller(identity, deadline, listener), _setter(answered))
        # The call may be cancelled; what was handed in goes on all the same.
        try:
            answer = await asyncio.shield(answered)
            listener.has_heard = True
        except asyncio.CancelledError:
            listener.is_there = False
            raise
        return await self._found(answer, context) if isinstance(answer, Slow) else answer

    async def _found(self, slow: Slow, context: aio.ServicerContext[Any, Any]) -> Message | bytes | Refused:
        """Do a read that takes longer. What is large is encoded when there is room for it, and held until it is sent."""
        async with self._slots:
            found = await slow.find()
            if not isinstance(found, Long):
                return found
            hold = self._inflight.hold(_nothing)
            context.add_done_callback(lambda _: hold.release())  # type: ignore[arg-type]  # its stubs want a function of nothing
            async with self._inflight.encoding:
                pieces = await self._dispatcher.encoded(found)
                if isinstance(pieces, Refused):
                    return pieces
                await hold.grow(size_of(pieces))
                return await asyncio.to_thread(joined, pieces)  # grpc takes nothing else


def _setter(future: "asyncio.Future[Message | Slow | Refused]") -> Answer:
    def answer(result: Message | Slow | Refused) -> None:
        if not future.done():
            future.set_result(result)

    return answer


def _nothing() -> None:
    """What is on its way in one message cannot be called back; it goes when its connection does."""
