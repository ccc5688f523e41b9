"""The objects that callers get: immutable, compared by content, picklable."""

import dataclasses
import pickle
from datetime import UTC, datetime

import pytest

from lastgood import (
    AgentStatus,
    Checkpoint,
    Difference,
    ExecutionMetrics,
    HistoryEntry,
    InvalidArgumentError,
    Lineage,
    Reading,
    ServerInfo,
    Snapshot,
)
from lastgood_proto import values

_TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_SNAPSHOT = Snapshot(
    state_id="s",
    revision=3,
    created_at=_TIME,
    label="before",
    metadata={"a": [1]},
    snapshot_id="x",
    incarnation=2,
    daemon_id="d",
    address="/folder",
)
_ENTRY = HistoryEntry(
    path="a",
    revision=3,
    existed=True,
    operation="set",
    agent_id="me",
    timestamp=_TIME,
    snapshot=_SNAPSHOT,
    attempt=1,
    encoded=values.encode({"n": [1, float("inf")]}),
)
_CHECKPOINT = Checkpoint(
    workflow_id="w",
    step=3,
    attempt=1,
    agent_id="me",
    status=AgentStatus.COMPLETED,
    state_snapshot=_SNAPSHOT,
    metrics=ExecutionMetrics(total_cost=1.5),
    metadata={"a": 1},
    created_at=_TIME,
)
_ALL = [
    _SNAPSHOT,
    _ENTRY,
    _CHECKPOINT,
    Reading(value=[1], revision=3, existed=True),
    Difference(path="a", kind="changed", old=1, new=2),
    Lineage(state_id="s", revision=3),
    ServerInfo(version="1", address="unix:/x", data_dir="/d", daemon_id="d"),
    ExecutionMetrics(total_steps=4),
    AgentStatus.FAILED,
]


@pytest.mark.parametrize("original", _ALL, ids=lambda original: type(original).__name__)
def test_pickles(original: object) -> None:
    again = pickle.loads(pickle.dumps(original))  # noqa: S301 - our own

    assert again == original
    assert type(again) is type(original)


def test_a_pickled_snapshot_still_knows_its_daemon() -> None:
    again = pickle.loads(pickle.dumps(_SNAPSHOT))  # noqa: S301 - our own

    assert (again.daemon_id, again.address, again.incarnation) == ("d", "/folder", 2)


@pytest.mark.parametrize("original", _ALL[:-2], ids=lambda original: type(original).__name__)
def test_cannot_be_changed(original: object) -> None:
    name = dataclasses.fields(original)[0].name  # type: ignore[arg-type] # they are dataclasses
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(original, name, "other")


def test_snapshots_and_checkpoints_can_be_keys() -> None:
    assert {_SNAPSHOT: 1, _CHECKPOINT: 2}[dataclasses.replace(_SNAPSHOT)] == 1


def test_a_value_in_the_history_is_decoded_when_looked_at() -> None:
    garbled = dataclasses.replace(_ENTRY, encoded=b"\xc1")

    assert _ENTRY.value == {"n": [1, float("inf")]}
    with pytest.raises(Exception, match="malformed"):
        _ = garbled.value


def test_a_value_in_the_history_that_does_not_exist_is_none() -> None:
    entry = dataclasses.replace(_ENTRY, existed=False, encoded=None)

    assert entry.value is None
    assert "<none>" in repr(entry)


def test_metrics_start_at_zero_and_can_be_added_to() -> None:
    metrics = ExecutionMetrics()
    metrics.total_tokens += 5

    assert dataclasses.asdict(metrics) == {
        "total_cost": 0.0,
        "total_steps": 0,
        "total_tokens": 5,
        "input_tokens": 0,
        "output_tokens": 0,
        "elapsed_seconds": 0.0,
    }


def test_metrics_are_taken_from_a_dict() -> None:
    assert ExecutionMetrics.of({"total_cost": 2, "total_steps": 3}) == ExecutionMetrics(total_cost=2, total_steps=3)


@pytest.mark.parametrize("wrong", [{"cost": 1}, {"total_steps": 1.5}, {"total_steps": True}, {"total_cost": "1"}, 7, [1]])
def test_metrics_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError):
        ExecutionMetrics.of(wrong)


def test_a_status_may_be_given_as_text() -> None:
    assert AgentStatus.of("completed") is AgentStatus.COMPLETED
    with pytest.raises(InvalidArgumentError, match="'done'"):
        AgentStatus.of("done")
