"""A step that is tried again: ``await workflow.step(n, retry=Retry(...)).run(function)``."""

import asyncio
import itertools
import time
from typing import Any

import pytest

from lastgood import (
    AgentStatus,
    Checkpoint,
    Client,
    FencedError,
    InvalidArgumentError,
    InvalidValueError,
    LeaseLostError,
    PoisonedStepError,
    ResumableWorkflow,
    Retry,
    Step,
    StepOrderError,
)

COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED
AT_ONCE = Retry(attempts=3, backoff=0.0)


@pytest.fixture
async def workflow(client: Client, wf: str) -> ResumableWorkflow:
    """An attempt at a workflow, without a lease, so that another may begin."""
    made = client.workflow(wf, initial_state={"tries": []})
    await made.try_resume()
    return made


class Work:
    """Writes, and fails as often as it is told to. It remembers what it found at the beginning of each try."""

    def __init__(self, workflow: ResumableWorkflow, *errors: BaseException) -> None:
        self.found: list[tuple[Any, Checkpoint | None]] = []
        self.sent = 0
        self._workflow = workflow
        self._errors = list(errors)

    async def __call__(self, step: Step, *args: object) -> tuple[object, ...]:
        latest = await self._workflow._manager.get_latest_checkpoint(self._workflow.workflow_id)  # noqa: SLF001 - of this client
        self.found.append((await step.state.to_dict(), latest))
        await step.state.append("tries", len(self.found))
        await step.once("send", self._send)
        if self._errors:
            raise self._errors.pop(0)
        return args

    async def _send(self) -> None:
        self.sent += 1


async def test_it_is_tried_until_it_succeeds(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    work = Work(workflow, ValueError("one"), KeyError("two"))
    step = workflow.step(0, "a", retry=AT_ONCE)
    assert await step.run(work, 1, "two") == (1, "two")
    assert [state for state, _ in work.found] == [{"tries": []}] * 3, "each try begins at the last good state"
    told = [checkpoint and (checkpoint.status, checkpoint.metadata) for _, checkpoint in work.found]
    assert told == [
        None,
        (FAILED, {"error": {"type": "ValueError", "message": "one"}}),
        (FAILED, {"error": {"type": "KeyError", "message": "'two'"}}),
    ]
    assert await workflow.state.to_dict() == {"tries": [3]}
    assert work.sent == 1, "an effect is recorded in a try that fails, too"
    assert step.checkpoint is not None
    assert (step.checkpoint.status, workflow.current_step, workflow.attempt) == (COMPLETED, 1, 1)
    assert await client.checkpoints.list_checkpoints(wf) == [step.checkpoint]


async def test_the_last_exception_goes_on(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    errors = [ValueError(number) for number in range(5)]
    with pytest.raises(ValueError, match="2") as caught:
        await workflow.step(0, "a", retry=AT_ONCE).run(Work(workflow, *errors))
    assert caught.value is errors[2]
    assert [each.status for each in await client.checkpoints.list_checkpoints(wf)] == [FAILED]
    assert await workflow.state.to_dict() == {"tries": []}
    assert await workflow.step(0, "a").run(Work(workflow)) == ()


async def test_without_retry_it_is_tried_once(workflow: ResumableWorkflow) -> None:
    work = Work(workflow, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await workflow.step(0, "a").run(work)
    assert len(work.found) == 1


async def test_a_plain_function(workflow: ResumableWorkflow) -> None:
    tries: list[Step] = []

    def work(step: Step, factor: int) -> int:
        tries.append(step)
        if len(tries) < 3:
            raise ValueError
        return step.number + factor

    assert await workflow.step(0, "a", retry=AT_ONCE).run(work, 7) == 7
    assert len(tries) == 3


@pytest.mark.parametrize(
    "error",
    [
        TypeError("not listed"),
        FencedError("no"),
        LeaseLostError("no"),
        StepOrderError("no"),
        PoisonedStepError("no"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_tried_again(workflow: ResumableWorkflow, error: BaseException) -> None:
    listed = (ValueError, FencedError, LeaseLostError, StepOrderError, PoisonedStepError)
    work = Work(workflow, error)
    with pytest.raises(type(error)) as caught:
        await workflow.step(0, "a", retry=Retry(backoff=0.0, on=listed)).run(work)
    assert caught.value is error
    assert len(work.found) == 1
    assert await workflow.state.to_dict() == {"tries": []}


async def test_a_step_that_was_taken_over_is_not_tried_again(
    second_client: Client, workflow: ResumableWorkflow, wf: str
) -> None:
    tries = []

    async def work(step: Step) -> None:
        tries.append(step)
        await second_client.workflow(wf).try_resume()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await workflow.step(0, "a", retry=AT_ONCE).run(work)
    assert len(tries) == 1
    assert "rolled back at the next resume" in caught.value.__notes__[0]


async def test_an_end_that_cannot_be_recorded_is_not_tried_again(workflow: ResumableWorkflow) -> None:
    tries = []

    async def work(step: Step) -> None:
        tries.append(step)
        step.metadata = {}
        step.metadata["wrong"] = {1}

    with pytest.raises(InvalidValueError):
        await workflow.step(0, "a", retry=AT_ONCE).run(work)
    assert len(tries) == 1


async def test_it_waits_longer_each_time(workflow: ResumableWorkflow) -> None:
    times: list[float] = []

    def work(step: Step) -> None:
        del step
        times.append(time.monotonic())
        if len(times) < 4:
            raise ValueError

    await workflow.step(0, "a", retry=Retry(attempts=4, backoff=0.05, factor=3, max_backoff=0.2)).run(work)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.15, 0.2), strict=True))


async def test_while_it_waits_the_step_is_rolled_back(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    work = Work(workflow, ValueError())
    trying = asyncio.create_task(workflow.step(0, "a", retry=Retry(backoff=60.0)).run(work))
    async with asyncio.timeout(30):
        while not await client.checkpoints.has_checkpoint(wf):
            pass
    assert await workflow.state.to_dict() == {"tries": []}
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    async with workflow.step(0, "a"):
        pass


async def test_a_with_block_cannot_run_twice(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"\.run"):
        await workflow.step(0, "a", retry=Retry()).__aenter__()
    assert await client.checkpoints.list_checkpoints(wf) == []
    async with workflow.step(0, "a"):
        pass


async def test_what_is_no_function(workflow: ResumableWorkflow) -> None:
    wrong: list[Any] = [None, "work", asyncio.sleep(0)]
    wrong[2].close()
    for each in wrong:
        with pytest.raises(InvalidArgumentError, match="function"):
            await workflow.step(0, "a").run(each)


async def test_before_any_attempt(client: Client, wf: str) -> None:
    with pytest.raises(StepOrderError):
        await client.workflow(wf).step(0, "a", retry=Retry()).run(lambda step: step)
