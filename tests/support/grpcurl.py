"""Unary calls with requests as JSON, as grpcurl makes them."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import StatusCode, aio

from lastgood_proto.v1 import (
    checkpoints_pb2,
    checkpoints_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    redaction_pb2,
    redaction_pb2_grpc,
    retention_pb2,
    retention_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    state_pb2,
    state_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    workflows_pb2,
    workflows_pb2_grpc,
)
from tests.support.sessions import details_of

MODULES = {
    "State": (state_pb2, state_pb2_grpc.StateServiceStub),
    "History": (history_pb2, history_pb2_grpc.HistoryServiceStub),
    "Checkpoint": (checkpoints_pb2, checkpoints_pb2_grpc.CheckpointServiceStub),
    "Workflow": (workflows_pb2, workflows_pb2_grpc.WorkflowServiceStub),
    "Retention": (retention_pb2, retention_pb2_grpc.RetentionServiceStub),
    "Maintenance": (maintenance_pb2, maintenance_pb2_grpc.MaintenanceServiceStub),
    "Redaction": (redaction_pb2, redaction_pb2_grpc.RedactionServiceStub),
    "Transfer": (transfer_pb2, transfer_pb2_grpc.TransferServiceStub),
    "Server": (server_pb2, server_pb2_grpc.ServerServiceStub),
}
CALL_SECONDS = 20.0


class Grpcurl:
    """Calls with requests as JSON, as grpcurl does."""

    def __init__(self, address: str) -> None:
        self._channel = aio.insecure_channel(address)

    async def __call__(self, method: str, **request: object) -> Any:  # noqa: ANN401 - the response of the method
        service, name = method.split(".")
        module, stub = MODULES[service]
        message: Message = ParseDict(request, getattr(module, f"{name}Request")())
        return await getattr(stub(self._channel), name)(message, timeout=CALL_SECONDS)

    async def refused(self, method: str, **request: object) -> tuple[StatusCode, str, dict[str, str]]:
        """A call that fails: its code, and reason and metadata of the details."""
        with pytest.raises(aio.AioRpcError) as failure:
            await self(method, **request)
        trailing: dict[str, Any] = dict(iter(failure.value.trailing_metadata() or ()))
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        assert status.code == failure.value.code().value[0]
        assert status.message == failure.value.details()
        reason, metadata = details_of(status)
        return failure.value.code(), reason.removeprefix("ERROR_REASON_"), metadata

    async def close(self) -> None:
        await self._channel.close()


def into(state_id: str, key: str = "", **context: object) -> dict[str, Any]:
    return {"state": {"state_id": state_id}, "idempotency_key": key and f"{state_id} {key}", **context}


def of(state_id: str) -> dict[str, str]:
    return {"state_id": state_id}
