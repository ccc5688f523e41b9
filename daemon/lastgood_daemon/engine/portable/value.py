"""A stored value as JSON, so that exactly the same bytes come back.

Values are written in the usual JSON form (``lastgood_proto/jsonform.py``). Two things that it has no word for are, again,
maps of one key:

    bytes that the JSON form would change        {"$msgpack": "y3/4AAAAAAAB"}       a nan with other bits, say
    a value that has been taken out of the log   {"$redacted": {"digest": "9f…", "value": …}}

Only a change of the log may hold a redacted value: contents and metadata are what stands there now.
"""

import base64
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from lastgood_daemon.engine.encoded import (
    PIECE_BYTES,
    Encoded,
    is_list,
    is_map,
    joined,
    list_head,
    map_head,
    open_list,
    open_map,
    pieces,
)
from lastgood_daemon.engine.stored_value import DIGEST_BYTES, Redacted, redacted_of
from lastgood_proto import values
from lastgood_proto.jsonform import NotAValueError, from_plain, to_json
from lastgood_proto.paths import MAX_DEPTH

_MSGPACK, _REDACTED = "$msgpack", "$redacted"
_OWN = frozenset({_MSGPACK, _REDACTED})

MAX_LEVELS = 2 * MAX_DEPTH
"""Of a tree: a path that is as long as can be, and below it a value that is nested as deeply as can be."""


def stored_document(stored: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return a value of the log, redacted or not, as something that ``json`` takes.

    Raises:
        ValueError: it is redacted, and has been damaged since.
    """
    redacted = redacted_of(stored)
    if redacted is None:
        return value_document(stored)
    return {_REDACTED: {"digest": redacted.digest.hex(), "value": value_document(redacted.content)}}


def stored_of(document: Any, above: int = 0) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """Return the value of the log that ``stored_document`` has made this of, ``above`` levels below the root.

    Raises:
        NotAValueError: it is none.
    """
    match document:
        case {"$redacted": {"digest": str(digest), "value": value, **more}, **others} if not more and not others:
            try:
                kept = bytes.fromhex(digest)
            except ValueError:
                kept = b""
            if len(kept) != DIGEST_BYTES:
                message = f"the digest of a redacted value is {2 * DIGEST_BYTES} hexadecimal digits, got {digest[:80]!r}"
                raise NotAValueError(message)
            return Redacted(kept, value_of(value, above)).stored()
    return value_of(document, above)


def value_document(encoded: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return a value as something that ``json`` takes."""
    try:
        plain = _plain(encoded)
    except _InexactError:
        return {_MSGPACK: base64.b64encode(encoded).decode()}
    return {"$map": plain} if _is_own(plain) else plain


class _InexactError(Exception):
    """The JSON form would not come back as the same bytes."""


def _plain(encoded: Encoded) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return the JSON form of a value; a large one is gone through in pieces, so that others can run in between."""
    size = memoryview(encoded).nbytes
    if size > PIECE_BYTES and is_list(encoded):
        items = [plain for piece in pieces(encoded) for plain in _plain_items(piece)]
        _require_head(encoded, list_head(len(items)))
        return items
    if size > PIECE_BYTES and is_map(encoded):
        named = {name: plain for piece in pieces(encoded) for name, plain in _plain_names(piece)}
        _require_head(encoded, map_head(len(named)))
        is_tag = len(named) == 1 and to_json(dict.fromkeys(named)) != dict.fromkeys(named)
        return {"$map": named} if is_tag else named
    return _plain_at_once(encoded)


def _plain_at_once(encoded: Encoded) -> Any:  # noqa: ANN401 - likewise
    plain = to_json(msgspec.msgpack.decode(encoded))
    if msgspec.msgpack.encode(from_plain(plain)) != bytes(encoded):
        raise _InexactError
    return plain


def _plain_items(piece: Encoded) -> Iterable[Any]:
    if memoryview(piece).nbytes <= 2 * PIECE_BYTES:
        items: list[Any] = _plain_at_once(piece)
        return items
    return map(_plain, open_list(piece))


def _plain_names(piece: Encoded) -> Iterable[tuple[str, Any]]:
    names = open_map(piece)
    sizes = (len(msgspec.msgpack.encode(name)) + memoryview(child).nbytes for name, child in names.items())
    if len(map_head(len(names))) + sum(sizes) != memoryview(piece).nbytes:
        raise _InexactError
    return ((name, _plain(child)) for name, child in names.items())


def _require_head(encoded: Encoded, head: bytes) -> None:
    if bytes(memoryview(encoded)[: len(head)]) != head:
        raise _InexactError


def value_of(document: Any, above: int = 0) -> bytes:  # noqa: ANN401 - likewise
    """Return the value that ``value_document`` has made this of, ``above`` levels below the root.

    Raises:
        NotAValueError: it is none.
    """
    if not _is_own(document):
        return _encoded(from_plain(document), above)
    ((tag, content),) = document.items()
    if tag == _REDACTED:
        message = "a redacted value has a digest and a value, and stands only in the changes of a revision"
        raise NotAValueError(message)
    try:
        return _encoded(msgspec.msgpack.decode(base64.b64decode(content, validate=True)), above)
    except NotAValueError:
        raise
    except (ValueError, TypeError, RecursionError):
        message = f"{str(content)[:80]!r} says nothing that {tag!r} can stand for"
        raise NotAValueError(message) from None


def _encoded(value: object, above: int) -> bytes:
    try:
        values.check(value, ("",) * max(above - MAX_DEPTH, 0))
    except values.InvalidValue as error:
        try:
            _check(value, above)
        except values.InvalidValue:
            raise NotAValueError(str(error)) from None
    encoded = joined(_encoded_pieces(value))
    if len(encoded) > values.MAX_BYTES:
        message = f"a value of {len(encoded)} bytes; the limit is {values.MAX_BYTES}"
        raise NotAValueError(message)
    return encoded


def _encoded_pieces(value: object) -> Iterator[bytes]:
    """Encode a value a little at a time."""
    encode = msgspec.msgpack.encode
    match value:
        case list() if not _is_small(value):
            yield list_head(len(value))
            for start in range(0, len(value), _FEW):
                run = value[start : start + _FEW]
                if _is_small(run):
                    yield encode(run)[len(list_head(len(run))) :]
                else:
                    for child in run:
                        yield from _encoded_pieces(child)
        case dict() if not _is_small(value.values()):
            yield map_head(len(value))
            for name, child in value.items():
                yield encode(name)
                yield from _encoded_pieces(child)
        case _:
            yield encode(value)


def _is_small(parts: Collection[object]) -> bool:
    return len(parts) <= _FEW and not any(isinstance(part, dict | list) for part in parts)


_FEW = 256
"""Parts of a value that are encoded in one call, if none of them has parts."""


def _check(value: object, level: int) -> None:
    """Raise ``InvalidValue`` where a value is outside the model, or goes below ``MAX_LEVELS``.

    A part that a restore has brought back may be nested more deeply than anything that is written at once.
    """
    if level >= MAX_DEPTH or not isinstance(value, dict | list):
        values.check(value, ("",) * (level - MAX_DEPTH))
        return
    if isinstance(value, dict):
        values.check(dict.fromkeys(value))
    for child in value.values() if isinstance(value, dict) else value:
        _check(child, level + 1)


def _is_own(document: object) -> bool:
    return isinstance(document, dict) and len(document) == 1 and not _OWN.isdisjoint(document)
