"""Maps and lists as bytes, and how to take them apart one level.

What comes out are runs of bytes (``Raw``), so nothing below is looked at. A large one is gone through piece by piece: one
call over a list of 11 MB holds the interpreter for 5 ms and more, whichever thread makes it, and with it the event loop.
Pieces of three items would be:

    [a, b, c, d]      pieces: [a, b, c], [d]
"""

from collections import deque
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import repeat, starmap
from struct import pack
from typing import Final, NamedTuple

import msgspec
from msgpack import OutOfData, Unpacker
from msgspec import Raw

Encoded = bytes | memoryview | Raw

PIECE_BYTES: Final = 64 * 1024
"""About as much is taken apart at once: some 0.2 ms."""

_LARGE_BYTES: Final = 2 * PIECE_BYTES
_FEW_BYTES: Final = 128
_AT_ONCE: Final = 16
_SMALL: Final = 16
_MAP_HEADS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
_LIST_HEADS: Final = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
_WIDE: Final = {0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}
"""Where the items begin, by the first byte of lists that have their length after it."""
_SHORT_TEXT: Final = 0xA0
_TEXT_HEADS: Final = {0xD9: 2, 0xDA: 3, 0xDB: 5}
_LONG_TEXTS: Final = frozenset({0xC6, 0xDB})
_LONG_HEAD: Final = 5
_LARGE_READS: Final = 3
_MANY: Final = 10_000
"""Parts that are not large on the average, and are passed over at once."""
_text = msgspec.msgpack.Decoder(str).decode
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
    if memoryview(data).nbytes <= PIECE_BYTES:
        return _open_map(data)
    return dict(iter_map(data))


def open_list(data: Encoded) -> list[Raw]:
    """Give the items of a list; raises as ``open_map`` does."""
    return _open_list(data) if memoryview(data).nbytes <= PIECE_BYTES else [*iter_list(data)]


def iter_map(data: Encoded) -> Iterator[tuple[str, Raw]]:
    """Return the names of a map and what they have, a piece at a time, so a name may come twice; raises as ``open_map``."""
    if memoryview(data).nbytes <= PIECE_BYTES:
        yield from _open_map(data).items()
        return
    for piece in _cut(memoryview(data)):
        if piece.is_large and (end := _end_of_text(piece.view)):
            yield _text(piece.view[:end]), Raw(piece.view[end:])
        else:
            yield from _open_map(piece.whole()).items()


def iter_list(data: Encoded) -> Iterator[Raw]:
    """Give the items of a list, a piece at a time; raises as ``open_map`` does."""
    if memoryview(data).nbytes <= PIECE_BYTES:
        yield from _open_list(data)
        return
    for piece in _cut(memoryview(data)):
        if piece.is_large:
            yield Raw(piece.view)
        else:
            yield from _open_list(piece.whole())


def pieces(data: Encoded) -> Iterator[Encoded]:
    """Give a map or a list as several, each with some of what it has, in order; a small one as it is.

    Raises:
        msgspec.DecodeError: the bytes end too early or too late.
        ValueError: they are no MessagePack.
    """
    view = memoryview(data)
    return iter((data,)) if view.nbytes <= PIECE_BYTES else (piece.whole() for piece in _cut(view))


class _Piece(NamedTuple):
    """Some of what a map or a list has, and the head that belongs before it."""

    head: bytes
    view: memoryview
    is_large: bool
    """Whether it is one part alone, and that is so large that no single call should go through it."""

    def whole(self) -> bytes:
        """Return it with its head."""
        return joined((self.head, *sliced(self.view)))


def _cut(view: memoryview) -> Iterator[_Piece]:
    """Give a large map or list in pieces, one that is large alone."""
    whole = _Walk(view)
    mapped = is_map(view)
    head = map_head if mapped else list_head
    try:
        size = whole.read_head(mapped=mapped)
        begin = end = whole.tell()
        held = passed = 0
        often = view.nbytes // _FEW_BYTES > size  # to ask after each small item where it ends takes as long as to find it
        while passed < size:
            some = 1 if often else min(_AT_ONCE, size - passed)
            if often:
                whole.skip(1 if mapped else 0)
                whole.skip_large()
            else:
                whole.skip(2 * some if mapped else some)
            passed += some
            before, end = end, whole.tell()
            if held and often and end - before >= _LARGE_BYTES:
                yield _Piece(head(held), view[begin:before], is_large=False)
                begin, held = before, 0
            held += some
            if end - begin >= PIECE_BYTES:
                yield _Piece(head(held), view[begin:end], is_large=held == 1 and end - begin >= _LARGE_BYTES)
                begin, held = end, 0
    except OutOfData as error:
        message = "the data is truncated"
        raise msgspec.DecodeError(message) from error
    if end != view.nbytes:
        message = f"trailing characters (byte {end})"
        raise msgspec.DecodeError(message)
    if held:
        yield _Piece(head(held), view[begin:end], is_large=False)


