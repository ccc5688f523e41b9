"""From the engine to the contract."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from lastgood_daemon.authority.outcomes import Rollback
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.difference import Difference
from lastgood_daemon.engine.effect import CLAIMED, Effect
from lastgood_daemon.engine.errors import TooLargeError
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import LONG_ENCODED, Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.rpc.envelope import Pieces, large, size_of
from lastgood_proto.paths import format_path
from lastgood_proto.v1 import checkpoints_pb2, common_pb2, effects_pb2, history_pb2, workflows_pb2
from lastgood_proto.values import MAX_BYTES

KINDS = {
    "added": history_pb2.DIFFERENCE_KIND_ADDED,
    "removed": history_pb2.DIFFERENCE_KIND_REMOVED,
    "changed": history_pb2.DIFFERENCE_KIND_CHANGED,
}


LAST_MOMENT = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds: what a Timestamp can say. A clock that is further ahead is shown as that."""


def value(encoded: bytes) -> common_pb2.Value:
    """Return a value.

    Raises:
        LabourError: it is large.
        TooLargeError: no answer could carry it.
    """
    if len(encoded) > LONG_ENCODED:
        spend(LONG_STEPS)
        return _large([encoded])
    if len(encoded) >= _BYTES_A_MICROSECOND:
        spend(len(encoded) // _BYTES_A_MICROSECOND)
    return common_pb2.Value(msgpack=encoded)


def _large(pieces: Pieces) -> common_pb2.Value:
    size = size_of(pieces)
    if size > MAX_BYTES:
        what = "the answer (ask for a part of it)"
        raise TooLargeError(what, size, MAX_BYTES)
    return large(pieces)


def node_value(node: Node | None) -> common_pb2.Value | None:
    """Give the value of a node.

    Raises:
        LabourError: it is large.
    """
    if node is None:
        return None
    if node.is_long():
        spend(LONG_STEPS)
        return _large(node.encoded_pieces())
    return value(node.encoded())


LONG_STEPS = 10_000
"""What a large value counts for."""
_BYTES_A_MICROSECOND = 300
"""Of a value that is put into a message, and with that into others, and encoded."""


Time = Callable[[int], Timestamp]
"""Says what time of the wall a moment of the store is."""


def timestamp(microseconds: int) -> Timestamp:
    """Return a time of the wall."""
    seconds, rest = divmod(min(microseconds, LAST_MOMENT), 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def snapshot_ref(point: Point) -> common_pb2.SnapshotRef:
    """Name a revision."""
    return common_pb2.SnapshotRef(state_id=point.state_id, incarnation=point.incarnation, revision=point.revision)


def snapshot(state_id: str, incarnation: int, found: Snapshot, time: Time) -> history_pb2.Snapshot:
    """Give a snapshot."""
    return history_pb2.Snapshot(
        ref=common_pb2.SnapshotRef(state_id=state_id, incarnation=incarnation, revision=found.revision),
        snapshot_id=found.snapshot_id,
        created_at=time(found.created_at),
        label=found.label,
        metadata=None if found.metadata is None else value(found.metadata),
    )


def difference(found: Difference) -> history_pb2.Difference:
    """Give a difference."""
    return history_pb2.Difference(
        path=format_path(found.path), kind=KINDS[found.kind], old=node_value(found.old), new=node_value(found.new)
    )


def history_entry(item: HistoryItem, time: Time) -> history_pb2.HistoryEntry:
    """Return an entry of a history."""
    author = item.entry.author
    fence = common_pb2.Fence(workflow_id=author.workflow_id, attempt=author.attempt) if author.workflow_id else None
    return history_pb2.HistoryEntry(
        path=format_path(item.path),
        revision=item.revision,
        existed=item.existed,
        value=node_value(item.node),
        value_omitted=item.omitted,
        operation=item.operation,
        agent_id=author.agent_id,
        timestamp=time(item.entry.timestamp),
        fence=fence,
        source=None if item.source is None else snapshot_ref(item.source),
        step=author.step,
    )


def checkpoint(found: Checkpoint, time: Time) -> checkpoints_pb2.Checkpoint:
    """Give a checkpoint."""
    metrics = found.metrics
    return checkpoints_pb2.Checkpoint(
        ref=common_pb2.CheckpointRef(workflow_id=found.workflow_id, step=found.step, attempt=found.attempt),
        agent_id=found.agent_id,
        status=checkpoints_pb2.AgentStatus.ValueType(found.status),
        snapshot=snapshot_ref(found.point),
        snapshot_created_at=time(found.point_created_at),
        metrics=None
        if metrics is None
        else checkpoints_pb2.ExecutionMetrics(
            total_cost=metrics.total_cost,
            total_steps=metrics.total_steps,
            total_tokens=metrics.total_tokens,
            input_tokens=metrics.input_tokens,
            output_tokens=metrics.output_tokens,
            elapsed_seconds=metrics.elapsed_seconds,
        ),
        metadata=None if found.metadata is None else value(found.metadata),
        created_at=time(found.created_at),
        superseded=found.superseded,
        line=found.line,
    )


def effect(found: Effect, time: Time, *, under_way: bool = False) -> effects_pb2.Effect:
    """Give an effect. One that is claimed is in doubt, unless somebody is at it."""
    failure = found.failure
    return effects_pb2.Effect(
        workflow_id=found.workflow_id,
        step=found.step,
        key=found.key,
        idempotency_key=found.idempotency_key,
        status=effects_pb2.EffectStatus.ValueType(found.status),
        in_doubt=found.in_doubt or (found.status == CLAIMED and not under_way),
        runs=found.runs,
        attempt=found.attempt,
        agent_id=found.agent_id,
        claimed_at=time(found.claimed_at),
        recorded_at=time(found.recorded_at) if found.recorded_at else None,
        result=None if found.result is None else value(found.result),
        failure=None
        if failure is None
        else effects_pb2.EffectFailure(
            type=failure.type_name,
            message=failure.message,
            arguments=None if failure.arguments is None else value(failure.arguments),
        ),
        line=found.line,
        superseded=found.superseded,
    )


def rollback(found: Rollback, time: Time) -> workflows_pb2.Rollback:
    """Give what a rollback has undone."""
    return workflows_pb2.Rollback(
        from_revision=found.from_revision,
        effects=[effect(each, time) for each in found.effects],
        undone=[
            workflows_pb2.UndoneRevision(revision=other.revision, agent_id=other.agent_id, timestamp=time(other.timestamp))
            for other in found.undone
        ],
    )


class _Headed(Protocol):
    @property
    def header(self) -> common_pb2.ResponseHeader: ...


H = TypeVar("H", bound=_Headed)


class Headers:
    """Makes the headers of all answers of this daemon."""

    def __init__(self, daemon_id: str, copy_id: str) -> None:
        self._daemon_id = daemon_id
        self.copy_id = copy_id

    def of_none(self) -> common_pb2.ResponseHeader:
        """Give the header of an answer that is about no state."""
        return common_pb2.ResponseHeader(daemon_id=self._daemon_id, copy_id=self.copy_id)

    def of_point(self, point: Point) -> common_pb2.ResponseHeader:
        """Give the header of an answer that is about a revision."""
        return common_pb2.ResponseHeader(
            daemon_id=self._daemon_id, revision=point.revision, incarnation=point.incarnation, copy_id=self.copy_id
        )

    def on(self, response: H, point: Point) -> H:
        """Return a response with the header that is about a revision: written in place, which costs a third of a copy."""
        return self.at(response, point.incarnation, point.revision)

    def at(self, response: H, incarnation: int, revision: int) -> H:
        """Return the same without the point, which nothing else needs."""
        header = response.header
        header.daemon_id = self._daemon_id
        header.revision = revision
        header.incarnation = incarnation
        header.copy_id = self.copy_id
        return response

    def of_state(self, state: State) -> common_pb2.ResponseHeader:
        """Give the header of an answer that is about the present of a state."""
        return self.of_point(state.point())
