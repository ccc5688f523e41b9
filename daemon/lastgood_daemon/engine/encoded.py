"""Maps and lists as bytes, and how to take them apart one level.

What comes out are runs of bytes (``Raw``), so nothing below is looked at. A large one is gone through piece by piece: one
call over a list of 11 MB holds the interpreter for 5 ms and more, whichever thread makes it, and with it the event loop.
Pieces of three items would be:

    [a, b, c, d]      pieces: [a, b, c], [d]
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from struct import pack
from typing import Final

import msgspec
from msgpack import OutOfData, Unpacker
from msgspec import Raw

Encoded = bytes | memoryview | Raw

PIECE_BYTES: Final = 64 * 1024
"""About as much is taken apart at once: some 0.2 ms."""

_FEW_BYTES: Final = 128
_SELDOM: Final = 15
_SMALL: Final = 16
_MAP_HEADS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
_LIST_HEADS: Final = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
_WIDE: Final = {0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}
"""Where the items begin, by the first byte of lists that have their length after it."""
_open_map = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_open_list = msgspec.msgpack.Decoder(list[Raw]).decode


def is_map(data: Encoded) -> bool:
    """Whether bytes are a map; looks at the first."""
    return memoryview(data)[0] in _MAP_HEADS


def is_list(data: Encoded) -> bool:
    """Whether bytes are a list; looks at the first."""
    return memoryview(data)[0] in _LIST_HEADS


def open_map(data: Encoded) -> dict[str, Raw]:
    """Give the names of a map and what they have. Of a name that comes twice, the last counts.

    Raises:
        msgspec.DecodeError: the bytes end too early or too late, or a name is no text.
        ValueError: they are no MessagePack.
    """
    opened: dict[str, Raw] = {}
    for piece in pieces(data):
        opened.update(_open_map(piece))
    return opened


def open_list(data: Encoded) -> list[Raw]:
    """Give the items of a list; raises as ``open_map`` does."""
    opened: list[Raw] = []
    for piece in pieces(data):
        opened.extend(_open_list(piece))
    return opened


def iter_map(data: Encoded) -> Iterator[tuple[str, Raw]]:
    """Return the names of a map and what they have, a piece at a time, so a name may come twice; raises as ``open_map``."""
    for piece in pieces(data):
        yield from _open_map(piece).items()


def iter_list(data: Encoded) -> Iterator[Raw]:
    """Give the items of a list, a piece at a time; raises as ``open_map`` does."""
    for piece in pieces(data):
        yield from _open_list(piece)


def pieces(data: Encoded) -> Iterator[Encoded]:
    """Give a map or a list as several, each with some of what it has, in order; a small one as it is.

    Raises:
        msgspec.DecodeError: the bytes end too early or too late.
        ValueError: they are no MessagePack.
    """
    view = memoryview(data)
    if view.nbytes <= PIECE_BYTES:
        yield data
        return
    whole = Unpacker(_Reader(view), read_size=PIECE_BYTES, max_buffer_size=0)
    mapped = is_map(data)
    head = map_head if mapped else list_head
    try:
        size = whole.read_map_header() if mapped else whole.read_array_header()
        begin = end = whole.tell()
        held = 0
        often = view.nbytes // _FEW_BYTES > size  # to ask after each small item where it ends takes as long as to find it
        for number in range(1, size + 1):
            if mapped:
                whole.skip()
            whole.skip()
            held += 1
            if not often and number & _SELDOM and number < size:
                continue
            end = whole.tell()
            if end - begin >= PIECE_BYTES:
                yield head(held) + view[begin:end]
                begin, held = end, 0
    except OutOfData as error:
        message = "the data is truncated"
        raise msgspec.DecodeError(message) from error
    if end != view.nbytes:
        message = f"trailing characters (byte {end})"
        raise msgspec.DecodeError(message)
    yield head(held) + view[begin:end]


def length_in(data: Encoded) -> int:
    """Return how many items a list has, or names a map; looks at its head only."""
    view = memoryview(data)
    wide = _WIDE.get(view[0])
    return view[0] & (_SMALL - 1) if wide is None else int.from_bytes(view[1:wide])


def map_head(size: int) -> bytes:
    """Give what stands before that many names and values."""
    if size < _SMALL:
        return bytes((0x80 | size,))
    return pack(">BH", 0xDE, size) if size < 1 << 16 else pack(">BI", 0xDF, size)


def list_head(size: int) -> bytes:
    """Give what stands before that many items."""
    if size < _SMALL:
        return bytes((0x90 | size,))
    return pack(">BH", 0xDC, size) if size < 1 << 16 else pack(">BI", 0xDD, size)


def bytes_head(size: int) -> bytes:
    """Return what stands before that many bytes, where they are a value of their own."""
    if size >= 1 << 16:
        return pack(">BI", 0xC6, size)
    return pack(">BH", 0xC5, size) if size >= 1 << 8 else pack(">BB", 0xC4, size)


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts, small ones joined to about ``PIECE_BYTES``; a large one stays as it is, and is not copied."""
    some: list[bytes] = []
    size = 0
    for part in parts:
        if some and size + len(part) > PIECE_BYTES:
            yield b"".join(some)
            some, size = [], 0
        some.append(part)
        size += len(part)
    yield b"".join(some)


def joined(parts: Iterable[bytes]) -> bytes:
    """Return parts as one, copied piece by piece: one call that fills 40 MB of memory holds the interpreter for 30 ms."""
    pieces = [*gathered(parts)]
    if len(pieces) == 1:
        return pieces[0]
    # Made as large as it will be: what grows is copied as a whole now and then. What is all zero costs no memory yet, and
    # what only this refers to is written into.
    whole = BytesIO(bytes(sum(map(len, pieces))))
    pieces.reverse()
    while pieces:
        view = memoryview(pieces.pop())
        for begin in range(0, view.nbytes, PIECE_BYTES):
            whole.write(view[begin : begin + PIECE_BYTES])
    return whole.getvalue()  # what it has written into, not a copy


class _Reader:
    """Bytes, a part at a time."""

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def read(self, size: int) -> bytes:
        part, self._view = bytes(self._view[:size]), self._view[size:]
        return part
