"""Requests that are too large to be parsed in one call, which would hold the interpreter for 30 ms.

A message of protobuf can be cut between any two of its fields, and the pieces, merged, are the message. So its encoding is
read from front to back: small fields are merged into the message some at a time, and a large one is opened, and read in the
same way. The bytes of a large value are set aside; a token that no client can know stands for them in the message:

    context | assignments [1] … [900]       merged, 64 KiB at a time
    assignments [901]:                      opened
        path                                merged
        value: msgpack, 40 MB               opened, and the bytes set aside

The bytes that come in are freed on the way, and hashed: the digest is that of ``SerializeToString(deterministic=True)``,
except where a map is so large that it is opened. Its entries are set aside, too, since to make a map of 100,000 larger takes
20 ms. Their order says nothing, and does not go into the digest.
"""

import secrets
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from io import BytesIO
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lastgood_daemon.authority.sessions import DIGEST_BYTES
from lastgood_daemon.rpc.incoming import PIECE_BYTES, WITH_LENGTH, BrokenStreamError, ends_of_fields, read_varint
from lastgood_proto.v1.common_pb2 import Value
from lastgood_proto.v1.session_pb2 import Call

_HEAD_BYTES = 20
"""What a tag and a length come to at most."""
_PAYLOAD = Value.DESCRIPTOR.fields_by_name["msgpack"]
_NO_VALUE = b"\xc1"
"""With which no MessagePack begins."""

M = TypeVar("M", bound=Message)
Parts = list[bytes] | list[memoryview]
Payloads = Mapping[bytes, bytes]
Entries = dict[str, list[dict[str, int]]]

_payloads: ContextVar[Payloads | None] = ContextVar("payloads", default=None)
_entries: ContextVar[Entries | None] = ContextVar("entries", default=None)


class Large(NamedTuple, Generic[M]):
    """A message that was read piece by piece."""

    message: M
    digest: bytes | None
    """As ``digest_of`` its request; None where that is so small that it was not opened."""
    payloads: Payloads
    """The values that were set aside, by token."""
    entries: Entries
    """The maps that were set aside, by token."""


def read_call(parts: Parts) -> Large[Call]:
    """Read a call from its encoding, which is taken out of the list part by part.

    Raises:
        BrokenStreamError: it is no message.
        DecodeError: it is no message, either.
    """
    return _Reader(parts).read(Call())


def read_request(name: str, request: M, parts: Parts) -> Large[M]:
    """Read the request of an operation into an empty message; like ``read_call``."""
    reader = _Reader(parts)
    reader.begin(name)
    return reader.read(request)


@contextmanager
def at_hand(large: Large[Any]) -> Iterator[None]:
    """Have what was set aside of a message found."""
    payloads, entries = _payloads.set(large.payloads), _entries.set(large.entries)
    try:
        yield
    finally:
        _payloads.reset(payloads)
        _entries.reset(entries)


def payload_of(value: Value) -> bytes:
    """Return the MessagePack of a value, also where it was set aside."""
    found, payloads = value.msgpack, _payloads.get()
    return found if payloads is None else payloads.get(found, found)


