"""Checks of what a caller hands in, so that a mistake surfaces at its line and names the argument."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lastgood.errors import InvalidArgumentError, InvalidValueError, PathError, TooLargeError
from lastgood_proto import paths, places, texts, values
from lastgood_proto.v1.common_pb2 import Precondition, Value

_REVISION_MAX = 2**64 - 1
_TEXT_LENGTH = 10_000


def join(*segments: str) -> str:
    r"""Write segments as a path, escaping dots and backslashes in them: ``join("a.b", "c")`` is ``r"a\.b.c"``.

    Raises:
        PathError: a segment is empty or no str.
    """
    for segment in segments:
        if not isinstance(segment, str) or not segment:
            text = f"a segment of a path must be a non-empty str, got {segment!r}"
            raise PathError(text, path=repr(segment))
    return check_path(paths.format_path(segments))


def check_path(path: str) -> str:
    """Give the path back, or raise PathError where it is malformed."""
    if not isinstance(path, str):
        text = f"a path must be a str such as 'research.findings', got {type(path).__name__}"
        raise PathError(text, path=repr(path))
    try:
        paths.parse_path(path)
    except ValueError as error:
        raise PathError(str(error), path=texts.cut(path)) from None
    return path


def absolute_path(path: str | os.PathLike[str], name: str) -> str:
    """Return the path of a file or folder as seen from the root, ``~`` expanded, or raise InvalidArgumentError."""
    text = check_text(os.fspath(path) if isinstance(path, os.PathLike) else path, name, limit=texts.MAX_PATH_BYTES)
    try:
        return str(places.absolute_path(text))
    except places.PlaceError as error:
        message = f"{name}: {error}"
        raise InvalidArgumentError(message, field=name) from None


def check_paths(given: Iterable[str] | None) -> list[str]:
    """Check the ``paths`` of a restore: None is the whole tree, and an empty list is a mistake, not the whole tree."""
    if given is None:
        return []
    if isinstance(given, str):
        text = f"paths must be a list of paths, such as [{given!r}], got a str"
        raise InvalidArgumentError(text, field="paths")
    listed = [check_path(path) for path in given]
    if not listed:
        text = "paths must not be empty; leave it out to restore the whole tree"
        raise InvalidArgumentError(text, field="paths")
    return listed


def encode_items(items: Iterable[object]) -> list[Value]:
    """Return the items of an append in their form for the wire; errors name the number of the item."""
    return [encode(item, str(index), called=f"item {index}") for index, item in enumerate(items)]


def encode(value: object, within: str = "", *, called: str = "") -> Value:
    """Check a value and give it in its form for the wire.

    Args:
        value: any value of the model.
        within: where it stands in what the caller gave, such as the path of an ``update``; errors name it.
        called: how errors name that, where it is no path.

    Raises:
        InvalidValueError: it, or something inside it, cannot be stored.
        TooLargeError: it is beyond 64 MiB.
    """
    try:
        encoded = values.encode(value)
    except values.InvalidValue as error:
        where = ".".join(filter(None, (within, error.path)))
        text = f"{error} (in {called or f'the value for {within!r}'})" if within else str(error)
        raise InvalidValueError(text, path=where, type_name=error.type_name) from None
    if len(encoded) > values.MAX_BYTES:
        text = f"a value of {len(encoded):,} bytes; the limit is {values.MAX_BYTES:,}"
        raise TooLargeError(text, size=len(encoded), limit=values.MAX_BYTES)
    return Value(msgpack=encoded)


def encode_map(value: object, field: str) -> Value:
    """Encode what has to be a dict: a whole tree, or metadata."""
    if type(value) is not dict:
        text = f"{field} must be a dict, got {type(value).__name__}"
        raise InvalidValueError(text, type_name=type(value).__qualname__)
    return encode(value)


def encode_metadata(metadata: dict[str, Any] | None) -> Value | None:
    """Encode metadata, which may be left out."""
    if metadata is None:
        return None
    encoded = encode_map(metadata, "metadata")
    size, limit = len(encoded.msgpack), texts.MAX_METADATA_BYTES
    if size > limit:
        text = f"metadata of {size:,} bytes; the limit is {limit:,}"
        raise TooLargeError(text, size=size, limit=limit)
    return encoded


def check_text(text: str, field: str, *, empty: bool = False, limit: int = texts.MAX_NAME_BYTES) -> str:
    """Give an id or a label back, or raise InvalidArgumentError where it is not text, or has more bytes than it may."""
    if not isinstance(text, str):
        message = f"{field} must be a str, got {type(text).__name__}"
        raise InvalidArgumentError(message, field=field)
    if not text and not empty:
        message = f"{field} must not be empty"
        raise InvalidArgumentError(message, field=field)
    problem = texts.problem_with(text, limit)
    if problem:
        message = f"{field} {problem}"
        raise InvalidArgumentError(message, field=field)
    return text


def type_name(thing: object) -> str:
    """Name the type of an argument: with its module, since lastgood and lastgood.sync have classes of the same names."""
    return class_name(type(thing))


def class_name(kind: type) -> str:
    """Name a class, with its module."""
    return texts.cut(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")


def check_count(number: int, field: str) -> int:
    """Give a revision, a step or a limit back, or raise InvalidArgumentError where it is no whole number from 0."""
    if isinstance(number, bool) or not isinstance(number, int):
        text = f"{field} must be an int, got {number!r}"
        raise InvalidArgumentError(text, field=field)
    if not 0 <= number <= _REVISION_MAX:
        text = f"{field} must be between 0 and {_REVISION_MAX}, got {number}"
        raise InvalidArgumentError(text, field=field)
    return number


def check_time(time: datetime, field: str) -> datetime:
    """Give a moment back, or raise InvalidArgumentError where it has no time zone."""
    if time.utcoffset() is None:
        text = f"{field} must be a datetime with a time zone, such as datetime.UTC, got {time!r}"
        raise InvalidArgumentError(text, field=field)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        text = f"{field} must be between the years 1 and 9999 in UTC, got {time!r}"
        raise InvalidArgumentError(text, field=field) from None


def precondition(expected: int | Mapping[str, int]) -> Precondition:
    """Read ``expected=``: a revision of the state, or of paths."""
    if isinstance(expected, Mapping):
        revisions = {check_path(path): check_count(number, "expected") for path, number in expected.items()}
        return Precondition(paths=revisions)
    if isinstance(expected, bool) or not isinstance(expected, int):
        text = f"expected must be a revision, or a map of path to revision, got {expected!r}"
        raise InvalidArgumentError(text, field="expected")
    return Precondition(revision=check_count(expected, "expected"))


def check_number(number: object, field: str) -> int | float:
    """Give a number back, or raise InvalidArgumentError where it is neither an int nor a float."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        text = f"{field} must be an int or a float, got {number!r}"
        raise InvalidArgumentError(text, field=field)
    return number


def check_exceptions(kinds: object, field: str) -> tuple[type[Exception], ...]:
    """Give classes of exceptions as a tuple, or raise InvalidArgumentError where they are none, or would catch an exit."""
    listed = kinds if isinstance(kinds, tuple) else (kinds,)
    for kind in listed:
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            text = f"{field} must be an exception class or a tuple of them, all of them under Exception, got {kinds!r}"
            raise InvalidArgumentError(text, field=field)
    return listed


def text_of(error: BaseException) -> str:
    """Give the text of an exception, whatever that is, in a form and a length that can be stored."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is about to be reported, and this is not what went wrong
        text = "(its text cannot be made)"
    return texts.cut(text[:_TEXT_LENGTH].encode(errors="backslashreplace").decode(), texts.MAX_MESSAGE_BYTES)
