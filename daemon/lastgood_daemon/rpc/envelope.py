"""Answers with large values, which are never one message.

A message of protobuf copies what is put into it, and all of it again when it is encoded: with a value of 40 MB each of these
holds the interpreter for 30 ms, whichever thread does it. So a large value stays outside its message. A mark stands for it,
which begins as no MessagePack does, and the encoding is made around the pieces that the value has anyway:

    message   ReadResponse(existed, value=Value(msgpack=C1 0))       values   [[piece, piece, piece]]
    encoded   existed   value: tag, size   msgpack: tag, size   piece   piece   piece
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from google.protobuf.message import Message

from lastgood_daemon.engine.encoded import gathered, joined
from lastgood_daemon.rpc.incoming import varint
from lastgood_proto.v1.common_pb2 import Value

Pieces = list[bytes]
_MARK = b"\xc1"

_outside: ContextVar[list[Pieces] | None] = ContextVar("outside", default=None)


class Envelope(NamedTuple):
    """A message, and the large values that stay outside it."""

    message: Message
    values: list[Pieces]
    form: int = Value.MSGPACK_FIELD_NUMBER
    """Which field of ``Value`` these are."""

    @classmethod
    def around(cls, make: Callable[[], Message]) -> "Envelope":
        """Make a message, with large values outside it."""
        with outside() as values:
            return cls(make(), values)

    def encoded(self) -> Pieces:
        """Return the encoding of the whole, in pieces. The message is of no use afterwards."""
        return [*gathered(self._encode(self.message))] if self.values else [self.message.SerializeToString()]

    def _encode(self, message: Message) -> Pieces:
        if isinstance(message, Value):
            return self._encode_value(message)
        below: Pieces = []
        for field, found in message.ListFields():
            if field.message_type is not None:
                for child in found if field.is_repeated else (found,):
                    below += _field(field.number, self._encode(child))
                message.ClearField(field.name)
        return [message.SerializeToString(), *below]

    def _encode_value(self, value: Value) -> Pieces:
        number = marked(value)
        return [value.SerializeToString()] if number is None else _field(self.form, self.values[number])


@contextmanager
def outside() -> Iterator[list[Pieces]]:
    """Have ``large`` keep what it is given outside the messages that are made meanwhile, in the list that comes of this."""
    values: list[Pieces] = []
    token = _outside.set(values)
    try:
        yield values
    finally:
        _outside.reset(token)


def large(pieces: Pieces) -> Value:
    """Return what stands in a message for a large value; the value itself where nothing is kept outside."""
    values = _outside.get()
    if values is None:
        return Value(msgpack=joined(pieces))
    values.append(pieces)
    return Value(msgpack=_MARK + (len(values) - 1).to_bytes(4))


def bytes_outside() -> int:
    """Return how many bytes are outside the messages so far."""
    return sum(map(size_of, _outside.get() or ()))


def size_of(pieces: Pieces) -> int:
    """Return how many bytes pieces have together."""
    return sum(map(len, pieces))


def marked(value: Value) -> int | None:
    """Return the number of the large value that a message has a mark for."""
    return int.from_bytes(value.msgpack[1:]) if value.msgpack[:1] == _MARK else None


def field_head(number: int, size: int) -> bytes:
    """Encode what stands before a field of bytes, or of a message, of that size."""
    return varint(number << 3 | _WITH_LENGTH) + varint(size)


def _field(number: int, pieces: Pieces) -> Pieces:
    return [field_head(number, size_of(pieces)), *pieces]


_WITH_LENGTH = 2
