"""Answers with their values as JSON, for clients that have no MessagePack."""

import math
from datetime import datetime

import msgspec
from google.protobuf.message import Message

from lastgood_daemon.engine.errors import InvalidValueError
from lastgood_proto import values
from lastgood_proto.paths import Path, format_path
from lastgood_proto.v1.common_pb2 import VALUE_FORMAT_JSON, Value

_encode = msgspec.json.Encoder().encode


def wants_json(request: Message) -> bool:
    """Whether the values of the answer are to be JSON."""
    return getattr(request, "value_format", None) == VALUE_FORMAT_JSON


def write_json(answer: Message) -> Message:
    """Write all values of an answer as JSON.

    Raises:
        InvalidValueError: JSON has no such value.
    """
    for field, found in answer.ListFields():
        if field.message_type is None:
            continue
        for child in found if field.is_repeated else (found,):
            if isinstance(child, Value):
                child.json = _json(child.msgpack)
            else:
                write_json(child)
    return answer


def _json(encoded: bytes) -> str:
    value = values.decode(encoded)
    _require_json(value, ())
    return _encode(value).decode()


def _require_json(value: object, path: Path) -> None:
    if isinstance(value, dict):
        for name, child in value.items():
            _require_json(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _require_json(child, (*path, str(index)))
    elif isinstance(value, bytes | datetime) or (isinstance(value, float) and not math.isfinite(value)):
        message = (
            f"JSON has no {type(value).__name__} such as the one at {format_path(path)!r}; ask for VALUE_FORMAT_MSGPACK"
        )
        raise InvalidValueError(message, path=format_path(path), type_name=type(value).__name__)
