"""What every call passes before anything of it is read: who calls is known by the headers alone.

So a caller without a right costs the daemon no memory, whatever service it names and however much it sends: also the health
service, reflection, and methods that there are not.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.rpc.authorize import authenticate
from lastgood_daemon.rpc.errors import abort

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class Door(aio.ServerInterceptor):
    """Refuses calls without the token, but for those of one service: who answers is asked before the token is sent."""

    def __init__(self, token: str, open_to_all: str) -> None:
        self._token = token
        self._open_to_all = f"/{open_to_all}/"

    async def intercept_service(self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - as gRPC has it
        """Let a call in, or have it answered without reading its message."""
        if str(handler_call_details.method).startswith(self._open_to_all):
            return await continuation(handler_call_details)
        try:
            authenticate(dict(handler_call_details.invocation_metadata or ()), self._token)
        except RefusedError as refusal:
            return _refusing(Refused.because(refusal))
        return await continuation(handler_call_details)


def _refusing(refused: Refused) -> Any:  # noqa: ANN401 - as gRPC has it
    async def refuse(_: object, context: aio.ServicerContext[Any, Any]) -> None:
        await abort(context, refused)

    # A stream, whatever the method is: of a stream nothing is received before it is asked for.
    return grpc.stream_stream_rpc_method_handler(refuse)
