"""The operations of RetentionService."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from google.protobuf.duration_pb2 import Duration

from lastgood_daemon.authority.commands.retention import SetRetention, in_force
from lastgood_daemon.authority.outcomes import Done
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, Run
from lastgood_daemon.rpc.requests import id_of
from lastgood_proto.v1 import retention_pb2

MAX_COUNT = 2**63 - 1
MAX_SECONDS = 315_576_000_000
"""Ten thousand years: what a Duration can say."""


def set_retention(edge: Edge, request: retention_pb2.SetRetentionRequest) -> Do:
    """RetentionService.SetRetention."""
    retention = _retention_of(request.retention) if request.HasField("retention") else None

    def respond(done: Done) -> retention_pb2.SetRetentionResponse:
        return retention_pb2.SetRetentionResponse(header=edge.headers.of_none(), existed=done.existed)

    return Do(SetRetention(_owner_of(request.state_id), retention, request.ByteSize()), respond)


def get_retention(edge: Edge, request: retention_pb2.GetRetentionRequest) -> Ask[tuple[Retention | None, bool]]:
    """RetentionService.GetRetention."""
    owner = _owner_of(request.state_id)

    def respond(found: tuple[Retention | None, bool]) -> retention_pb2.GetRetentionResponse:
        retention, own = found
        message = None if retention is None else _message(retention)
        return retention_pb2.GetRetentionResponse(header=edge.headers.of_none(), retention=message, own=own)

    return Ask(lambda reader: in_force(reader, owner), respond)


def compact(edge: Edge, request: retention_pb2.CompactRequest) -> Run:
    """RetentionService.Compact."""
    owner = _owner_of(request.state_id)

    policy = _retention_of(request.retention) if request.HasField("retention") else None
    if policy is not None and not request.dry_run:
        field = "retention"
        raise InvalidArgumentError(field, "must not be set without dry_run; SetRetention sets a policy")

    async def work() -> retention_pb2.CompactResponse:
        housekeeper = edge.authority.housekeeper
        made = await (housekeeper.foresee(owner or None, policy) if request.dry_run else housekeeper.keep(owner or None))
        return retention_pb2.CompactResponse(
            header=edge.headers.of_none(), compaction=retention_pb2.Compaction(**asdict(made))
        )

    return Run(work)


def _of_owner(request: Any) -> tuple[str, str]:  # noqa: ANN401 - any of the three
    return request.state_id, ""


def _owner_of(state_id: str) -> str:
    return id_of(state_id, "state_id") if state_id else ""


def _retention_of(message: retention_pb2.Retention) -> Retention:
    given = {field.name: value for field, value in message.ListFields()}
    return Retention(
        revisions=_count(given, "revisions"),
        age=_length(given, "age", 1),
        bytes=_count(given, "bytes"),
        ttl=_length(given, "ttl", 1),
        checkpoints=_count(given, "checkpoints"),
        superseded=_length(given, "superseded", 0),
    )


def _count(given: Mapping[str, Any], field: str) -> int | None:
    number: int | None = given.get(field)
    if number is not None and not 1 <= number <= MAX_COUNT:
        raise InvalidArgumentError(field, f"must be between 1 and {MAX_COUNT}, got {number}")
    return number


def _length(given: Mapping[str, Any], field: str, least: int) -> int | None:
    duration: Duration | None = given.get(field)
    if duration is None:
        return None
    microseconds = duration.seconds * 1_000_000 + duration.nanos // 1000
    if not least <= microseconds <= MAX_SECONDS * 1_000_000:
        bounds = f"between {least / 1_000_000:g} s and {MAX_SECONDS} s"
        raise InvalidArgumentError(field, f"must be {bounds}, got {microseconds / 1_000_000:g} s")
    return microseconds


def _message(retention: Retention) -> retention_pb2.Retention:
    return retention_pb2.Retention(
        revisions=retention.revisions,
        age=_duration(retention.age),
        bytes=retention.bytes,
        ttl=_duration(retention.ttl),
        checkpoints=retention.checkpoints,
        superseded=_duration(retention.superseded),
    )


def _duration(microseconds: int | None) -> Duration | None:
    if microseconds is None:
        return None
    return Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


OPERATIONS = {
    "set_retention": Operation("write", _of_owner, set_retention),
    "get_retention": Operation("read", _of_owner, get_retention),
    "compact": Operation("write", _of_owner, compact),
}
