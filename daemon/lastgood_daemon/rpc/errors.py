"""How a refusal becomes a status: the one table of reasons and codes."""

from typing import Any, NoReturn

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.engine.errors import RefusedError

CODES = {
    "PATH": StatusCode.INVALID_ARGUMENT,
    "INVALID_VALUE": StatusCode.INVALID_ARGUMENT,
    "INVALID_ARGUMENT": StatusCode.INVALID_ARGUMENT,
    "STATE_NOT_FOUND": StatusCode.NOT_FOUND,
    "SNAPSHOT_NOT_FOUND": StatusCode.NOT_FOUND,
    "CHECKPOINT_NOT_FOUND": StatusCode.NOT_FOUND,
    "STATE_EXISTS": StatusCode.ALREADY_EXISTS,
    "REVISION_CONFLICT": StatusCode.FAILED_PRECONDITION,
    "REVISION_UNAVAILABLE": StatusCode.OUT_OF_RANGE,
    "FENCED": StatusCode.FAILED_PRECONDITION,
    "STORE_REPLACED": StatusCode.FAILED_PRECONDITION,
    "WORKFLOW_BUSY": StatusCode.FAILED_PRECONDITION,
    "LEASE_LOST": StatusCode.FAILED_PRECONDITION,
    "STEP_ORDER": StatusCode.FAILED_PRECONDITION,
    "IN_DOUBT": StatusCode.FAILED_PRECONDITION,
    "POISONED_STEP": StatusCode.FAILED_PRECONDITION,
    "REQUEST_MISMATCH": StatusCode.INVALID_ARGUMENT,
    "NOT_REDACTABLE": StatusCode.FAILED_PRECONDITION,
    "TOO_LARGE": StatusCode.RESOURCE_EXHAUSTED,
    "OVERLOADED": StatusCode.RESOURCE_EXHAUSTED,
    "PERMISSION_DENIED": StatusCode.PERMISSION_DENIED,
    "UNAUTHENTICATED": StatusCode.UNAUTHENTICATED,
    "OUTCOME_UNKNOWN": StatusCode.UNKNOWN,
    "DEADLINE_EXCEEDED": StatusCode.DEADLINE_EXCEEDED,
    "UNAVAILABLE": StatusCode.UNAVAILABLE,
    "CORRUPT": StatusCode.DATA_LOSS,
    "INTERNAL": StatusCode.INTERNAL,
}

DOMAIN = "lastgood"
MOST_BYTES = 1024
"""Of a text that travels in the headers of an answer: they must not come to 8 KiB, and each byte may take three there."""


class OverloadedError(RefusedError):
    """There is no room for what was asked for."""

    reason = "OVERLOADED"

    def __init__(self, message: str) -> None:
        super().__init__(message)


def code_of(refused: Refused) -> StatusCode:
    """Give the code of a refusal."""
    return CODES.get(refused.reason, StatusCode.INTERNAL)


async def abort(context: aio.ServicerContext[Any, Any], refused: Refused) -> NoReturn:
    """End a call with the status of a refusal."""
    short = Refused(refused.reason, _cut(refused.message), {name: _cut(text) for name, text in refused.metadata.items()})
    details = status_of(short).SerializeToString()
    await context.abort(code_of(short), short.message, (("grpc-status-details-bin", details),))


def _cut(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= MOST_BYTES else encoded[:MOST_BYTES].decode(errors="ignore") + "…"


def status_of(refused: Refused) -> status_pb2.Status:
    """Give the status of a refusal, with its reason and metadata as ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=f"ERROR_REASON_{refused.reason}", domain=DOMAIN, metadata=refused.metadata)
    detail = any_pb2.Any()
    detail.Pack(info)
    number: int = code_of(refused).value[0]
    return status_pb2.Status(code=number, message=refused.message, details=[detail])
