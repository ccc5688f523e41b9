"""Checkpoints on their lines, and attempts: which one is the latest, the last good one, and that of a step."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.engine.checkpoint import COMPLETED, FAILED, Checkpoint
from lastgood_daemon.engine.errors import CheckpointNotFoundError, FencedError
from lastgood_daemon.engine.log import Author, LoggedEdit
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.engine.workflow import Workflow


def mark(step: int, attempt: int = 1, status: int = COMPLETED, *, created_at: int = 0) -> Checkpoint:
    return Checkpoint(
        workflow_id="wf",
        step=step,
        attempt=attempt,
        line=0,
        agent_id="ann",
        status=status,
        point=Point("wf", 1, step),
        point_created_at=created_at,
        metrics=None,
        metadata=None,
        created_at=created_at,
    )


def workflow_of(*marks: Checkpoint) -> Workflow:
    workflow = Workflow("wf")
    for checkpoint in marks:
        workflow = workflow.record(checkpoint)
    return workflow


def orders(workflow: Workflow) -> list[tuple[int, int, bool]]:
    return [(c.step, c.attempt, c.superseded) for c in workflow.in_order()]


marks = st.builds(
    mark,
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from([1, 2, COMPLETED, COMPLETED, FAILED, 5]),
    created_at=st.integers(0, 3),
)


@given(st.lists(marks, max_size=10), st.integers(-1, 12), st.integers(0, 12))
def test_what_counts_goes_by_step_and_attempt_never_by_time(made: list[Checkpoint], step: int, attempt: int) -> None:
    workflow, superseded = workflow_of(*made).back_to(mark(step, attempt), 0)
    by_order = {checkpoint.order: checkpoint for checkpoint in made}
    live = sorted(order for order in by_order if order <= (step, attempt))
    good = [order for order in live if by_order[order].status == COMPLETED]
    latest, last_good = workflow.latest(), workflow.last_good()
    assert (None if latest is None else latest.order) == (live[-1] if live else None)
    assert (None if last_good is None else last_good.order) == (good[-1] if good else None)
    assert orders(workflow) == [(*order, order not in live) for order in sorted(by_order)]
    assert sorted(c.order for c in superseded) == sorted(set(by_order) - set(live))
    assert all(c.superseded for c in superseded)
    for one in range(13):
        of_step = [order for order in live if order[0] == one]
        if of_step:
            assert workflow.of_step(one).order == of_step[-1]
        else:
            with pytest.raises(CheckpointNotFoundError):
                workflow.of_step(one)


def test_of_equal_times_the_higher_step_is_the_latest_and_of_one_step_the_higher_attempt() -> None:
    workflow = workflow_of(mark(10, 2), mark(9, 3), mark(10, 1), mark(2, 11))
    latest = workflow.latest()
    assert latest is not None
    assert latest.order == (10, 2)
    assert workflow.of_step(10).attempt == 2
    assert [c.order for c in workflow.in_order()] == [(2, 11), (9, 3), (10, 1), (10, 2)]


def test_a_later_failure_is_the_latest_but_not_the_last_good() -> None:
    workflow = workflow_of(mark(1), mark(2), mark(2, 2, FAILED), mark(3, 2, FAILED))
    latest, last_good = workflow.latest(), workflow.last_good()
    assert latest is not None
    assert last_good is not None
    assert (latest.order, last_good.order) == ((3, 2), (2, 1))
    assert workflow.of_step(2).order == (2, 2)


def test_an_empty_workflow() -> None:
    assert workflow_of().latest() is None
    assert workflow_of().last_good() is None
    assert workflow_of(mark(1, status=FAILED)).last_good() is None
    with pytest.raises(CheckpointNotFoundError) as refused:
        workflow_of(mark(1)).of_step(2)
    assert refused.value.metadata == {"workflow_id": "wf", "step": "2"}


def test_a_crash_after_going_back_does_not_resume_in_what_was_put_aside() -> None:
    workflow = workflow_of(*(mark(step) for step in range(1, 9)))
    workflow, superseded = workflow.back_to(mark(3, 9), 0)
    assert sorted(c.step for c in superseded) == [4, 5, 6, 7, 8]
    assert workflow.progress.line == 1
    workflow = workflow.record(mark(4, 2))
    last_good = workflow.last_good()
    assert last_good is not None
    assert last_good.order == (4, 2)
    assert (4, 1, True) in orders(workflow)
    again, superseded = workflow.back_to(mark(3, 9), 0)
    assert [c.order for c in superseded] == [(4, 2)]
    assert again.progress.line == 2


def test_the_same_step_and_attempt_replaces() -> None:
    workflow = workflow_of(mark(1), mark(2, status=FAILED), mark(2, status=COMPLETED))
    assert len(workflow.in_order()) == 2
    assert workflow.of_step(2).status == COMPLETED


def test_recorded_again_a_superseded_checkpoint_counts() -> None:
    workflow, _ = workflow_of(mark(1, 0), mark(2, 0)).back_to(mark(1, 9), 0)
    assert workflow.record(mark(2, 0)).of_step(2).superseded is False


def test_deleting_checkpoints() -> None:
    workflow, _ = workflow_of(mark(1), mark(2), mark(2, 2), mark(3)).back_to(mark(2, 9), 0)
    without, gone = workflow.without(2)
    assert [c.order for c in gone] == [(2, 1), (2, 2)]
    assert orders(without) == [(1, 1, False), (3, 1, True)]
    assert [c.order for c in workflow.without(3)[1]] == [(3, 1)]
    assert workflow.without(7) == (workflow, [])
    assert orders(workflow.without(None)[0]) == []
    assert len(workflow.without(None)[1]) == 4


def test_an_attempt_fences_those_before_it() -> None:
    state = State("wf")
    workflow = Workflow("wf").begin_attempt(state, "ann", 0, by_itself=False)
    workflow.require_attempt(1, 0)
    workflow = workflow.begin_attempt(state, "ann", 0, by_itself=False)
    workflow.require_attempt(2, 0)
    for attempt in (0, 1, 3):
        with pytest.raises(FencedError) as refused:
            workflow.require_attempt(attempt, 0)
        assert refused.value.metadata == {"workflow_id": "wf", "attempt": str(attempt), "current": "2"}


def test_a_workflow_begins_once_in_each_life_of_its_state() -> None:
    state = State("wf")
    workflow = Workflow("wf")
    assert not workflow.has_begun_in(state)
    workflow = workflow.begin_attempt(state, "ann", 0, by_itself=False)
    assert workflow.progress.began == Point("wf", 1, 0)
    reborn = State("wf", About(incarnation=2))
    assert workflow.has_begun_in(state)
    assert not workflow.has_begun_in(reborn)
    assert workflow.begin_attempt(reborn, "ann", 0, by_itself=False).progress.began == Point("wf", 2, 0)
    assert workflow.begin_attempt(reborn, "ann", 0, by_itself=False).progress.attempt == 2


def test_a_workflow_at_a_moment_stays_as_it_was() -> None:
    workflow = workflow_of(mark(1), mark(2))
    workflow.back_to(mark(1, 9), 0)
    workflow.without(None)
    workflow.begin_attempt(State("wf"), "ann", 0, by_itself=False)
    assert orders(workflow) == [(1, 1, False), (2, 1, False)]
    assert workflow.progress.attempt == 0


@pytest.mark.parametrize(
    ("status", "step", "done"), [(COMPLETED, 3, 3), (FAILED, 3, 2), (COMPLETED, 0, 0), (FAILED, 0, None)]
)
def test_a_fork_goes_on_after_the_last_step_that_was_done(status: int, step: int, done: int | None) -> None:
    origin = msgspec.structs.replace(mark(step, 7, status), line=4, superseded=True)
    new = State("new").advance([LoggedEdit("fork", (), ())], Author(), 50)[0]
    workflow, made = Workflow("new").forked_from(origin, new, 60)
    assert workflow.progress.began == Point("new", 1, 1)
    assert workflow.in_order() == made
    if done is None:
        assert (made, workflow.progress.next_step) == ([], 0)
        return
    (checkpoint,) = made
    assert workflow.last_good() == checkpoint
    assert workflow.progress.next_step == done + 1
    assert (checkpoint.workflow_id, checkpoint.order, checkpoint.line) == ("new", (done, 0), 0)
    assert (checkpoint.point, checkpoint.point_created_at, checkpoint.created_at) == (Point("new", 1, 1), 50, 60)
    assert not checkpoint.superseded
