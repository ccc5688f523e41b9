"""api.md, ``await step.once(key, function, *args)``: what has happened once does not happen again."""

import asyncio
from typing import Any

import pytest
from tests.api.outside import Outside, failing

import lastgood
from lastgood import (
    Client,
    Effect,
    FencedError,
    InvalidArgumentError,
    InvalidValueError,
    ResumableWorkflow,
    Step,
    StepOrderError,
)

# Recorded


@pytest.mark.parametrize("result", [None, 0, {"id": [1, 2.5, b"x", None]}, "text"])
async def test_a_recorded_result_is_given_instead_of_a_second_call(
    client: Client, second_client: Client, wf: str, result: object
) -> None:
    outside = Outside(result, "something else")

    async def send(step: Step) -> None:
        assert await step.once("send", outside, 1, "two") == result
        assert await step.once("send", outside, 3) == result

    workflow = client.workflow(wf)
    await workflow.try_resume()
    for _ in range(2):  # in a retry ...
        await failing(workflow, send)
    resumed = second_client.workflow(wf)
    await resumed.try_resume()  # ... and after a resume
    async with resumed.step(0, "b") as step:
        await send(step)
    assert outside.calls == [(1, "two")]


async def test_it_is_known_by_step_and_key(workflow: ResumableWorkflow) -> None:
    outside = Outside(1, 2, 3)
    async with workflow.step(0, "a") as step:
        assert [await step.once(key, outside) for key in ("one", "two", "one")] == [1, 2, 1]
    async with workflow.step(1, "a") as step:
        assert await step.once("one", outside) == 3


async def test_plain_functions_and_such_as_block(workflow: ResumableWorkflow) -> None:
    def plain(number: int) -> int:
        return number + 1

    async with workflow.step(0, "a") as step:
        assert await step.once("plain", plain, 1) == 2
        assert await step.once("thread", asyncio.to_thread, plain, 2) == 3
        assert await step.once("thread", plain, 7) == 3


async def test_a_result_that_cannot_be_stored_is_an_error_each_time(workflow: ResumableWorkflow) -> None:
    outside = Outside(object())
    async with workflow.step(0, "a") as step:
        with pytest.raises(InvalidValueError, match=r"(?s)return something that can be.*object") as first:
            await step.once("make", outside)
        assert first.value.type_name == "object"
        with pytest.raises(InvalidValueError, match="is done and does not run again"):
            await step.once("make", outside)
    assert len(outside.calls) == 1
    (effect,) = await workflow.list_effects()
    assert (effect.status, effect.in_doubt, effect.recorded_at is not None) == ("done", False, True)


@pytest.mark.parametrize("keys", [("one", "one"), ("one", "two")])
async def test_two_at_the_same_time(workflow: ResumableWorkflow, keys: tuple[str, str]) -> None:
    running, most, calls = 0, 0, 0
    both = asyncio.Event()

    async def outside() -> int:
        nonlocal running, most, calls
        calls += 1
        running += 1
        most = max(most, running)
        if len(set(keys)) == 1 or calls == 2:
            both.set()
        await both.wait()
        running -= 1
        return calls

    async with workflow.step(0, "a") as step, asyncio.timeout(30):
        first, second = await asyncio.gather(*(step.once(key, outside) for key in keys))
    assert calls == most == len(set(keys))
    assert first == second


async def test_a_result_is_recorded_through_a_cancellation(workflow: ResumableWorkflow) -> None:
    async def outside() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return 7

    async def work(step: Step) -> None:
        await step.once("send", outside)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(workflow.step(0, "a").run(work))
    (effect,) = await workflow.list_effects()
    assert effect.status == "recorded"


# The idempotency key


async def test_the_idempotency_key_stays_the_same(client: Client, second_client: Client, wf: str) -> None:
    keys: list[str] = []
    outside = Outside(ValueError("the line is dead"))

    async def send(step: Step) -> None:
        keys.append(step.idempotency_key("send"))
        with pytest.raises(ValueError, match="dead"):
            await step.once("send", outside, step.idempotency_key("send"))

    workflow = client.workflow(wf)
    await workflow.try_resume()
    await failing(workflow, send)
    await failing(workflow, send)
    resumed = second_client.workflow(wf)
    await resumed.try_resume()
    await failing(resumed, send)
    assert keys == keys[:1] * 3
    assert outside.calls == [(keys[0],)] * 3
    (effect,) = await resumed.list_effects()
    assert effect.idempotency_key == keys[0]
    assert (effect.runs, effect.in_doubt) == (3, True)
    async with resumed.step(0, "a") as step:
        assert len({keys[0], step.idempotency_key("other")}) == 2
        assert step.effects == (effect,)


