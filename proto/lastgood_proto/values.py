"""What a value may be, and how it becomes bytes.

Values are None, bool, int (signed 64 bits), float, str (valid Unicode), bytes, datetime (aware), list, and dict with
non-empty str keys. Each comes back equal and of the same type, a datetime in UTC. Nothing is turned into something
else: subclasses, tuples, sets and the rest are refused. The bytes are MessagePack in its shortest form, so that two
values are the same exactly if their bytes are.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from lastgood_proto.paths import MAX_DEPTH, Path, format_path

MAX_BYTES = 64 * 1024 * 1024 + 5
"""Of one value, of one call and of one answer: 64 MiB, and the head of a str or bytes of that length."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()
_PLAIN = frozenset({type(None), bool, float, bytes})


class InvalidValue(ValueError):  # noqa: N818 - the client's error for it is InvalidValueError
    """A value outside the model.

    Attributes:
        path: where it is inside the value, as text.
        type_name: what is there.
    """

    def __init__(self, message: str, *, path: Path = (), type_name: str = "") -> None:
        self.path = format_path(path)
        self.type_name = type_name
        super().__init__(f"{message} (at {self.path!r} inside the value)" if path else message)


def encode(value: object) -> bytes:
    """Check a value and give its bytes.

    Raises:
        InvalidValue: it, or something inside it, is outside the model.
    """
    check(value)
    return _encoder.encode(value)


def decode(encoded: bytes) -> object:
    """Give the value of bytes that ``encode`` has made."""
    return _decoder.decode(encoded)


def check(value: object, path: Path = ()) -> None:
    """Raise ``InvalidValue`` where a value, or something inside it, is outside the model; it is at that path of a whole."""
    _check(value, path)


def _check(value: object, path: Path) -> None:
    if type(value) in _PLAIN:
        return
    if type(value) is str:
        _check_text(value, path)
    elif type(value) is int:
        _check_int(value, path)
    elif type(value) is dict:
        _check_map(value, path)
    elif type(value) is list:
        _check_list(value, path)
    elif type(value) is datetime:
        _check_datetime(value, path)
    else:
        name = _name(type(value))
        article = "an" if name[:1].lower() in "aeiou" else "a"
        msg = f"{article} {name} cannot be stored; the types are None, bool, int, float, str, bytes, datetime, list and dict"
        raise InvalidValue(msg, path=path, type_name=name)


def _check_text(value: str, path: Path) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        msg = f"a str that is not valid Unicode cannot be stored: {error.reason}"
        raise InvalidValue(msg, path=path, type_name="str") from error


def _check_int(value: int, path: Path) -> None:
    if not _INT_MIN <= value <= _INT_MAX:
        msg = "an int beyond signed 64 bits cannot be stored"
        raise InvalidValue(msg, path=path, type_name="int")


def _check_datetime(value: datetime, path: Path) -> None:
    try:
        offset = value.utcoffset()
    except NotImplementedError:
        offset = None
    if offset is None:
        msg = "a datetime without a time zone cannot be stored; give it one, such as datetime.UTC"
        raise InvalidValue(msg, path=path, type_name="datetime")
    try:
        value.astimezone(UTC)
    except OverflowError as error:
        msg = "a datetime that UTC cannot express cannot be stored"
        raise InvalidValue(msg, path=path, type_name="datetime") from error


def _check_map(value: dict[Any, object], path: Path) -> None:
    _check_depth(path, "dict")
    for key in value:
        if type(key) is not str:
            msg = f"a dict key of type {_name(type(key))} cannot be stored; keys are str"
            raise InvalidValue(msg, path=path, type_name=_name(type(key)))
        if not key:
            msg = "the empty str cannot be a dict key"
            raise InvalidValue(msg, path=path, type_name="str")
        _check_text(key, path)
    for key, child in value.items():
        if type(child) not in _PLAIN:
            _check(child, (*path, key))


def _check_list(value: list[object], path: Path) -> None:
    _check_depth(path, "list")
    if _is_plainly_right(value):
        return
    for index, child in enumerate(value):
        if type(child) not in _PLAIN:
            _check(child, (*path, str(index)))


def _is_plainly_right(items: list[Any]) -> bool:
    """Whether all items are right, told without a step of the interpreter for each: there may be 40 million."""
    kinds = set(map(type, items))
    if kinds == {int}:
        return bool(min(items) >= _INT_MIN and max(items) <= _INT_MAX)
    if kinds == {str}:
        return all(map(str.isascii, items))
    return kinds <= _PLAIN


def _check_depth(path: Path, name: str) -> None:
    if len(path) >= MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH} levels, or contains itself"
        raise InvalidValue(msg, path=path[:3], type_name=name)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
