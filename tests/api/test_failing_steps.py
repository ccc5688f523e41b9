"""api.md, ``async with workflow.step(n)``: a step that fails is recorded and rolled back."""

import asyncio
from typing import Any

import pytest
from tests.api.stepping import COMPLETED, FAILED, listed

from lastgood import (
    Client,
    ExecutionMetrics,
    InvalidArgumentError,
    InvalidValueError,
    ResumableWorkflow,
    Step,
)


@pytest.fixture
async def workflow(client: Client, wf: str) -> ResumableWorkflow:
    """An attempt at a workflow, without a lease, so that another may begin."""
    made = client.workflow(wf, initial_state={"x": 0})
    await made.try_resume()
    return made


async def _fail(step: Step, error: BaseException) -> None:
    """Do a step that writes, and fails."""
    async with step:
        await step.state.set("x", "garbage")
        raise error


async def test_failure_rolls_back_and_is_recorded(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    async with workflow.step(0, "a") as good:
        await good.state.set("x", 1)
    error = KeyError("no such city")
    workflow.metrics.total_cost += 2.5
    step = workflow.step(1, "analyst", metadata={"model": "m"})
    with pytest.raises(KeyError) as caught:
        await _fail(step, error)
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert await workflow.state.to_dict() == {"x": 1}
    assert (await workflow.state.get_history("x"))[-2].value == "garbage"
    made = step.checkpoint
    assert made is not None
    assert (made.step, made.status, made.agent_id) == (1, FAILED, "analyst")
    assert made.metadata == {"model": "m", "error": {"type": "KeyError", "message": "'no such city'"}}
    assert made.metrics == ExecutionMetrics(total_cost=2.5)
    assert await workflow.state.get(at=made.state_snapshot) == {"x": "garbage"}
    assert await listed(client, wf) == [(0, 1, COMPLETED), (1, 1, FAILED)]
    assert workflow.rollback is not None
    assert workflow.rollback.from_revision == made.state_snapshot.revision
    assert (workflow.current_step, workflow.attempt) == (1, 1)
    async with workflow.step(1, "analyst"):
        pass
    assert await listed(client, wf) == [(0, 1, COMPLETED), (1, 1, COMPLETED)]


async def test_a_failure_without_a_checkpoint_goes_back_to_where_it_began(workflow: ResumableWorkflow) -> None:
    with pytest.raises(ValueError, match="mine"):
        await _fail(workflow.step(0, "a"), ValueError("mine"))
    assert await workflow.state.to_dict() == {"x": 0}


class OwnError(Exception):
    """An exception with a module."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OwnError("why"), {"type": f"{__name__}.OwnError", "message": "why"}),
        (OwnError(), {"type": f"{__name__}.OwnError", "message": ""}),
        (ValueError("\ud800"), {"type": "ValueError", "message": "\\ud800"}),
        (ValueError("long" * 5000), {"type": "ValueError", "message": "long" * 2500}),
        (KeyboardInterrupt(), {"type": "KeyboardInterrupt", "message": ""}),
    ],
    ids=["own", "empty", "not Unicode", "long", "exit"],
)
async def test_the_exception_is_told_in_a_form_that_can_be_stored(
    workflow: ResumableWorkflow, error: BaseException, told: dict[str, str]
) -> None:
    step = workflow.step(0, "a")
    with pytest.raises(type(error)):
        await _fail(step, error)
    assert step.checkpoint is not None
    assert step.checkpoint.metadata == {"error": told}


async def test_an_exception_without_a_text(workflow: ResumableWorkflow) -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    step = workflow.step(0, "a")
    with pytest.raises(SilentError):
        await _fail(step, SilentError())
    assert step.checkpoint is not None


@pytest.mark.parametrize("wrong", [[1], "text", {"x": {1}}])
async def test_metadata_that_cannot_be_stored(
    client: Client, workflow: ResumableWorkflow, wf: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidValueError):
        workflow.step(0, "a", metadata=wrong)

    async def work() -> None:
        async with workflow.step(0, "a") as step:
            step.metadata = wrong

    with pytest.raises(InvalidValueError):
        await work()
    assert await listed(client, wf) == [(0, 1, FAILED)]


async def test_what_spoils_the_checkpoint_fails_the_step(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    async def work() -> None:
        metadata: dict[str, Any] = {}
        async with workflow.step(0, "a", metadata=metadata) as step:
            await step.state.set("x", "garbage")
            metadata["later"] = {1}

    with pytest.raises(InvalidValueError):
        await work()
    assert await listed(client, wf) == [(0, 1, FAILED)]
    workflow.metrics.total_tokens = "many"  # type: ignore[assignment]
    with pytest.raises(InvalidArgumentError, match="total_tokens"):
        async with workflow.step(0, "a"):
            pass
    assert await workflow.state.to_dict() == {"x": 0}
    workflow.metrics.total_tokens = 0
    async with workflow.step(0, "a"):
        pass


async def test_a_cancellation_is_a_failure(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    step = workflow.step(0, "a")

    async def work() -> None:
        async with asyncio.timeout(0.1), step:
            await step.state.set("x", "garbage")
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    assert await workflow.state.to_dict() == {"x": 0}
    assert await listed(client, wf) == [(0, 1, FAILED)]
    assert step.checkpoint is not None
    assert step.checkpoint.metadata == {"error": {"type": "asyncio.exceptions.CancelledError", "message": ""}}