async def test_another_line_has_other_keys_and_runs_anew(workflow: ResumableWorkflow) -> None:
    outside = Outside(1, 2)
    keys: list[str] = []

    async def send() -> int:
        async with workflow.step(1, "a") as step:
            keys.append(step.idempotency_key("send"))
            assert step.effects == ()
            result: int = await step.once("send", outside)
            return result

    async with workflow.step(0, "a"):
        pass
    assert await send() == 1
    await workflow.try_resume(step=0)
    assert workflow.rollback is not None
    assert [(each.step, each.key, each.status) for each in workflow.rollback.effects] == [(1, "send", "recorded")]
    assert await send() == 2
    assert len(set(keys)) == 2
    effects = await workflow.list_effects()
    assert [(each.idempotency_key, each.superseded) for each in effects] == [(keys[0], True), (keys[1], False)]
    assert effects[0].line < effects[1].line


# Where and how


async def test_only_within_the_step(workflow: ResumableWorkflow) -> None:
    outside = Outside(1)
    step = workflow.step(0, "a")
    for _ in range(2):
        with pytest.raises(StepOrderError, match="not open"):
            await step.once("send", outside)
        with pytest.raises(StepOrderError, match="not open"):
            step.idempotency_key("send")
        if step.checkpoint is None:
            async with step:
                pass
    assert outside.calls == []


async def test_an_attempt_that_was_replaced_runs_nothing(
    second_client: Client, workflow: ResumableWorkflow, wf: str
) -> None:
    outside = Outside(1)

    async def work(step: Step) -> None:
        await second_client.workflow(wf).try_resume()
        with pytest.raises(FencedError):
            await step.once("send", outside)

    await failing(workflow, work)
    assert outside.calls == []


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (("", Outside(1)), {}),
        ((1, Outside(1)), {}),
        (("key", 1), {}),
        (("key", Outside(1)), {"in_doubt": "maybe"}),
        (("key", Outside(1)), {"in_doubt": None}),
        (("key", Outside(1)), {"in_doubt": []}),
        (("key", Outside(1)), {"failures": "ValueError"}),
        (("key", Outside(1)), {"failures": (BaseException,)}),
    ],
)
async def test_arguments_that_make_no_sense(
    workflow: ResumableWorkflow, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    async with workflow.step(0, "a") as step:
        with pytest.raises(InvalidArgumentError):
            await step.once(*args, **options)
    assert await workflow.list_effects() == []


async def test_effects_are_listed(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    for number in range(2):
        async with workflow.step(number, f"agent-{number}") as step:
            await step.once("b", Outside(1))
            await step.once("a", Outside(1))
    effects = await client.workflow(wf).list_effects()
    assert [(each.step, each.key) for each in effects] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert all(isinstance(each, Effect) for each in effects)
    last = effects[-1]
    assert (last.workflow_id, last.attempt, last.agent_id, last.runs, last.status) == (wf, 1, "agent-1", 1, "recorded")
    assert last.recorded_at is not None
    assert last.recorded_at >= last.claimed_at
    assert (last.line, last.superseded, last.failure) == (0, False, None)


async def test_more_effects_than_fit_on_a_page(workflow: ResumableWorkflow) -> None:
    async with workflow.step(0, "a") as step:
        await asyncio.gather(*(step.once(f"{number:04}", Outside(number)) for number in range(1200)))
    assert [each.key for each in await workflow.list_effects()] == [f"{number:04}" for number in range(1200)]


async def test_clear_checkpoints_clears_them(workflow: ResumableWorkflow) -> None:
    keys, outside = [], Outside(1, 2)
    for _ in range(2):
        async with workflow.step(0, "a") as step:
            keys.append(step.idempotency_key("send"))
            await step.once("send", outside)
        await workflow.clear_checkpoints()
        assert await workflow.list_effects() == []
        await workflow.try_resume()
    assert len(outside.calls) == 2
    assert len(set(keys)) == 2


async def test_a_preview_tells_what_a_restore_does_not_take_back(workflow: ResumableWorkflow) -> None:
    for number in range(3):
        async with workflow.step(number, "a") as step:
            await step.state.set("x", number)
            await step.once(f"send-{number}", Outside(number))
        if number == 0:
            first = step.checkpoint
    assert first is not None
    preview = await workflow.state.preview(first)
    assert preview == [lastgood.Difference("x", "changed", 2, 0)]
    assert [each.key for each in preview.effects] == ["send-1", "send-2"]
    assert (await workflow.state.preview(1)).effects == ()
