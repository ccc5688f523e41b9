"""A stored value as JSON, so that exactly the same bytes come back.

Values are written in the usual JSON form (``lastgood_proto/jsonform.py``). Two things that it has no word for are, again,
maps of one key:

    bytes that the JSON form would change        {"$msgpack": "y3/4AAAAAAAB"}       a nan with other bits, say
    a value that has been taken out of the log   {"$redacted": {"digest": "9f…", "value": …}}
"""

import base64
from typing import Any

import msgspec

from lastgood_proto import values
from lastgood_proto.jsonform import NotAValueError, from_plain, to_json
from lastgood_proto.paths import MAX_DEPTH

_OWN = frozenset({"$msgpack", "$redacted"})
_REDACTED = b"\xc1"
"""What a redacted value begins with; then the digest of what it was, then what stands in its place."""
_DIGEST = 16


def value_document(encoded: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Give a stored value as something that ``json`` takes."""
    if encoded.startswith(_REDACTED):
        digest, instead = encoded[1 : 1 + _DIGEST], encoded[1 + _DIGEST :]
        return {"$redacted": {"digest": digest.hex(), "value": value_document(instead)}}
    plain = to_json(values.decode(encoded))
    if _encoded(from_plain(plain)) != encoded:
        return {"$msgpack": base64.b64encode(encoded).decode()}
    return {"$map": plain} if _is_own(plain) else plain


def value_of(document: Any) -> bytes:  # noqa: ANN401 - likewise
    """Give the stored value that ``value_document`` has made this of.

    Raises:
        NotAValueError: it is none.
    """
    if not _is_own(document):
        return _encoded(from_plain(document))
    ((tag, content),) = document.items()
    try:
        if tag == "$msgpack":
            return _encoded(msgspec.msgpack.decode(base64.b64decode(content, validate=True)))
        digest = bytes.fromhex(content["digest"])
        if len(digest) == _DIGEST and len(content) == 2:  # noqa: PLR2004 - the digest and the value
            return _REDACTED + digest + value_of(content["value"])
    except NotAValueError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    message = f"{str(content)[:80]!r} says nothing that {tag!r} can stand for"
    raise NotAValueError(message)


def _encoded(value: object) -> bytes:
    try:
        values.check(value)
    except values.InvalidValue as error:
        # A part that a restore has brought back may be nested more deeply than anything that is written at once.
        try:
            _check_deep(value, 0)
        except values.InvalidValue:
            raise NotAValueError(str(error)) from None
    encoded = msgspec.msgpack.encode(value)
    if len(encoded) > values.MAX_BYTES:
        message = f"a value of {len(encoded)} bytes; the limit is {values.MAX_BYTES}"
        raise NotAValueError(message)
    return encoded


def _check_deep(value: object, level: int) -> None:
    if level == MAX_DEPTH or not isinstance(value, dict | list):
        values.check(value)
        return
    if isinstance(value, dict):
        values.check(dict.fromkeys(value))
    for child in value.values() if isinstance(value, dict) else value:
        _check_deep(child, level + 1)


def _is_own(document: object) -> bool:
    return isinstance(document, dict) and len(document) == 1 and not _OWN.isdisjoint(document)
