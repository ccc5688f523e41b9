"""The standard services: health, and reflection. Neither keeps anything of what it is sent.

gRPC keeps the request of a call for as long as the call is open: a watch of a service whose name has 15 MiB would cost some
times that, for hours. Here each message is taken by hand, refused where it is larger than an honest one, and dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.rpc.errors import abort

MAX_REQUEST_BYTES = 4 * 1024
MAX_OPEN = 64
"""Watches and reflection streams at a time, of all clients."""

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

Context = aio.ServicerContext[Any, Any]
_Status = health_pb2.HealthCheckResponse


class Standard:
    """See the module. The daemon as a whole is the service with the name "" of the health service."""

    def __init__(self, services: list[str]) -> None:
        self._serving = False
        self._changed = asyncio.Event()
        self._open = 0
        self._reflection = reflection.aio.ReflectionServicer([*services, HEALTH, reflection.SERVICE_NAME])

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return what the server calls."""
        return (
            grpc.method_handlers_generic_handler(HEALTH, {"Check": by_hand(self._check), "Watch": by_hand(self._watch)}),
            grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": by_hand(self._reflect)}),
        )

    def set(self, *, serving: bool) -> None:
        """Say whether calls are answered."""
        self._serving = serving
        self._changed.set()
        self._changed = asyncio.Event()

    def _status(self, *, known: bool) -> bytes:
        if not known:
            return _Status(status=_Status.SERVICE_UNKNOWN).SerializeToString()
        return _Status(status=_Status.SERVING if self._serving else _Status.NOT_SERVING).SerializeToString()

    async def _check(self, _: object, context: Context) -> None:
        if await self._asked_for(context):
            await context.abort(StatusCode.NOT_FOUND, "there is no such service; the daemon as a whole is the service ''")
        await context.write(self._status(known=True))

    async def _watch(self, _: object, context: Context) -> None:
        known = not await self._asked_for(context)
        await self._enter(context)
        try:
            while True:
                changed = self._changed
                await context.write(self._status(known=known))
                await changed.wait()
        finally:
            self._open -= 1

    async def _reflect(self, _: object, context: Context) -> None:
        async def requests() -> AsyncIterator[Any]:
            while (message := await small(context)) is not None:
                try:
                    request = reflection_pb2.ServerReflectionRequest.FromString(message)
                except DecodeError:
                    await context.abort(StatusCode.INVALID_ARGUMENT, "this is no request of the reflection service")
                yield request

        await self._enter(context)
        try:
            responses: Any = self._reflection.ServerReflectionInfo(requests(), context)
            async for response in responses:
                await context.write(response.SerializeToString())
        finally:
            self._open -= 1

    async def _asked_for(self, context: Context) -> str:
        """Take a request of the health service, and give the name of the service in it."""
        try:
            return health_pb2.HealthCheckRequest.FromString(await small(context) or b"").service
        except DecodeError:
            await context.abort(StatusCode.INVALID_ARGUMENT, "this is no request of the health service")

    async def _enter(self, context: Context) -> None:
        if self._open >= MAX_OPEN:
            message = (
                f"{MAX_OPEN} streams of the health and reflection services are open already; end some, or ask again later"
            )
            await abort(context, Refused("OVERLOADED", message))
        self._open += 1


def by_hand(method: Callable[[object, Context], Awaitable[None]]) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """Make a handler whose messages are received when it asks for them; a call with one message is a short stream."""
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(method)
    return handler


async def small(context: Context) -> bytes | None:
    """Receive a message; nothing where there are no more."""
    message = await context.read()
    if not isinstance(message, bytes):
        return None
    size = len(message)
    if size > MAX_REQUEST_BYTES:
        del message  # the error that ends a call keeps what is in sight here
        await abort(
            context, Refused("TOO_LARGE", f"the request has {size} bytes; the limit of this service is {MAX_REQUEST_BYTES}")
        )
    return message
