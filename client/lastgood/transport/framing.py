"""How calls become messages of the session stream.

A call is encoded once, when it is made. What differs between its first sending and a repetition, the time that is left, is
a second encoding beside it: in protobuf the concatenation of two encodings is their merge, so that

    bytes of Call{sequence, timeout_ms}  +  bytes of Call{set: ...}  =  bytes of Call{sequence, timeout_ms, set: ...}

and, in the same way, a SessionRequest is its head followed by one field ``calls`` for each call.
"""

from collections.abc import Iterator

from google.protobuf.message import Message

from lastgood_proto import values
from lastgood_proto.v1.session_pb2 import Call, Part, Reply, SessionRequest

MESSAGE_BYTES = 256 * 1024
"""Calls are joined up to this, and what is larger goes in pieces of this: the daemon takes a piece in a millisecond."""

CALL_BYTES = values.MAX_BYTES + 64 * 1024
"""Of one call: the largest value, and some room for what stands around it."""

_TIMEOUT_MAX = 2**32 - 1


def encode_call(name: str, request: Message) -> bytes:
    """Encode the part of a call that never changes."""
    encoded = request.SerializeToString()
    return b"".join((_TAGS[name], _varint(len(encoded)), encoded))


def envelope(sequence: int, seconds_left: float, after: int = 0) -> bytes:
    """Encode the rest of it: its identity, how long the caller still waits, and which writes it must not overtake."""
    # 0 means without limit, so a caller whose time is up still waits for a millisecond.
    timeout_ms = 0 if seconds_left > _TIMEOUT_MAX / 1000 else max(1, int(seconds_left * 1000))
    return Call(sequence=sequence, timeout_ms=timeout_ms, after=after).SerializeToString()


def join_calls(acknowledged: int, calls: list[bytes]) -> bytes:
    """Make one message of whole calls."""
    pieces = [SessionRequest(acknowledged=acknowledged).SerializeToString()]
    for call in calls:
        pieces += (_CALLS_TAG, _varint(len(call)), call)
    return b"".join(pieces)


def split_call(acknowledged: int, call: bytes) -> Iterator[tuple[bytes, bool]]:
    """Make the messages of a call that is too large for one, each with whether it is the last."""
    for start in range(0, len(call), MESSAGE_BYTES):
        end = start + MESSAGE_BYTES
        last = end >= len(call)
        part = Part(data=call[start:end], last=last)
        yield SessionRequest(acknowledged=acknowledged, part=part).SerializeToString(), last


class ReplyPieces:
    """Puts the pieces of a large answer together."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, part: Part) -> Reply | None:
        """Take the next piece; give the answer with the last one."""
        self._pieces.append(part.data)
        if not part.last:
            return None
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return Reply.FromString(whole)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _tag(number: int) -> bytes:
    """What stands before the length and the content of a field that is a message."""
    return _varint(number << 3 | 2)


_CALLS_TAG = _tag(SessionRequest.CALLS_FIELD_NUMBER)
_TAGS = {field.name: _tag(field.number) for field in Call.DESCRIPTOR.oneofs_by_name["operation"].fields}
