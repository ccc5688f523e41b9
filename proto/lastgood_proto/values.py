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
_open_map = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode
_open_list = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_MAP_HEADS = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
_LIST_HEADS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
_SMALL = 16
_PIECE_BYTES = 256 * 1024
"""Above this, a value is checked part by part."""
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
    """Give the value of bytes that ``encode`` or ``canonical`` has made."""
    return _decoder.decode(encoded)


def canonical(encoded: bytes) -> bytes:
    """Check bytes from elsewhere and give the shortest form of the same value.

    Raises:
        InvalidValue: they are no MessagePack, or the value is outside the model.
    """
    return _canonical(encoded, ())


def _canonical(encoded: bytes | msgspec.Raw, path: Path) -> bytes:
    """Check a part of a value. A large one is taken apart first: so a thread lets others run in between."""
    try:
        if memoryview(encoded).nbytes > _PIECE_BYTES:
            whole = _open(encoded)
            if whole is not None:
                _check_depth(path, "dict" if isinstance(whole, dict) else "list")
                return _joined(encoded, _canonical_parts(whole, path))
        value = _decoder.decode(encoded)
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
        if isinstance(error, InvalidValue):
            raise
        msg = f"not one MessagePack value: {error}"
        raise InvalidValue(msg) from error
    _check(value, path)
    return _encoder.encode(value)


def _open(encoded: bytes | msgspec.Raw) -> "dict[str, msgspec.Raw] | list[msgspec.Raw] | None":
    """Take a map or a list apart, one level; nothing where it is neither, or a map with other keys."""
    head = memoryview(encoded)[0]
    if head in _LIST_HEADS:
        return _open_list(encoded)
    if head in _MAP_HEADS:
        try:
            return _open_map(encoded)
        except msgspec.ValidationError:
            return None
    return None


def _canonical_parts(whole: "dict[str, msgspec.Raw] | list[msgspec.Raw]", path: Path) -> list[bytes]:
    parts: list[bytes] = []
    if isinstance(whole, list):
        parts.append(_list_head(len(whole)))
        parts.extend(_canonical(item, (*path, str(index))) for index, item in enumerate(whole))
    else:
        _check_map(dict.fromkeys(whole), path)
        parts.append(_map_head(len(whole)))
        for key, child in whole.items():
            parts.extend((_encoder.encode(key), _canonical(child, (*path, key))))
    return parts


def _joined(encoded: bytes | msgspec.Raw, parts: list[bytes]) -> bytes:
    """Put parts together; where they are what they were taken from, that is given, and nothing large is copied."""
    view, start = memoryview(encoded), 0
    for part in parts:
        end = start + len(part)
        if bytes(view[start:end]) != part:
            return b"".join(parts)
        start = end
    return encoded if isinstance(encoded, bytes) and start == len(view) else b"".join(parts)


def _list_head(size: int) -> bytes:
    return _head(size, 0x90, 0xDC)


def _map_head(size: int) -> bytes:
    return _head(size, 0x80, 0xDE)


def _head(size: int, small: int, large: int) -> bytes:
    if size < _SMALL:
        return bytes((small | size,))
    return bytes((large,)) + size.to_bytes(2) if size < 1 << 16 else bytes((large + 1,)) + size.to_bytes(4)


def check(value: object) -> None:
    """Raise ``InvalidValue`` where a value, or something inside it, is outside the model."""
    _check(value, ())


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
        msg = f"a {name} cannot be stored; the types are None, bool, int, float, str, bytes, datetime, list and dict"
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
    if _PLAIN.issuperset(map(type, value)):
        return
    for index, child in enumerate(value):
        if type(child) not in _PLAIN:
            _check(child, (*path, str(index)))


def _check_depth(path: Path, name: str) -> None:
    if len(path) >= MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH} levels, or contains itself"
        raise InvalidValue(msg, path=path[:3], type_name=name)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
