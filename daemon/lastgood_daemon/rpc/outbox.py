"""The answers of one connection, from when they are ready until its client has taken them.

Each is encoded once, and joined to others as bytes: protobuf would copy it four times on its way into a message. What is
small gathers, and goes out in one message. What is large goes in parts, after what is small: one such answer at a time, and
the next is not even encoded before the client has taken the last part of it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from lastgood_daemon.rpc.envelope import Pieces, field_head, size_of
from lastgood_daemon.rpc.incoming import varint
from lastgood_proto.v1.session_pb2 import GoingAway, Part, Reply, SessionResponse

MESSAGE_BYTES = 256 * 1024
"""A message of answers is closed at this size; an answer larger than it goes in parts. To make and to send one takes about
a millisecond, on the event loop."""
FULL_BYTES = 256 * 1024
"""With so much waiting for the client no further call is performed whose answer would join it."""
MOST_GATHERED = 256
"""Answers that are kept back until others join them."""


class Outbox:
    """See the module."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the small answers that wait."""
        self._small: deque[tuple[bytes, int]] = deque()
        """Each as it stands in a message, and what it counts."""
        self._large: deque[_Large] = deque()
        self._sending = asyncio.Lock()
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()
        self._gathering = False
        self._goodbye: str | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._small)

    @property
    def is_full(self) -> bool:
        """Whether the client is to take some answers first."""
        return self.size >= FULL_BYTES

    def put(self, sequence: int, name: str, answer: bytes) -> None:
        """Send an encoded answer, which is the field of that name in a Reply. For a client that has gone, do nothing."""
        if self.closed:
            return
        head = _head(sequence, name, len(answer))
        size = len(head) + len(answer)
        if size > MESSAGE_BYTES:
            self._large.append(_Large([head, answer]))
        else:
            self._small.append((_REPLY + varint(size) + head + answer, size))
        self.size += size
        self._changed.set()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keep a few answers back for a moment: others are about to join them, and one message costs less than many."""
        self._gathering = len(self._small) < MOST_GATHERED
        try:
            yield
        finally:
            self._gathering = False
            self._changed.set()

    async def room(self) -> None:
        """Wait until there is room for more answers."""
        while self.is_full and not self.closed:
            await self.moved()

    async def moved(self) -> None:
        """Wait until the client has taken something, or ``move`` is called."""
        self._moved.clear()
        await self._moved.wait()

    def move(self) -> None:
        """Have whoever waits for room look again."""
        self._moved.set()

    def turn(self) -> asyncio.Lock:
        """Return what is held while a large answer is encoded and sent: a client gets one after the other."""
        return self._sending

    async def send(self, sequence: int, name: str, answer: Pieces, progress: Callable[[], None]) -> None:
        """Send a large answer, and return when the client has taken it. ``progress`` is called for each of its parts."""
        large = _Large([_head(sequence, name, size_of(answer)), *answer], progress)
        answer.clear()
        self._large.append(large)
        self._changed.set()
        await large.taken.wait()

    async def messages(self) -> AsyncIterator[SessionResponse | bytes]:
        """Give the messages for the client, until ``end`` or ``close`` is called."""
        while not self.closed:
            while self._large or (self._small and not self._gathering):
                for message in self._packed():
                    yield message
                    self._moved.set()
                if self._large:
                    large = self._large.popleft()
                    for part in large.parts():
                        yield part
                        large.progress()
                    self.size -= large.counted
                    large.taken.set()
                self._moved.set()
            if self._goodbye is not None and not self._small:
                yield SessionResponse(going_away=GoingAway(message=self._goodbye))
                return
            self._changed.clear()
            await self._changed.wait()

    def _packed(self) -> Iterator[bytes]:
        while self._small and not self._gathering:
            replies: list[bytes] = []
            size = 0
            while self._small and size < MESSAGE_BYTES:
                reply, reply_size = self._small.popleft()
                replies.append(reply)
                size += reply_size
            self.size -= size
            yield b"".join(replies)

    def end(self, goodbye: str) -> None:
        """Let the stream end, with a word, when all that waits has been taken."""
        self._goodbye = goodbye
        self._changed.set()

    def close(self) -> None:
        """Send nothing any more."""
        self.closed = True
        self._small.clear()
        self._large.clear()
        self.size = 0
        self._changed.set()
        self._moved.set()


class _Large:
    """An answer that goes in parts."""

    def __init__(self, pieces: Pieces, progress: Callable[[], None] | None = None) -> None:
        self.taken = asyncio.Event()
        self.progress = progress or _nothing
        self.counted = 0 if progress else size_of(pieces)
        self._pieces = pieces

    def parts(self) -> Iterator[bytes]:
        """Return the messages that it goes in. Each is made, and what it is made of let go of, when it is asked for."""
        left = size_of(self._pieces)
        pieces = deque([memoryview(piece) for piece in self._pieces])
        self._pieces.clear()
        while left:
            some: list[memoryview] = []
            room = MESSAGE_BYTES
            while room and pieces:
                piece = pieces.popleft()
                if len(piece) > room:
                    pieces.appendleft(piece[room:])
                some.append(piece[:room])
                room -= len(some[-1])
            left -= MESSAGE_BYTES - room
            yield _part(some, MESSAGE_BYTES - room, last=not left)


def _part(data: list[memoryview], size: int, *, last: bool) -> bytes:
    """Encode a message with a part: as one of protobuf it would be copied three times."""
    end = Part(last=last).SerializeToString()
    head = field_head(Part.DATA_FIELD_NUMBER, size)
    return b"".join((field_head(SessionResponse.PART_FIELD_NUMBER, len(head) + size + len(end)), head, *data, end))


def _head(sequence: int, name: str, size: int) -> bytes:
    """Encode what stands before an answer of that size in the encoding of its Reply."""
    return _SEQUENCE + varint(sequence) + _ANSWERS[name] + varint(size)


_SEQUENCE = varint(Reply.SEQUENCE_FIELD_NUMBER << 3)
_ANSWERS = {field.name: varint(field.number << 3 | 2) for field in Reply.DESCRIPTOR.fields if field.message_type is not None}
_REPLY = varint(SessionResponse.REPLIES_FIELD_NUMBER << 3 | 2)
"""The tags of fields."""


def _nothing() -> None:
    pass
