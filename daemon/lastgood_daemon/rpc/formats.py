"""Answers with their values as JSON, for clients that have no MessagePack."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from google.protobuf.message import Message

from lastgood_daemon.engine.encoded import PIECE_BYTES, Encoded, gathered, is_list, is_map, iter_list, iter_map, joined
from lastgood_daemon.engine.errors import InvalidValueError
from lastgood_daemon.rpc.envelope import Envelope, marked
from lastgood_proto import values
from lastgood_proto.paths import Path, format_path
from lastgood_proto.v1.common_pb2 import VALUE_FORMAT_JSON, Value

_encode = msgspec.json.Encoder().encode


def wants_json(request: Any) -> bool:  # noqa: ANN401 - any request with a ``value_format``
    """Whether the values of the answer are to be JSON."""
    return bool(request.value_format == VALUE_FORMAT_JSON)


def write_json(answer: Message) -> Message:
    """Write all values of an answer as JSON.

    Raises:
        InvalidValueError: JSON has no such value.
    """
    for field, found in answer.ListFields():
        if field.message_type is None:
            continue
        for child in found if field.is_repeated else (found,):
            if not isinstance(child, Value):
                write_json(child)
            elif marked(child) is None:
                child.json = _json(child.msgpack)
    return answer


def in_json(answer: Envelope) -> Envelope:
    """Write all values of an answer as JSON, the large ones piece by piece; raises as ``write_json`` does."""
    values = [[*gathered(_json_pieces(joined(pieces), ()))] for pieces in answer.values]
    return Envelope(write_json(answer.message), values, Value.JSON_FIELD_NUMBER)


def _json_pieces(encoded: Encoded, path: Path) -> Iterator[bytes]:
    """Write a value as JSON, of a large one what it has one by one."""
    if is_map(encoded) and memoryview(encoded).nbytes > PIECE_BYTES:
        for number, (name, child) in enumerate(iter_map(encoded)):
            yield (b"," if number else b"{") + _encode(name) + b":"
            yield from _json_pieces(child, (*path, name))
        yield b"}"
    elif is_list(encoded) and memoryview(encoded).nbytes > PIECE_BYTES:
        for number, child in enumerate(iter_list(encoded)):
            yield b"," if number else b"["
            yield from _json_pieces(child, (*path, str(number)))
        yield b"]"
    else:
        value = values.decode(bytes(encoded))
        _require_json(value, path)
        yield _encode(value)


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
