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
_WITH_LENGTH = 2
_FIXED = {1: 8, 5: 4}
_MORE = 0x80


class BrokenStreamError(Exception):
    """The client does not keep to the protocol."""


def pieces_of(message: bytes) -> Iterator[SessionRequest]:
    """Give a message as messages that are small, or have one field only.

    Raises:
        BrokenStreamError: it is no message.
        DecodeError: it is no message, either.
    """
    if len(message) <= PIECE_BYTES:
        yield SessionRequest.FromString(message)
        return
    view = memoryview(message)
    begin = before = 0
    for end in _ends_of_fields(message):
        if end - begin > PIECE_BYTES and before > begin:
            yield _parsed(view[begin:before])
            begin = before
        before = end
    yield _parsed(view[begin:])


def _parsed(piece: memoryview) -> SessionRequest:
    request = SessionRequest()
    request.ParseFromString(piece)  # type: ignore[arg-type]  # it takes any bytes, its stubs do not
    return request


def _ends_of_fields(message: bytes) -> Iterator[int]:
    """Give where each field of a message ends."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        kind = tag & 7
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind in (_NUMBER, _WITH_LENGTH):
            number, at = read_varint(message, at)
            at += number if kind == _WITH_LENGTH else 0
        else:
            problem = f"a message has a field of wire type {kind}"
            raise BrokenStreamError(problem)
        if at > len(message):
            break
        yield at
    if at != len(message):
        problem = "a message is cut off"
        raise BrokenStreamError(problem)


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Read a number; gives it and where it ends."""
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
