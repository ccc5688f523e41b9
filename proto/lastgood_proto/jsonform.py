"""Values as JSON, and back.

What JSON cannot say is a map of one key:

    bytes                      {"$bytes": "AAH/"}                           base64
    datetime                   {"$datetime": "2026-11-23T05:50:12.5Z"}      with its zone
    nan and the infinities     {"$float": "nan"}, "inf", "-inf"
    a map that looks like one  {"$map": {"$bytes": 1}}                      of these

Everything else is what it looks like. ``to_json`` and ``from_json`` are exact opposites.
"""

import base64
import json
import math
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

_TAGS = frozenset({"$bytes", "$datetime", "$float", "$map"})
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b\u200e-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""What JSON lets stand in a text, but a terminal may take for a command, turns the line around, or does not show.

The characters of the categories Cf, Zl and Zp but for the two joiners, which belong to words and emoji; and the C1 controls.
"""


class NotAValueError(ValueError):
    """A text is no JSON, or JSON that stands for no value."""


def to_json(value: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Give a value as something that ``json`` takes."""
    match value:
        case dict():
            plain = {key: to_json(child) for key, child in value.items()}
            return {"$map": plain} if len(plain) == 1 and not _TAGS.isdisjoint(plain) else plain
        case list():
            return [to_json(child) for child in value]
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$datetime": time_text(value)}
        case float() if not math.isfinite(value):
            return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
        case _:
            return value


def from_json(text: str) -> Any:  # noqa: ANN401 - any value of the model
    """Read a value.

    Raises:
        NotAValueError: it is none.
    """
    return from_plain(parse(text))


def parse(text: str) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Read a JSON text strictly: no name twice in an object, no NaN, no number that a float cannot hold.

    Raises:
        NotAValueError: it is none.
    """
    try:
        return _decoder.decode(text)
    except NotAValueError:
        raise
    except json.JSONDecodeError as error:
        raise NotAValueError(str(error)) from None
    except (ValueError, RecursionError) as error:
        message = f"it cannot be read: {error}"
        raise NotAValueError(message) from None


def scan(text: str, begin: int) -> tuple[Any, int]:
    """Read what stands in a JSON text from an index on, as strictly; returns it and where it ends.

    Raises:
        json.JSONDecodeError: nothing stands there, or it does not end in the text.
        NotAValueError: it is none.
    """
    return _decoder.raw_decode(text, begin)


def from_plain(read: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Give the value that something read from JSON stands for.

    Raises:
        NotAValueError: it stands for none.
    """
    try:
        return _value(read)
    except RecursionError as error:
        message = f"it cannot be read: {error}"
        raise NotAValueError(message) from None


def text_of(document: object, *, ascii_only: bool = False, indent: int | None = None) -> str:
    """Give a document, which ``to_json`` has been applied to where it carries values, as a JSON text."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent, separators=None if indent else (",", ":"))
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)


def text_pieces(document: object) -> Iterator[str]:
    """Return the text of ``text_of`` in pieces, none of which takes long to make.

    One call for a document of 40 MB holds the interpreter for half a second, whichever thread makes it.
    """
    match document:
        case dict() if not _is_small(document.values()):
            before = "{"
            for name, child in document.items():
                yield f"{before}{text_of(name)}:"
                yield from text_pieces(child)
                before = ","
            yield "}"
        case list() if not _is_small(document):
            before = "["
            for start in range(0, len(document), _FEW):
                run = document[start : start + _FEW]
                if _is_small(run):
                    yield f"{before}{text_of(run)[1:-1]}"
                    before = ","
                    continue
                for child in run:
                    yield before
                    yield from text_pieces(child)
                    before = ","
            yield "]"
        case str() if len(document) > _LONG:
            yield '"'
            for start in range(0, len(document), _LONG):
                yield text_of(document[start : start + _LONG])[1:-1]
            yield '"'
        case _:
            yield text_of(document)


_FEW = 256
"""Parts of a document that are written in one call, if none of them has parts."""
_LONG = 16 * 1024
"""Characters of a text that are."""


def _is_small(parts: Collection[object]) -> bool:
    return len(parts) <= _FEW and not any(
        isinstance(part, dict | list) or (isinstance(part, str) and len(part) > _LONG) for part in parts
    )


def time_text(moment: datetime) -> str:
    """Give a moment in UTC, as ISO 8601 has it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        message = f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice"
        raise NotAValueError(message)
    return read


def _value(read: Any) -> Any:  # noqa: ANN401 - any value of the model
    if isinstance(read, list):
        return [_value(each) for each in read]
    if not isinstance(read, dict):
        return read
    if len(read) != 1 or _TAGS.isdisjoint(read):
        return {key: _value(child) for key, child in read.items()}
    [(tag, content)] = read.items()
    if tag == "$map" and isinstance(content, dict):
        return {key: _value(child) for key, child in content.items()}
    try:
        return _tagged(tag, content)
    except (ValueError, TypeError, KeyError):
        message = f"{json.dumps(read)[:80]} says nothing that {tag!r} can stand for"
        raise NotAValueError(message) from None


def _tagged(tag: str, content: Any) -> Any:  # noqa: ANN401 - any value of the model
    match tag:
        case "$bytes":
            return base64.b64decode(content, validate=True)
        case "$datetime":
            moment = datetime.fromisoformat(content)
            if moment.utcoffset() is None:
                raise ValueError
            return moment
        case "$float":
            return _FLOATS[content]
        case _:
            raise TypeError


def _no_constant(name: str) -> float:
    message = f'{name} is no JSON: {{"$float": "nan"}} is, with "nan", "inf" or "-inf"'
    raise NotAValueError(message)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"{text[:40]} is more than a float can hold"
        raise NotAValueError(message)
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_map, parse_constant=_no_constant, parse_float=_float)
