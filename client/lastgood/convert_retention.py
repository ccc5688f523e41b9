"""Messages about retention to the objects that callers get, and back."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from lastgood.retention import Compaction, Retention, RetentionInForce
from lastgood_proto.v1 import retention_pb2


def retention_to(retention: Retention) -> retention_pb2.Retention:
    """Give the protocol's form of a policy."""
    return retention_pb2.Retention(
        revisions=retention.revisions,
        age=_duration(retention.age),
        bytes=retention.bytes,
        ttl=_duration(retention.ttl),
        checkpoints=retention.checkpoints,
        superseded=_duration(retention.superseded),
    )


def in_force_from(wire: retention_pb2.GetRetentionResponse) -> RetentionInForce:
    """Give the policy in force."""
    return RetentionInForce(_retention_from(wire.retention) if wire.HasField("retention") else None, wire.own)


def compaction_from(wire: retention_pb2.Compaction) -> Compaction:
    """Give what went."""
    return Compaction(
        states=wire.states,
        revisions=wire.revisions,
        checkpoints=wire.checkpoints,
        effects=wire.effects,
        deleted=wire.deleted,
        copies=wire.copies,
        damaged=wire.damaged,
        bytes=wire.bytes,
    )


def _retention_from(wire: retention_pb2.Retention) -> Retention:
    return Retention(
        revisions=wire.revisions if wire.HasField("revisions") else None,
        age=wire.age.ToTimedelta() if wire.HasField("age") else None,
        bytes=wire.bytes if wire.HasField("bytes") else None,
        ttl=wire.ttl.ToTimedelta() if wire.HasField("ttl") else None,
        checkpoints=wire.checkpoints if wire.HasField("checkpoints") else None,
        superseded=wire.superseded.ToTimedelta() if wire.HasField("superseded") else None,
    )


def _duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    wire = Duration()
    wire.FromTimedelta(length)
    return wire
