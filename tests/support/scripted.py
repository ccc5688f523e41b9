"""A daemon that only says what a test has written down for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from grpc import aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.rpc.errors import status_of
from lastgood_proto import proof
from lastgood_proto.v1 import process_pb2, process_pb2_grpc, server_pb2, session_pb2, session_pb2_grpc, state_pb2

Scene = Callable[["Stage"], Awaitable[None]]


class ClientGoneError(Exception):
    """The client has ended the connection."""


class Stage:
    """One connection."""

    def __init__(
        self,
        requests: AsyncIterator[session_pb2.SessionRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> None:
        self._requests = requests
        self._context = context

    async def open(self, version: str) -> session_pb2.OpenSession:
        """Take the opening, and open the session that is asked for."""
        asked = (await anext(self._requests)).open
        server = server_pb2.ServerInfo(daemon_id="scripted", version=version)
        opened = session_pb2.SessionOpened(session_id=asked.session_id or "a session", server=server)
        await self._context.write(session_pb2.SessionResponse(opened=opened))
        return asked

    async def call(self) -> session_pb2.Call:
        """Take a message with one call that is not about the server."""
        async for message in self._requests:
            for call in message.calls:
                if call.WhichOneof("operation") != "get_server_info":
                    return call
                await self.answer(call, get_server_info=server_pb2.GetServerInfoResponse())
        raise ClientGoneError

    async def answer(self, call: session_pb2.Call, **result: Any) -> None:  # noqa: ANN401 - any response
        reply = session_pb2.Reply(sequence=call.sequence, **result)
        await self._context.write(session_pb2.SessionResponse(replies=[reply]))

    async def refuse(self, call: session_pb2.Call, reason: str) -> None:
        await self.answer(call, error=status_of(Refused(reason, "as the test wants it")))

    async def set_to(self, call: session_pb2.Call, revision: int) -> None:
        response = state_pb2.SetResponse()
        response.header.revision = revision
        await self.answer(call, set=response)


SECRET = "of the scripted daemon"  # noqa: S105 - of a daemon that only tests have
"""What an endpoint.json that leads to it has to name."""


class Identified(process_pb2_grpc.ProcessServiceServicer):
    """Says that it is the scripted daemon."""

    async def Identify(  # noqa: N802 - as in the contract
        self, request: process_pb2.IdentifyRequest, context: aio.ServicerContext[Any, Any]
    ) -> process_pb2.IdentifyResponse:
        del context
        return process_pb2.IdentifyResponse(daemon_id="scripted", proof=proof.of_identity(SECRET, request.nonce))

    async def ShutDown(  # noqa: N802
        self, request: process_pb2.ShutDownRequest, context: aio.ServicerContext[Any, Any]
    ) -> process_pb2.ShutDownResponse:
        raise NotImplementedError


class ScriptedDaemon(session_pb2_grpc.SessionServiceServicer):
    """Plays one scene a connection, and then ends that connection; the last one again and again."""

    def __init__(self, path: Path, *scenes: Scene) -> None:
        self.address = f"unix:{path}"
        self._scenes = list(scenes)
        self._server = aio.server()
        process_pb2_grpc.add_ProcessServiceServicer_to_server(Identified(), self._server)
        session_pb2_grpc.add_SessionServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.stop(0)

    async def Session(  # type: ignore[override]  # noqa: N802 - as in the contract, in the other of its two forms
        self,
        request_iterator: AsyncIterator[session_pb2.SessionRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> None:
        scene = self._scenes.pop(0) if len(self._scenes) > 1 else self._scenes[0]
        with suppress(ClientGoneError):
            await scene(Stage(request_iterator, context))
