"""Messages of the contract to the objects that callers get, and back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from lastgood import models
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood_proto import values
from lastgood_proto.v1 import checkpoints_pb2, common_pb2, history_pb2, server_pb2

if TYPE_CHECKING:
    from lastgood.models import DifferenceKind

_KIND: dict[int, "DifferenceKind"] = {
    history_pb2.DIFFERENCE_KIND_ADDED: "added",
    history_pb2.DIFFERENCE_KIND_REMOVED: "removed",
    history_pb2.DIFFERENCE_KIND_CHANGED: "changed",
}
_STATUS_TO_WIRE: "dict[AgentStatus, checkpoints_pb2.AgentStatus.ValueType]" = {
    AgentStatus.PENDING: checkpoints_pb2.AGENT_STATUS_PENDING,
    AgentStatus.RUNNING: checkpoints_pb2.AGENT_STATUS_RUNNING,
    AgentStatus.COMPLETED: checkpoints_pb2.AGENT_STATUS_COMPLETED,
    AgentStatus.FAILED: checkpoints_pb2.AGENT_STATUS_FAILED,
    AgentStatus.BLOCKED: checkpoints_pb2.AGENT_STATUS_BLOCKED,
}
_STATUS_FROM_WIRE = {wire: status for status, wire in _STATUS_TO_WIRE.items()}


def value_from(wire: common_pb2.Value) -> Any:  # noqa: ANN401 - any value of the model
    """Decode a value."""
    return json.loads(wire.json) if wire.WhichOneof("kind") == "json" else values.decode(wire.msgpack)


def map_from(wire: common_pb2.Value) -> dict[str, Any]:
    """Decode a value that is a map, such as metadata."""
    decoded = value_from(wire)
    return decoded if isinstance(decoded, dict) else {}


def time_from(wire: Timestamp) -> datetime:
    """Give an aware datetime in UTC."""
    return wire.ToDatetime(tzinfo=UTC)


def time_to(moment: datetime) -> Timestamp:
    """Give the protocol's form of an aware datetime."""
    wire = Timestamp()
    wire.FromDatetime(moment)
    return wire


def server_from(wire: server_pb2.ServerInfo) -> models.ServerInfo:
    """Give a daemon's description."""
    return models.ServerInfo(
        version=wire.version,
        address=wire.address,
        data_dir=wire.data_dir,
        daemon_id=wire.daemon_id,
        copy_id=wire.copy_id,
    )


def reference_to(snapshot: models.Snapshot) -> common_pb2.SnapshotRef:
    """Name a snapshot's revision to the daemon that has it."""
    return common_pb2.SnapshotRef(
        state_id=snapshot.state_id,
        incarnation=snapshot.incarnation,
        revision=snapshot.revision,
        copy_id=snapshot.copy_id,
    )


def snapshot_from(wire: history_pb2.Snapshot, header: common_pb2.ResponseHeader, address: str) -> models.Snapshot:
    """Give a snapshot that somebody took."""
    return models.Snapshot(
        state_id=wire.ref.state_id,
        revision=wire.ref.revision,
        created_at=time_from(wire.created_at),
        label=wire.label if wire.HasField("label") else None,
        metadata=map_from(wire.metadata) if wire.HasField("metadata") else None,
        snapshot_id=wire.snapshot_id,
        incarnation=wire.ref.incarnation,
        daemon_id=header.daemon_id,
        address=address,
        copy_id=header.copy_id,
    )


def history_reader(
    state_id: str, header: common_pb2.ResponseHeader, address: str
) -> Callable[[history_pb2.HistoryEntry], models.HistoryEntry]:
    """Give the function that reads the entries of one answer."""
    incarnation, daemon_id, copy_id = header.incarnation, header.daemon_id, header.copy_id

    def read(wire: history_pb2.HistoryEntry) -> models.HistoryEntry:
        timestamp = time_from(wire.timestamp)
        return models.HistoryEntry(
            path=wire.path,
            revision=wire.revision,
            existed=wire.existed,
            operation=wire.operation,
            agent_id=wire.agent_id,
            timestamp=timestamp,
            snapshot=models.Snapshot(
                state_id=state_id,
                revision=wire.revision,
                created_at=timestamp,
                incarnation=incarnation,
                daemon_id=daemon_id,
                address=address,
                copy_id=copy_id,
            ),
            attempt=wire.fence.attempt if wire.HasField("fence") else None,
            step=wire.step if wire.HasField("step") else None,
            source=lineage_from(wire.source) if wire.HasField("source") else None,
            encoded=wire.value.msgpack if wire.HasField("value") else None,
        )

    return read


def lineage_from(wire: common_pb2.SnapshotRef) -> models.Lineage:
    """Read where a content came from."""
    return models.Lineage(state_id=wire.state_id, revision=wire.revision, incarnation=wire.incarnation)


def difference_from(wire: history_pb2.Difference) -> models.Difference:
    """Give a difference."""
    return models.Difference(
        path=wire.path,
        kind=_KIND[wire.kind],
        old=value_from(wire.old) if wire.HasField("old") else None,
        new=value_from(wire.new) if wire.HasField("new") else None,
    )


def status_to(status: AgentStatus) -> "checkpoints_pb2.AgentStatus.ValueType":
    """Give the protocol's form of a status."""
    return _STATUS_TO_WIRE[status]


def metrics_to(metrics: ExecutionMetrics) -> checkpoints_pb2.ExecutionMetrics:
    """Give the protocol's form of metrics."""
    return checkpoints_pb2.ExecutionMetrics(
        total_cost=metrics.total_cost,
        total_steps=metrics.total_steps,
        total_tokens=metrics.total_tokens,
        input_tokens=metrics.input_tokens,
        output_tokens=metrics.output_tokens,
        elapsed_seconds=metrics.elapsed_seconds,
    )


def metrics_from(wire: checkpoints_pb2.ExecutionMetrics) -> ExecutionMetrics:
    """Give metrics."""
    return ExecutionMetrics(
        total_cost=wire.total_cost,
        total_steps=wire.total_steps,
        total_tokens=wire.total_tokens,
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        elapsed_seconds=wire.elapsed_seconds,
    )


def checkpoint_ref_to(checkpoint: Checkpoint) -> common_pb2.CheckpointRef:
    """Name a checkpoint to the daemon that has it."""
    return common_pb2.CheckpointRef(
        workflow_id=checkpoint.workflow_id,
        step=checkpoint.step,
        attempt=checkpoint.attempt,
        copy_id=checkpoint.state_snapshot.copy_id,
    )


def checkpoint_from(wire: checkpoints_pb2.Checkpoint, header: common_pb2.ResponseHeader, address: str) -> Checkpoint:
    """Give a checkpoint."""
    return Checkpoint(
        workflow_id=wire.ref.workflow_id,
        step=wire.ref.step,
        attempt=wire.ref.attempt,
        agent_id=wire.agent_id,
        status=_STATUS_FROM_WIRE[wire.status],
        state_snapshot=models.Snapshot(
            state_id=wire.snapshot.state_id,
            revision=wire.snapshot.revision,
            created_at=time_from(wire.snapshot_created_at) if wire.HasField("snapshot_created_at") else None,
            incarnation=wire.snapshot.incarnation,
            daemon_id=header.daemon_id,
            address=address,
            copy_id=header.copy_id,
        ),
        metrics=metrics_from(wire.metrics) if wire.HasField("metrics") else None,
        metadata=map_from(wire.metadata) if wire.HasField("metadata") else None,
        created_at=time_from(wire.created_at),
        superseded=wire.superseded,
        line=wire.line,
    )
