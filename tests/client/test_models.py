"""The objects that callers get: immutable, compared by content, picklable."""

import asyncio
import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from lastgood import (
    NOT_DONE,
    AgentStatus,
    Attempt,
    Checkpoint,
    Difference,
    Effect,
    ExecutionMetrics,
    FencedError,
    HistoryEntry,
    InvalidArgumentError,
    LeaseLostError,
    LeaseStatus,
    Lineage,
    PoisonedStepError,
    Preview,
    Reading,
    Retry,
    Rollback,
    ServerInfo,
    Snapshot,
    StepOrderError,
    StepStatus,
    UndoneRevision,
    WorkflowStatus,
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
_EFFECT = Effect(
    workflow_id="w",
    step=3,
    key="mail",
    idempotency_key="0a",
    status="failed",
    in_doubt=False,
    runs=1,
    attempt=1,
    agent_id="me",
    claimed_at=_TIME,
    failure="ValueError: no",
)
_LEASE = LeaseStatus(attempt=1, holder="me", seconds=30.0, remaining=12.5)
_STEP = StepStatus(number=3, agent_id="me", attempt=1, began_at=_TIME, open=True, deaths=0, poisoned=False)
_STATUS = WorkflowStatus(
    workflow_id="w", attempt=1, line=0, next_step=3, agent_id="me", updated_at=_TIME, lease=_LEASE, step=_STEP
)
_DIFFERENCE = Difference(path="a", kind="changed", old=1, new=2)
_ALL = [
    _SNAPSHOT,
    _ENTRY,
    _CHECKPOINT,
    Reading(value=[1], revision=3, existed=True),
    _DIFFERENCE,
    _EFFECT,
    _LEASE,
    _STEP,
    _STATUS,
    UndoneRevision(revision=3, agent_id="me", timestamp=_TIME),
    Rollback(from_revision=3, effects=(_EFFECT,)),
    Attempt(
        attempt=1,
        agent_id="me",
        holder="",
        began_at=_TIME,
        line=0,
        next_step=0,
        back=False,
        from_revision=0,
        revision=0,
    ),
    Retry(on=(ValueError,)),
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


def test_a_preview_is_a_list_with_effects() -> None:
    preview = Preview([_DIFFERENCE], [_EFFECT])
    again = pickle.loads(pickle.dumps(preview))  # noqa: S301 - our own

    assert preview == [_DIFFERENCE]
    assert preview.effects == (_EFFECT,)
    assert (again, again.effects, type(again)) == (preview, (_EFFECT,), Preview)
    assert (Preview(), Preview().effects) == ([], ())


def test_not_done_is_one_thing() -> None:
    assert pickle.loads(pickle.dumps(NOT_DONE)) is NOT_DONE  # noqa: S301 - our own
    assert copy.deepcopy(NOT_DONE) is NOT_DONE
    assert repr(NOT_DONE) == "lastgood.NOT_DONE"


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({}, "held"),
        ({"lease": dataclasses.replace(_LEASE, remaining=0.0)}, "interrupted"),
        ({"lease": None}, "interrupted"),
        ({"lease": None, "step": dataclasses.replace(_STEP, poisoned=True)}, "poisoned"),
        ({"lease": None, "step": dataclasses.replace(_STEP, open=False)}, "idle"),
        ({"step": None}, "held"),
        ({"lease": None, "step": None}, "idle"),
    ],
)
def test_the_condition_of_a_workflow(changes: dict[str, Any], condition: str) -> None:
    assert dataclasses.replace(_STATUS, **changes).condition == condition


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"backoff": -1},
        {"backoff": float("inf")},
        {"backoff": float("nan")},
        {"backoff": "1"},
        {"factor": 0.5},
        {"max_backoff": -1},
        {"on": "ValueError"},
        {"on": (ValueError, 1)},
        {"on": KeyboardInterrupt},
        {"on": (BaseException,)},
        {"on": [ValueError]},
    ],
)
def test_a_retry_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Retry(**wrong)


def test_the_pauses_of_a_retry() -> None:
    error = ValueError()
    retry = Retry(attempts=6, backoff=1.0, factor=3.0, max_backoff=20.0)

    assert [retry.pause_after(tries, error) for tries in range(1, 7)] == [1.0, 3.0, 9.0, 20.0, 20.0, None]
    assert Retry(attempts=5000, factor=10.0).pause_after(4000, error) == 60.0
    assert Retry(attempts=5000, factor=10.0, backoff=0).pause_after(4000, error) == 0.0


@pytest.mark.parametrize("kind", [FencedError, LeaseLostError, PoisonedStepError, StepOrderError, asyncio.CancelledError])
def test_what_is_never_tried_again(kind: type[BaseException]) -> None:
    assert Retry().pause_after(1, kind()) is None
    assert Retry().pause_after(1, ValueError()) == 1.0
    assert Retry(on=LookupError).pause_after(1, KeyError()) == 1.0
    assert Retry(on=LookupError).pause_after(1, ValueError()) is None
