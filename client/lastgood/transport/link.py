"""One stream to one daemon, from its first message until it breaks."""

import asyncio
from urllib.parse import quote

import grpc
from grpc import aio

from lastgood.errors import LastgoodError
from lastgood.transport import forks
from lastgood.transport.status import incurable
from lastgood.transport.troubles import meaning
from lastgood_proto.v1.process_pb2 import DESCRIPTOR as PROCESS
from lastgood_proto.v1.process_pb2 import IdentifyRequest, IdentifyResponse
from lastgood_proto.v1.session_pb2 import DESCRIPTOR, OpenSession, SessionOpened, SessionRequest, SessionResponse

OPEN_SECONDS = 5.0
"""For one attempt at a stream; a caller's own time may end before."""

_IDENTIFY_SECONDS = 2.0
"""So short that a caller's usual time is enough to find a port taken by what never answers, and start another daemon."""
_SETTLING_SECONDS = 0.001
_METHOD = "/" + DESCRIPTOR.services_by_name["SessionService"].full_name + "/Session"
_IDENTIFY = "/" + PROCESS.services_by_name["ProcessService"].full_name + "/Identify"
_MEBIBYTE = 1024 * 1024
_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 16 * _MEBIBYTE),
    ("grpc.max_send_message_length", 16 * _MEBIBYTE),
    # Each attempt has a channel of its own, which must not wait for what an earlier one has found out. So grpc's backoff
    # plays no part; and its minimum is also the longest that connecting may take, so it is better left alone.
    ("grpc.use_local_subchannel_pool", 1),
    # A sidecar is not reached through the proxy that a web page is reached through.
    ("grpc.enable_http_proxy", 0),
]
_TCP_OPTIONS: list[tuple[str, int]] = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]


class LinkBrokenError(Exception):
    """The stream is over, and another one may be tried."""


class MisfitError(LinkBrokenError):
    """Something answers there, but not as it should: what has to change is the address, ``tls`` or what listens there."""


class NotSentError(LinkBrokenError):
    """The stream was over before a message was handed to it."""


def target_of(address: str) -> str:
    """Return an address as grpc reads it: as a URI, in which a folder's blanks and signs are escaped."""
    local = address.startswith("unix:")
    return "unix:" + quote(address.removeprefix("unix:")) if local else address


class Link:
    """A stream. ``open`` first, perhaps after ``identify``; then one task may receive while another one sends."""

    def __init__(self, address: str, token: str | None, credentials: grpc.ChannelCredentials | None) -> None:
        forks.mark_used()
        local = address.startswith("unix:")
        target = target_of(address)
        options = _OPTIONS if local else _OPTIONS + _TCP_OPTIONS
        if credentials is None or local:
            self._channel = aio.insecure_channel(target, options=options)
        else:
            self._channel = aio.secure_channel(target, credentials, options=options)
        self._token = token
        self._in_clear = credentials is None and not local
        self._stream: aio.StreamStreamCall[bytes, SessionResponse] | None = None

    async def identify(self, request: IdentifyRequest) -> IdentifyResponse:
        """Ask who answers. No token is sent yet.

        Raises:
            LinkBrokenError: nothing did.
            LastgoodError: it does not say.
        """
        ask: aio.UnaryUnaryMultiCallable[IdentifyRequest, IdentifyResponse] = self._channel.unary_unary(
            _IDENTIFY, IdentifyRequest.SerializeToString, IdentifyResponse.FromString
        )
        try:
            return await ask(request, timeout=_IDENTIFY_SECONDS)
        except (aio.AioRpcError, asyncio.CancelledError) as error:
            raise self._explained(_translated(error)) from None

    async def open(self, session_id: str, version: str) -> SessionOpened:
        """Open or take up a session.

        Raises:
            LinkBrokenError: it did not come about.
            LastgoodError: the daemon will not have it.
        """
        start: aio.StreamStreamMultiCallable[bytes, SessionResponse] = self._channel.stream_stream(
            _METHOD, response_deserializer=SessionResponse.FromString
        )
        metadata = (("authorization", f"Bearer {self._token}"),) if self._token is not None else None
        self._stream = start(metadata=metadata)
        limit = asyncio.timeout(OPEN_SECONDS)
        try:
            async with limit:
                opening = OpenSession(session_id=session_id, client_version=version)
                await self.send(SessionRequest(open=opening).SerializeToString())
                response = await self.receive()
        except TimeoutError:
            if not limit.expired():  # some of our own errors are TimeoutErrors too
                raise
            text = f"nothing answered within {OPEN_SECONDS:g} s"
            raise LinkBrokenError(text) from None
        except LinkBrokenError as error:
            raise self._explained(error) from None
        if not response.HasField("opened"):
            text = response.going_away.message or "the daemon opened no session"
            raise LinkBrokenError(text)
        return response.opened

    def _explained(self, error: BaseException) -> BaseException:
        """Say of a connection that did not come about what that means, where it is known."""
        if not isinstance(error, LinkBrokenError):
            return error
        text = meaning(str(error), in_clear=self._in_clear)
        return error if text is None else MisfitError(text)

    @property
    def _opened(self) -> "aio.StreamStreamCall[bytes, SessionResponse]":
        if self._stream is None:
            text = "the stream has not been opened"
            raise NotSentError(text)
        return self._stream

    async def send(self, message: bytes) -> None:
        """Send a message; waits while the daemon takes in none.

        Raises:
            NotSentError: nothing of it was sent.
            LinkBrokenError: it may have been sent.
        """
        try:
            await self._opened.write(message)
        except asyncio.InvalidStateError:  # how grpc says that it has not even tried
            text = "the stream is over"
            raise NotSentError(text) from None
        except (aio.AioRpcError, asyncio.CancelledError) as error:
            raise _translated(error) from None

    async def receive(self) -> SessionResponse:
        """The next message."""
        try:
            response = await self._opened.read()
        except (aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            raise _translated(error) from None
        if not isinstance(response, SessionResponse):
            text = "the daemon ended the stream"
            raise LinkBrokenError(text)
        return response

    def abort(self) -> None:
        """Break it: whoever receives finds it broken."""
        self._opened.cancel()

    async def close(self) -> None:
        """Give it up, once. Its socket stays open as long as anything refers to the call, so nothing here may."""
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close()
        del self._stream, self._channel
        # What grpc has begun and not finished when the loop ends, keeps that in memory for ever.
        await asyncio.sleep(_SETTLING_SECONDS)


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        # grpc raises this also where the stream, not the task, was cancelled, by either side.
        return error if task is not None and task.cancelling() else LinkBrokenError("the stream was cancelled")
    if isinstance(error, aio.AioRpcError):
        fatal: LastgoodError | None = incurable(error)
        return fatal or LinkBrokenError(error.details() or error.code().name)
    return LinkBrokenError("the stream is over")
