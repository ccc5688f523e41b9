"""Bytes of a value that came from elsewhere: checked, and in their shortest form.

The client sends the shortest form already, other programs need not. A large value is taken apart and checked part by part:
so a thread lets others run in between, where one call over 11 MB would hold the interpreter.
"""

from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterator
from itertools import chain

import msgspec
from msgpack import StackError

from lastgood_daemon.engine.encoded import (
    PIECE_BYTES,
    Encoded,
    is_list,
    is_map,
    joined,
    length_in,
    list_head,
    map_head,
    open_list,
    open_map,
    pieces,
)
from lastgood_proto.paths import MAX_DEPTH, Path
from lastgood_proto.values import InvalidValue, check

_PIECE_BYTES = PIECE_BYTES + PIECE_BYTES // 4
"""Above this, a value is checked part by part. A piece of a list is a little more than one of ``PIECE_BYTES``."""
_NAMES = 1024
"""Checked at once."""
_TEXT, _BYTES = 0xDB, 0xC6
"""The first byte of those that are as long."""
_HEAD_BYTES = 5

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_text = getincrementaldecoder("utf-8")


def canonical(encoded: bytes) -> bytes:
    """Check a value and return its shortest form.

    Raises:
        InvalidValue: the bytes are no MessagePack, or the value is outside the model.
    """
    if len(encoded) <= _PIECE_BYTES:
        return _checked(encoded, ())
    try:
        try:
            return _joined(encoded, _parts(encoded, ()))
        except InvalidValue:
            if is_list(encoded) or is_map(encoded):
                deque(pieces(encoded), maxlen=0)  # what is no MessagePack is named first, as where all is checked at once
            raise
    except StackError as error:  # of what takes it apart; an error of msgpack that has no message
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidValue(msg) from error
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        if isinstance(error, InvalidValue):
            raise
        msg = f"not one MessagePack value: {error}"
        raise InvalidValue(msg) from error


def _checked(encoded: Encoded, path: Path) -> bytes:
    """Check a value at once, and return its shortest form."""
    try:
        value = _decode(encoded)
    except RecursionError as error:  # which Python raises at how many levels differs
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidValue(msg, path=path[:3]) from error
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        msg = f"not one MessagePack value: {error}"
        raise InvalidValue(msg) from error
    check(value, path)
    return _encode(value)


def _parts(encoded: Encoded, path: Path) -> Iterator[bytes]:
    """Return the shortest form in parts."""
    if memoryview(encoded).nbytes > _PIECE_BYTES:
        if is_list(encoded):
            return _of_list(encoded, path)
        if is_map(encoded) and (children := _children_of(encoded)) is not None:
            return _of_map(children, path)
        if _is_long_text(encoded):
            return _of_text(encoded)
    return iter((_checked(encoded, path),))


def _of_list(encoded: Encoded, path: Path) -> Iterator[bytes]:
    check([], path)
    yield list_head(length_in(encoded))
    before = 0
    for piece in pieces(encoded):
        size = length_in(piece)
        whole = _canonical_items(piece, path)
        if whole is None:  # one is large, or wrong: which one is found out here
            for index, item in enumerate(open_list(piece), before):
                yield from _parts(item, (*path, str(index)))
        else:
            yield whole
        before += size


def _canonical_items(piece: Encoded, path: Path) -> bytes | None:
    """Return the shortest form of the items of a piece of a list; None where something is wrong with one of them."""
    if memoryview(piece).nbytes > _PIECE_BYTES:
        return None
    try:
        value = _decode(piece)
        check(value, path)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None
    return _encode(value)[len(list_head(len(value))) :]


def _children_of(encoded: Encoded) -> dict[str, msgspec.Raw] | None:
    """Return the names of a map and what they have; None where a name is no text."""
    try:
        return open_map(encoded)
    except msgspec.ValidationError:
        return None


def _of_map(children: dict[str, msgspec.Raw], path: Path) -> Iterator[bytes]:
    check({}, path)
    yield map_head(len(children))
    names = [*children]
    for begin in range(0, len(names), _NAMES):
        check(dict.fromkeys(names[begin : begin + _NAMES]), path)
    names.reverse()
    while names:  # each is let go of on the way
        name = names.pop()
        yield _encode(name)
        yield from _parts(children.pop(name), (*path, name))


def _is_long_text(encoded: Encoded) -> bool:
    """Whether bytes are a text, or bytes, whose length is as their head says."""
    view = memoryview(encoded)
    return view[0] in (_TEXT, _BYTES) and int.from_bytes(view[1:_HEAD_BYTES]) == view.nbytes - _HEAD_BYTES


def _of_text(encoded: Encoded) -> Iterator[bytes]:
    view = memoryview(encoded)
    yield bytes(view[:_HEAD_BYTES])
    text = _text() if view[0] == _TEXT else None
    for begin in range(_HEAD_BYTES, view.nbytes, PIECE_BYTES):
        piece = bytes(view[begin : begin + PIECE_BYTES])
        if text is not None:
            text.decode(piece, final=begin + PIECE_BYTES >= view.nbytes)
        yield piece


def _joined(encoded: bytes, parts: Iterator[bytes]) -> bytes:
    """Put parts together. As long as they are what they were taken from, they are not kept, and nothing large is copied."""
    view, same = memoryview(encoded), 0
    for part in parts:
        end = same + len(part)
        if bytes(view[same:end]) != part:
            before = (view[begin : min(begin + PIECE_BYTES, same)] for begin in range(0, same, PIECE_BYTES))
            return joined(chain(before, (part,), parts))
        same = end
    return encoded if same == len(view) else bytes(view[:same])
