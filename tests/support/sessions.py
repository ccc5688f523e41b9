"""The session protocol by hand: what a client library in another language would send and see."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any, Self

from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from lastgood_proto.v1 import common_pb2, session_pb2, session_pb2_grpc, state_pb2

ANSWER_SECONDS = 20.0


class RawSession:
    """One connection of a session."""

    def __init__(self, address: str, session_id: str = "", token: str | None = None) -> None:
        self._address = address
        self._asked_for = session_id
        self._metadata = (("authorization", f"Bearer {token}"),) if token is not None else None
        self._replies: deque[session_pb2.Reply] = deque()
        self.session_id = ""
        self.going_away = ""

    async def __aenter__(self) -> Self:
        await self.connect()
        await self.send(session_pb2.SessionRequest(open=session_pb2.OpenSession(session_id=self._asked_for)))
        response = await self.receive()
        assert response is not None
        self.session_id = response.opened.session_id
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Begin the stream, without a word on it."""
        options = [("grpc.max_receive_message_length", 16 * 1024 * 1024), ("grpc.max_send_message_length", 16 * 1024 * 1024)]
        self._channel = aio.insecure_channel(self._address, options=options)
        self.stream = session_pb2_grpc.SessionServiceStub(self._channel).Session(metadata=self._metadata)

    async def close(self) -> None:
        self.stream.cancel()
        await self._channel.close()

    async def send(self, message: session_pb2.SessionRequest) -> None:
        await self.stream.write(message)

    async def receive(self) -> session_pb2.SessionResponse | None:
        """The next message; nothing at the end of the stream."""
        async with asyncio.timeout(ANSWER_SECONDS):
            response = await self.stream.read()
        return response if isinstance(response, session_pb2.SessionResponse) else None

    async def call(self, *calls: session_pb2.Call, acknowledged: int = 0) -> session_pb2.Reply:
        """Send calls in one message, and wait for the answer to the first."""
        await self.send(session_pb2.SessionRequest(acknowledged=acknowledged, calls=calls))
        return await self.reply(calls[0].sequence)

    async def reply(self, sequence: int) -> session_pb2.Reply:
        """The next answer to that number."""
        while True:
            for reply in self._replies:
                if reply.sequence == sequence:
                    self._replies.remove(reply)
                    return reply
            response = await self.receive()
            assert response is not None, f"the stream ended without an answer to {sequence}: {self.going_away}"
            self._replies.extend(response.replies)
            self.going_away = response.going_away.message or self.going_away

    async def end(self) -> str:
        """Wait for the end of the stream, and give what was said about it."""
        while (response := await self.receive()) is not None:
            self._replies.extend(response.replies)
            self.going_away = response.going_away.message or self.going_away
        return self.going_away


def writing(state_id: str, **context: Any) -> common_pb2.WriteContext:  # noqa: ANN401 - its fields
    """The context of a write into a state."""
    return common_pb2.WriteContext(state=common_pb2.StateRef(state_id=state_id), **context)


def json(text: str) -> common_pb2.Value:
    return common_pb2.Value(json=text)


def increment(sequence: int, state_id: str, path: str = "n", **call: Any) -> session_pb2.Call:  # noqa: ANN401
    request = state_pb2.IncrementRequest(context=writing(state_id), path=path, by=json("1"))
    return session_pb2.Call(sequence=sequence, increment=request, **call)


def read(sequence: int, state_id: str, path: str = "", **call: Any) -> session_pb2.Call:  # noqa: ANN401
    request = state_pb2.ReadRequest(state=common_pb2.StateRef(state_id=state_id), path=path)
    return session_pb2.Call(sequence=sequence, read=request, **call)


def reason_of(reply: session_pb2.Reply) -> str:
    """The reason of a refusal."""
    assert reply.WhichOneof("result") == "error", reply
    return details_of(reply.error)[0]


def told(reply: session_pb2.Reply) -> object:
    """What a reply says: an encoded map has no order, so that two refusals may say the same in other bytes."""
    if reply.WhichOneof("result") != "error":
        return reply
    return reply.sequence, reply.error.code, reply.error.message, details_of(reply.error)


def details_of(status: status_pb2.Status) -> tuple[str, dict[str, str]]:
    """Reason and metadata of a status that has the one detail that the contract promises."""
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert info.domain == "lastgood"
    return info.reason, dict(info.metadata)
