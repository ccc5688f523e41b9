"""What the daemon or grpc says of a failure, as errors of this package."""

from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from lastgood.errors import ERROR_OF_REASON, IncompatibleDaemonError, LastgoodError

_DOMAIN = "lastgood"
_ATTRIBUTE = {"type": "type_name"}
_NUMBERS = frozenset(
    {
        "actual", "attempt", "current", "deaths", "expected", "limit", "nearest", "newest", "oldest", "revision", "size",
        "step",
    }
)  # fmt: skip
_SECONDS = frozenset({"remaining"})
_DETAILS_KEY = "grpc-status-details-bin"

_REASON_OF_CODE = {
    grpc.StatusCode.UNAUTHENTICATED: "UNAUTHENTICATED",
    grpc.StatusCode.PERMISSION_DENIED: "PERMISSION_DENIED",
    grpc.StatusCode.UNIMPLEMENTED: "UNIMPLEMENTED",
    grpc.StatusCode.INVALID_ARGUMENT: "INVALID_ARGUMENT",
    grpc.StatusCode.FAILED_PRECONDITION: "FAILED_PRECONDITION",
}
"""How a stream ends where trying again cannot help."""


def reason_of(status: status_pb2.Status) -> str:
    """The stable name of what went wrong; ``"UNSPECIFIED"`` where there is none."""
    info = _error_info(status)
    return info.reason.removeprefix("ERROR_REASON_") if info else "UNSPECIFIED"


def error_from(status: status_pb2.Status) -> LastgoodError:
    """The error that a reply stands for."""
    info = _error_info(status)
    if info is None:
        return LastgoodError(status.message)
    reason = info.reason.removeprefix("ERROR_REASON_")
    return _make(ERROR_OF_REASON.get(reason, LastgoodError), status.message, reason, info.metadata)


def incurable(error: aio.AioRpcError) -> LastgoodError | None:
    """The error of a stream that ended in a way that trying again cannot cure; None where it may."""
    reason = _REASON_OF_CODE.get(error.code())
    if reason is None:
        return None
    for key, content in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(content, bytes):
            try:
                return error_from(status_pb2.Status.FromString(content))
            except DecodeError:
                break
    message = error.details() or reason
    if reason == "UNIMPLEMENTED":
        return IncompatibleDaemonError(f"what answers there is no lastgood daemon of this protocol: {message}")
    return ERROR_OF_REASON.get(reason, LastgoodError)(message, reason=reason)


def _error_info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == _DOMAIN:
            return info
    return None


def _make(kind: type[LastgoodError], message: str, reason: str, metadata: Mapping[str, str]) -> LastgoodError:
    details: dict[str, object] = {}
    for key, text in metadata.items():
        name = _ATTRIBUTE.get(key, key)
        if hasattr(kind, name):
            details[name] = _seconds(text) if key in _SECONDS else int(text) if key in _NUMBERS and text.isdigit() else text
    return kind(message, reason=reason, **details)


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
