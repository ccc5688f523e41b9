"""Bytes of a value that came from elsewhere: checked, and in their shortest form.

The client sends the shortest form already, other programs need not. A large value is taken apart and checked part by part:
so a thread lets others run in between, where one call over 11 MB would hold the interpreter.
"""

from collections.abc import Iterator

import msgspec

from lastgood_daemon.engine.encoded import (
    Encoded,
    is_list,
    is_map,
    length_in,
    list_head,
    map_head,
    open_list,
    open_map,
    pieces,
)
from lastgood_proto.paths import MAX_DEPTH, Path
from lastgood_proto.values import InvalidValue, check

_PIECE_BYTES = 256 * 1024
"""Above this, a value is checked part by part."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def canonical(encoded: bytes) -> bytes:
    """Check a value and give its shortest form.

    Raises:
        InvalidValue: the bytes are no MessagePack, or the value is outside the model.
    """
    return _canonical(encoded, ())


def _canonical(encoded: Encoded, path: Path) -> bytes:
    try:
        if memoryview(encoded).nbytes > _PIECE_BYTES:
            parts = _parts(encoded, path)
            if parts is not None:
                return _joined(encoded, parts)
        value = _decode(encoded)
    except RecursionError as error:  # which Python raises at how many levels differs
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidValue(msg, path=path[:3]) from error
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        if isinstance(error, InvalidValue):
            raise
        msg = f"not one MessagePack value: {error}"
        raise InvalidValue(msg) from error
    check(value, path)
    return _encode(value)


def _parts(encoded: Encoded, path: Path) -> Iterator[bytes] | None:
    """Give the shortest form in parts; nothing where it is neither a map nor a list, or a map with keys that are no text."""
    if is_list(encoded):
        check([], path)
        return _of_list(encoded, path)
    if is_map(encoded):
        try:
            children = open_map(encoded)
        except msgspec.ValidationError:
            return None
        check(dict.fromkeys(children), path)
        return _of_map(children, path)
    return None


def _of_list(encoded: Encoded, path: Path) -> Iterator[bytes]:
    yield list_head(length_in(encoded))
    before = 0
    for piece in pieces(encoded):
        size = length_in(piece)
        whole = _canonical_items(piece, path)
        if whole is None:  # one is large, or wrong: which one is found out here
            for index, item in enumerate(open_list(piece), before):
                yield _canonical(item, (*path, str(index)))
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


def _of_map(children: dict[str, msgspec.Raw], path: Path) -> Iterator[bytes]:
    yield map_head(len(children))
    for name, child in children.items():
        yield _encode(name)
        yield _canonical(child, (*path, name))


def _joined(encoded: Encoded, parts: Iterator[bytes]) -> bytes:
    """Put parts together. As long as they are what they were taken from, they are not kept, and nothing large is copied."""
    view, same = memoryview(encoded), 0
    for part in parts:
        end = same + len(part)
        if bytes(view[same:end]) != part:
            return b"".join((view[:same], part, *parts))
        same = end
    return encoded if isinstance(encoded, bytes) and same == len(view) else bytes(view[:same])
