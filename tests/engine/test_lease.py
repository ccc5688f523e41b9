"""A lease over time, and who may do what under it."""

import pytest

from lastgood_daemon.engine.attempt import StepAtWork
from lastgood_daemon.engine.errors import FencedError, LeaseLostError, WorkflowBusyError
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Progress, Workflow

LEASE = Lease(attempt=1, claim_id="claim", holder="ann", length=100, expires_at=1_100)


def held(lease: Lease | None = LEASE, *, attempts: int = 1) -> Workflow:
    workflow = Workflow("wf")
    for _ in range(attempts):
        workflow = workflow.begin_attempt(State("wf"), "ann", 0, by_itself=False)
    return workflow.with_lease(lease)


def test_it_is_live_until_it_expires_and_not_any_more_then() -> None:
    assert LEASE.is_live(0)
    assert LEASE.is_live(1_099)
    assert not LEASE.is_live(1_100)
    assert not LEASE.is_live(1_101)


def test_renewed_it_has_its_full_length_from_then_on() -> None:
    assert LEASE.renewed(1_050).expires_at == 1_150
    assert LEASE.renewed(1_050).renewed(1_050) == LEASE.renewed(1_050)


def test_its_end_is_reckoned_anew_from_when_it_was_reckoned_last() -> None:
    def later(expires_at: int, reckoned_at: int) -> int:
        return expires_at + 500 if reckoned_at < 2_000 else expires_at

    after = Progress(attempt=1, lease=LEASE).reckoned(2_000, later)
    assert after.lease == Lease(1, "claim", "ann", 100, 1_600, reckoned_at=2_000)
    assert after.reckoned(2_100, later) == after
    assert after.lease.renewed(2_050) == Lease(1, "claim", "ann", 100, 2_150)


def test_without_one_there_is_nothing_to_reckon() -> None:
    assert Progress(attempt=1).reckoned(5_000, max) == Progress(attempt=1)


def test_its_attempt_may_write_until_it_expires_and_then_has_lost_it() -> None:
    held().require_attempt(1, 1_099)
    with pytest.raises(LeaseLostError) as lost:
        held().require_attempt(1, 1_100)
    assert lost.value.metadata == {"workflow_id": "wf", "attempt": "1"}


def test_that_a_later_attempt_has_begun_is_said_first() -> None:
    with pytest.raises(FencedError):
        held(attempts=2).require_attempt(1, 1_100)


def test_an_attempt_without_one_has_nothing_to_lose() -> None:
    held(None).require_attempt(1, 10**15)


def test_others_find_it_busy_until_it_expires() -> None:
    with pytest.raises(WorkflowBusyError) as busy:
        held().require_free(1_000)
    assert busy.value.metadata == {"workflow_id": "wf", "holder": "ann", "remaining": "0.0"}
    assert busy.value.until == 1_100
    with pytest.raises(WorkflowBusyError):
        held().require_free(1_099, "another")
    held().require_free(1_099, "claim")
    held().require_free(1_100)
    held(None).require_free(0)


def test_how_long_it_holds_is_told_in_seconds() -> None:
    with pytest.raises(WorkflowBusyError, match=r"held by someone else, for another 2\.5 s") as busy:
        held(Lease(1, "claim", "", 3_000_000, 3_000_000)).require_free(500_000)
    assert busy.value.metadata["remaining"] == "2.5"


def test_an_attempt_that_begins_ends_it() -> None:
    assert held().begin_attempt(State("wf"), "bob", 0, by_itself=False).progress.lease is None


def test_whoever_holds_it_is_alive_as_far_as_is_known() -> None:
    step = StepAtWork(3, "ann", 1, 1_000, deaths=2)
    progress = Progress(attempt=1, lease=LEASE, step=step, poison_after=3)
    assert [progress.deaths(now) for now in (1_099, 1_100)] == [2, 3]
    assert [progress.is_poisoned(now) for now in (1_099, 1_100)] == [False, True]
    assert Progress(step=step.closed()).deaths(0) == 2
    assert Progress(step=step).deaths(0) == 3
    assert not Progress(step=step).is_poisoned(0)
    assert Progress().deaths(0) == 0