class _Walk:
    """Goes over MessagePack from one value to the next."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._go_to(0)

    def _go_to(self, begin: int) -> None:
        if begin > self._view.nbytes:
            raise OutOfData
        self._begin = begin
        self._reader = _Reader(self._view[begin:])
        self._unpacker = Unpacker(self._reader, read_size=PIECE_BYTES, max_buffer_size=0)

    def tell(self) -> int:
        """Return where the next value begins."""
        return self._begin + int(self._unpacker.tell())

    def read_head(self, *, mapped: bool) -> int:
        """Return how many parts a map or a list has, and stand before the first."""
        return int(self._unpacker.read_map_header() if mapped else self._unpacker.read_array_header())

    def skip(self, count: int) -> None:
        """Go on behind so many values."""
        deque(starmap(self._unpacker.skip, repeat((), count)), maxlen=0)  # a loop in C: there may be 40 million

    def skip_large(self) -> None:
        """Go on behind a value that may be large: then over its parts one by one, and over long texts without reading them.

        The unpacker reads in all of a text, into a buffer that is copied as it grows.
        """
        values = 1
        while values:
            values -= 1
            at = self.tell()
            self._reader.allowed = _LARGE_READS
            try:
                self._unpacker.skip()
            except _LargeError:
                self._go_to(at)
                values += self._step_in()
        self._reader.allowed = -1

    def _step_in(self) -> int:
        """Return how many values there are in a large one, and stand before the first; none where it is passed over."""
        head = self._view[self._begin : self._begin + _LONG_HEAD]
        if head[0] in _LONG_TEXTS:
            self._go_to(self._begin + _LONG_HEAD + int.from_bytes(head[1:]))
            return 0
        mapped, listed = is_map(head), is_list(head)
        if not (mapped or listed) or length_in(head) > _MANY:
            self._unpacker.skip()
            return 0
        return self.read_head(mapped=mapped) * (1 + mapped)


def _end_of_text(view: memoryview) -> int:
    """Return where a text ends that stands at the beginning; 0 if there is none."""
    first = view[0]
    if first & 0xE0 == _SHORT_TEXT:
        return 1 + (first & 0x1F)
    wide = _TEXT_HEADS.get(first, 0)
    return wide and wide + int.from_bytes(view[1:wide])


def copied(data: Encoded) -> bytes:
    """Return a copy, made piece by piece."""
    view = memoryview(data)
    return bytes(view) if view.nbytes <= PIECE_BYTES else joined(sliced(view))


def sliced(view: memoryview) -> Iterator[memoryview]:
    """Return bytes a piece at a time."""
    return (view[begin : begin + PIECE_BYTES] for begin in range(0, view.nbytes, PIECE_BYTES))


def is_same(one: Encoded, other: Encoded) -> bool:
    """Whether both have the same bytes; looks at them piece by piece."""
    mine, yours = memoryview(one), memoryview(other)
    if mine.nbytes != yours.nbytes:
        return False
    if mine.nbytes <= PIECE_BYTES:
        return bytes(one) == bytes(other)
    starts = range(0, mine.nbytes, PIECE_BYTES)
    # As bytes: views are compared item by item, which takes a hundred times as long.
    return all(bytes(mine[start : start + PIECE_BYTES]) == bytes(yours[start : start + PIECE_BYTES]) for start in starts)


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


def gathered(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield parts, small ones joined to about ``PIECE_BYTES``; a large one stays as it is, and is not copied."""
    some: list[bytes | memoryview] = []
    size = 0
    for part in parts:
        if some and size + len(part) > PIECE_BYTES:
            yield b"".join(some)
            some, size = [], 0
        some.append(part)
        size += len(part)
    yield b"".join(some)


def joined(parts: Iterable[bytes | memoryview]) -> bytes:
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


class _LargeError(Exception):
    """A value goes on after as much as may be read of it at once."""


class _Reader:
    """Bytes, a part at a time."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.allowed = -1
        """How many parts may still be read; below 0: all."""

    def read(self, size: int) -> bytes:
        if not self.allowed:
            self.allowed = -1
            raise _LargeError
        self.allowed -= 1
        part, self._view = bytes(self._view[:size]), self._view[size:]
        return part