def entries_of(found: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the entries of a map; where they were set aside, only once, since they are freed on the way."""
    entries = _entries.get() or {}
    for name, number in found.items():
        if name not in entries:
            yield name, number
            continue
        some = entries.pop(name)
        while some:
            yield from some.pop().items()


class _Reader:
    """See the module."""

    def __init__(self, parts: Parts) -> None:
        self._source = _Source(parts)
        self._hash = blake2b(digest_size=DIGEST_BYTES)
        self._has_begun = False
        self._payloads: dict[bytes, bytes] = {}
        self._entries: Entries = {}

    def begin(self, name: str) -> None:
        """Note that what follows is the request of an operation."""
        self._hash.update(name.encode() + b"\0")
        self._has_begun = True

    def read(self, message: M) -> Large[M]:
        """Read all there is."""
        self._read(message, self._source.left)
        return Large(message, self._hash.digest() if self._has_begun else None, self._payloads, self._entries)

    def _read(self, message: Message, size: int) -> None:
        """Read so many bytes, which are a message or the rest of it."""
        end = self._source.left - size
        aside: dict[str, list[dict[str, int]]] = {}
        maps = [field.name for field in _fields_of(message).values() if _is_map(field)]
        while (left := self._source.left - end) > 0:
            window = self._source.peek(min(PIECE_BYTES, left))
            whole = 0
            for whole in ends_of_fields(window):  # noqa: B007 - the last one is asked for
                pass
            if not whole:
                self._open(message, left)
                continue
            piece = type(message).FromString(self._source.take(whole))
            for name in maps:
                aside.setdefault(name, []).append(dict(getattr(piece, name)))
                piece.ClearField(name)
            encoded = piece.SerializeToString(deterministic=True)
            message.MergeFromString(encoded)
            if isinstance(piece, Call):
                _open_envelope(piece)
                encoded = piece.SerializeToString(deterministic=True)
            self._hash.update(encoded)
        for name, entries in aside.items():
            self._set_entries_aside(getattr(message, name), entries)

    def _open(self, message: Message, left: int) -> None:
        """Read the next field, which is large; ``left`` is what there is of the message."""
        window = self._source.peek(min(_HEAD_BYTES, left))
        tag, at = read_varint(window, 0)
        size, at = read_varint(window, at)
        if tag & 7 != WITH_LENGTH or at + size > left:
            problem = "a message is cut off"
            raise BrokenStreamError(problem)
        field = _fields_of(message).get(tag >> 3)
        if field is None or (field is not _PAYLOAD and (field.message_type is None or _is_map(field))):
            run = self._source.take(at + size)
            message.MergeFromString(run)
            self._hash.update(run)
            return
        head = self._source.take(at)
        if isinstance(message, Call):
            self.begin(field.name)
        else:
            self._hash.update(head)
        if field is _PAYLOAD:
            self._set_aside(message, size)
        else:
            self._read(_child_of(message, field), size)

    def _set_aside(self, value: Any, size: int) -> None:  # noqa: ANN401 - a Value, as its descriptor says
        payload = _empty(size)
        for piece in self._source.pieces(size):
            self._hash.update(piece)
            payload.write(piece)
        value.msgpack = token = _NO_VALUE + secrets.token_bytes(16)
        self._payloads[token] = payload.getvalue()

    def _set_entries_aside(self, found: MutableMapping[str, int], entries: list[dict[str, int]]) -> None:
        total = sum(_number_of(entry) for some in entries for entry in some.items())
        if total:
            self._hash.update(str(total).encode())
            token = secrets.token_hex(16)
            found[token] = 0
            entries.reverse()  # the first is the last in the list, and taken first
            self._entries[token] = entries


def _empty(size: int) -> BytesIO:
    """Return where so many bytes can be written. What grows is copied as a whole now and then, in one call."""
    return BytesIO(bytes(size))


def _fields_of(message: Message) -> dict[int, FieldDescriptor]:
    fields: dict[int, FieldDescriptor] = message.DESCRIPTOR.fields_by_number  # type: ignore[assignment]  # two stubs of one class
    return fields


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _open_envelope(call: Call) -> None:
    """Leave nothing in a call but its request."""
    call.ClearField("sequence")
    call.ClearField("timeout_ms")
    call.ClearField("after")


def _number_of(entry: tuple[object, object]) -> int:
    return int.from_bytes(blake2b(repr(entry).encode(), digest_size=16).digest())


def _child_of(message: Message, field: FieldDescriptor) -> Message:
    """Return the message of a field: one more where the field is repeated."""
    child: Any = getattr(message, field.name)
    if field.is_repeated:
        added: Message = child.add()
        return added
    child.SetInParent()
    return child  # type: ignore[no-any-return]


class _Source:
    """Bytes in parts, read from front to back. What has been read is not kept."""

    def __init__(self, parts: Parts) -> None:
        self.left = sum(map(len, parts))
        self._parts: list[memoryview] = []
        while parts:
            self._parts.append(memoryview(parts.pop()))

    def peek(self, size: int) -> bytes:
        """Return the next so many bytes, of which there must be as many, without reading them."""
        gathered = bytearray()
        while len(gathered) < size:
            part, missing = self._parts.pop(), size - len(gathered)
            if not gathered and len(part) >= missing:
                self._parts.append(part)
                return bytes(part[:missing])
            gathered += part[:missing]
            if len(part) > missing:
                self._parts.append(part[missing:])
        found = bytes(gathered)
        self._parts.append(memoryview(found))
        return found

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        taken = _empty(size)
        for piece in self.pieces(size):
            taken.write(piece)
        return taken.getvalue()

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Read so many bytes, a few at a time."""
        self.left -= size
        while size:
            part = self._parts.pop()
            end = min(size, PIECE_BYTES)
            piece = part[:end]
            if len(part) > end:
                self._parts.append(part[end:])
            size -= len(piece)
            yield piece
