"""Decoding the changes of a large revision a little at a time.

One call that decodes 100,000 changes holds the interpreter for 50 ms, whichever thread makes it. What is nested in a large
change, the items of a splice and the changes of a patch, is gone through in the same way.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from lastgood_daemon.engine.change import Change, Patch, SimpleChange, Splice
from lastgood_daemon.engine.encoded import PIECE_BYTES, Encoded, open_list, pieces
from lastgood_proto.paths import Path

T = TypeVar("T")

_changes = msgspec.msgpack.Decoder(list[Change]).decode
_change = msgspec.msgpack.Decoder(Change).decode
_simple_changes = msgspec.msgpack.Decoder(list[SimpleChange]).decode
_simple_change = msgspec.msgpack.Decoder(SimpleChange).decode
_items = msgspec.msgpack.Decoder(list[bytes]).decode
_item = msgspec.msgpack.Decoder(bytes).decode
_tag = msgspec.msgpack.Decoder(str).decode
_splice = msgspec.msgpack.Decoder(tuple[str, Path, int, int, Raw]).decode
_patch = msgspec.msgpack.Decoder(tuple[str, Path, Raw]).decode


def decoded_list(data: Encoded, many: Callable[[Any], list[T]], one: Callable[[Any], T]) -> list[T]:
    """Return the items of a list.

    Args:
        data: the list, as bytes.
        many: decodes a list of some of them.
        one: decodes one that is large.

    Raises:
        msgspec.DecodeError: the bytes are no such list.
        ValueError: they are no MessagePack.
    """
    found: list[T] = []
    for piece in pieces(data):
        found.extend(many(piece) if memoryview(piece).nbytes <= 2 * PIECE_BYTES else map(one, open_list(piece)))
    return found


def decoded_changes(data: Encoded) -> tuple[Change, ...]:
    """Return the changes of a list of them; raises as ``decoded_list`` does."""
    return tuple(decoded_list(data, _changes, _of_one))


def _of_one(data: Raw) -> Change:
    if memoryview(data).nbytes > PIECE_BYTES:
        match _tag(open_list(data)[0]):
            case "d":
                _, path, inner = _patch(data)
                return Patch(path, tuple(decoded_list(inner, _simple_changes, _of_simple)))
            case "s":
                return _spliced(data)
    return _change(data)


def _of_simple(data: Raw) -> SimpleChange:
    if memoryview(data).nbytes > PIECE_BYTES and _tag(open_list(data)[0]) == "s":
        return _spliced(data)
    return _simple_change(data)


def _spliced(data: Raw) -> Splice:
    _, path, index, removed, items = _splice(data)
    return Splice(path, index, removed, decoded_list(items, _items, _item))
