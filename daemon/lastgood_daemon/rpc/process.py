"""The calls about the process itself: who answers at this address, and an end for a daemon that a client has started.

Neither wants a token: the first is asked before a client says anything, the second proves more than a token would. So
neither may cost memory; like those of the standard services their messages are small, and taken by hand.
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode, aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.rpc.errors import abort
from lastgood_daemon.rpc.standard import by_hand, small
from lastgood_proto import proof
from lastgood_proto.v1 import process_pb2
from lastgood_proto.v1.server_pb2 import ServerInfo

SERVICE = process_pb2.DESCRIPTOR.services_by_name["ProcessService"].full_name
REQUEST_SECONDS = 10.0
"""Within which the request of a call must have come."""

Context = aio.ServicerContext[Any, Any]


class Life(NamedTuple):
    """One life of a daemon, from its start to its end."""

    secret: str
    """Published in ``endpoint.json``, and never sent."""
    shut_down: Callable[[], None] | None
    """Begins the end; None where only its own service may end it."""


class ProcessService:
    """See the module."""

    def __init__(self, info: ServerInfo, life: Life) -> None:
        self._info = info
        self._life = life

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what the server calls."""
        methods = {"Identify": by_hand(self._identify), "ShutDown": by_hand(self._shut_down)}
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _identify(self, _: object, context: Context) -> None:
        """Say who answers, and show that it wrote ``endpoint.json``."""
        request = process_pb2.IdentifyRequest()
        await _receive(request, context)
        if not proof.MIN_NONCE_BYTES <= len(request.nonce) <= proof.MAX_NONCE_BYTES:
            text = f"nonce must be {proof.MIN_NONCE_BYTES} to {proof.MAX_NONCE_BYTES} bytes, got {len(request.nonce)}"
            await abort(context, Refused("INVALID_ARGUMENT", text, {"field": "nonce"}))
        info = self._info
        answer = process_pb2.IdentifyResponse(
            daemon_id=info.daemon_id,
            copy_id=info.copy_id,
            version=info.version,
            proof=proof.of_identity(self._life.secret, request.nonce),
        )
        await context.write(answer.SerializeToString())

    async def _shut_down(self, _: object, context: Context) -> None:
        """Begin the end of a daemon that a client has started."""
        request = process_pb2.ShutDownRequest()
        await _receive(request, context)
        if not hmac.compare_digest(request.proof, proof.of_shut_down(self._life.secret)):
            text = "this needs the secret in endpoint.json of the daemon's folder"
            await abort(context, Refused("UNAUTHENTICATED", text))
        if self._life.shut_down is None:
            text = "this daemon was not started by a client: stop it where it was started"
            await abort(context, Refused("PERMISSION_DENIED", text))
        await context.write(process_pb2.ShutDownResponse().SerializeToString())
        self._life.shut_down()


async def _receive(request: process_pb2.IdentifyRequest | process_pb2.ShutDownRequest, context: Context) -> None:
    """Read the request of a call."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            request.ParseFromString(await small(context) or b"")
    except TimeoutError:
        await context.abort(StatusCode.DEADLINE_EXCEEDED, f"the request must come within {REQUEST_SECONDS:g} s")
    except DecodeError:
        await context.abort(StatusCode.INVALID_ARGUMENT, "this is no request of this method")
