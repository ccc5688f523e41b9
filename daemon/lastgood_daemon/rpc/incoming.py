"""The messages of a session stream, taken apart piece by piece.

A message of 15 MiB may hold a million calls. Parsed at once they would take a hundred times its size. But a message of
protobuf can be cut between any two of its fields, and the pieces are messages themselves that together mean the same:

    acknowledged 7 | calls [1] | calls [2] | calls [3] …      one message of 15 MiB
    acknowledged 7 | calls [1] | calls [2]                    its first piece, parsed and performed
    calls [3] …                                               parsed when there is room for more
"""

from collections.abc import Iterator

from lastgood_proto.v1.session_pb2 import SessionRequest

PIECE_BYTES = 64 * 1024
"""What is parsed at once, unless one field alone is larger."""

# The wire types of protobuf.
_NUMBER = 0
WITH_LENGTH = 2
_SIZES = {_NUMBER: 0, 1: 8, WITH_LENGTH: 0, 5: 4}
"""What fields of each come to, besides their number or length."""
_MORE = 0x80


_CALL = SessionRequest.CALLS_FIELD_NUMBER << 3 | WITH_LENGTH

Encoded = bytes | memoryview


class BrokenStreamError(Exception):
    """The client does not keep to the protocol."""


def pieces_of(message: bytes) -> Iterator[SessionRequest | memoryview]:
    """Return a message as messages that are small, or have one field only, and calls that are large as they are encoded.

    Raises:
        BrokenStreamError: it is no message.
        DecodeError: it is no message, either.
    """
    if len(message) <= PIECE_BYTES:
        yield SessionRequest.FromString(message)
        return
    view = memoryview(message)
    begin = before = 0
    for end in ends_of_fields(message):
        if end - begin > PIECE_BYTES and before > begin:
            yield _parsed(view[begin:before])
            begin = before
        if end - begin > PIECE_BYTES and message[begin] == _CALL:
            yield view[read_varint(message, begin + 1)[1] : end]
            begin = end
        before = end
    if before != len(message):
        problem = "a message is cut off"
        raise BrokenStreamError(problem)
    if before > begin:
        yield _parsed(view[begin:])


def _parsed(piece: memoryview) -> SessionRequest:
    request = SessionRequest()
    request.ParseFromString(piece)  # type: ignore[arg-type]  # it takes any bytes, its stubs do not
    return request


def ends_of_fields(message: Encoded) -> Iterator[int]:
    """Return where each field of a message ends; a field that is cut off is left out, and what comes after it."""
    at = 0
    while at < len(message):
        try:
            tag, at = read_varint(message, at)
            kind = tag & 7
            if kind in (_NUMBER, WITH_LENGTH):
                number, at = read_varint(message, at)
                at += number if kind == WITH_LENGTH else 0
        except BrokenStreamError:
            return
        if kind not in _SIZES:
            problem = f"a message has a field of wire type {kind}"
            raise BrokenStreamError(problem)
        at += _SIZES[kind]
        if at > len(message):
            return
        yield at


def read_varint(message: Encoded, at: int) -> tuple[int, int]:
    """Read a number, and return it and where it ends."""
    if at < len(message) and (byte := message[at]) < _MORE:
        return byte, at + 1  # as nearly all of them are
    number = shift = 0
    while at < len(message) and shift < _VARINT_BITS:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _MORE:
            return number, at
        shift += 7
    problem = "a message is cut off"
    raise BrokenStreamError(problem)


_VARINT_BITS = 70


def varint(number: int) -> bytes:
    """Encode a number."""
    if number < _MORE:
        return number.to_bytes()
    encoded = bytearray()
    while number >= _MORE:
        encoded.append(number & 0x7F | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def sequence_of(call: bytes) -> int:
    """Return the number of a call of which only the beginning is there; 0 where it does not begin with it."""
    try:
        return read_varint(call, 1)[0] if call[:1] == _SEQUENCE else 0
    except BrokenStreamError:
        return 0


_SEQUENCE = b"\x08"
"""The tag of ``Call.sequence``, with which every client that keeps to the order of the fields begins."""
