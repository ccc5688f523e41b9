"""Steps: opened one at a time and in their order, and how many processes have died under one."""

import pytest
from tests.engine.test_workflow import mark

from lastgood_daemon.engine.errors import PoisonedStepError, StepOrderError
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Workflow

NEW = Workflow("wf")


def begun(workflow: Workflow = NEW, poison_after: int = 0, *, by_itself: bool = False) -> Workflow:
    return workflow.begin_attempt(State("wf"), "ann", poison_after, by_itself=by_itself)


def test_a_step_is_opened_in_its_order_and_only_one_at_a_time() -> None:
    workflow = begun()
    with pytest.raises(StepOrderError) as refused:
        workflow.open_step(1, "ann", 10)
    assert refused.value.metadata == {"workflow_id": "wf", "step": "1", "expected": "0"}
    workflow = workflow.open_step(0, "ann", 10)
    for step in (0, 1):
        with pytest.raises(StepOrderError, match="step 0 is still open"):
            workflow.open_step(step, "ann", 11)
    workflow = workflow.record(mark(0)).close_step(completed=True)
    assert workflow.progress.step is None
    with pytest.raises(StepOrderError, match="the next one is 1"):
        workflow.open_step(0, "ann", 11)
    workflow.open_step(1, "ann", 11).require_open(1)


def test_only_the_open_step_of_the_present_attempt_has_effects() -> None:
    workflow = begun()
    with pytest.raises(StepOrderError):
        workflow.require_open(0)
    workflow = workflow.open_step(0, "ann", 10)
    workflow.require_open(0)
    for other in (workflow.close_step(completed=False), begun(workflow)):
        with pytest.raises(StepOrderError, match="begin it first"):
            other.require_open(0)
    with pytest.raises(StepOrderError):
        workflow.require_open(1)
    assert [workflow.labelled_step(attempt) for attempt in (0, 1, 2)] == [None, 0, None]
    assert workflow.close_step(completed=False).labelled_step(1) is None


def test_deaths_are_counted_for_a_step_and_forgotten_when_it_is_done_or_released() -> None:
    workflow = begun()
    for deaths in range(3):
        assert workflow.progress.deaths(0) == deaths
        workflow = begun(workflow.open_step(0, "ann", 10))
    assert workflow.released().progress.deaths(0) == 0
    assert workflow.open_step(0, "ann", 10).close_step(completed=False).progress.deaths(0) == 3
    assert begun(workflow.open_step(0, "ann", 10), by_itself=True).progress.deaths(0) == 3
    done = workflow.open_step(0, "ann", 10).record(mark(0)).close_step(completed=True)
    assert done.progress.deaths(0) == 0
    assert workflow.record(mark(0)).open_step(1, "ann", 10).close_step(completed=False).progress.deaths(0) == 0


@pytest.mark.parametrize("poison_after", [1, 2, 3])
def test_so_many_may_die_under_a_step_and_no_more(poison_after: int) -> None:
    workflow = begun(poison_after=poison_after)
    for _ in range(poison_after - 1):
        workflow = begun(workflow.open_step(0, "ann", 10), poison_after)
        workflow.require_wholesome()
    workflow = begun(workflow.open_step(0, "ann", 10), poison_after)
    with pytest.raises(PoisonedStepError) as poisoned:
        workflow.require_wholesome()
    assert poisoned.value.metadata == {"workflow_id": "wf", "step": "0", "deaths": str(poison_after)}
    begun(workflow, 0).require_wholesome()
    begun(workflow, poison_after + 1).require_wholesome()
    begun(workflow.released(), poison_after).require_wholesome()
