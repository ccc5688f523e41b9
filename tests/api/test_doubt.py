"""api.md, ``step.once``: an effect that was begun, and of whose end nothing is known."""

import signal

import pytest
from tests.api.outside import Outside, failing
from tests.support.daemons import DaemonProcess
from tests.support.processes import run_script

from lastgood import NOT_DONE, InDoubtError, InvalidValueError, ResumableWorkflow, Step


async def _leave_in_doubt(workflow: ResumableWorkflow, key: str = "send") -> str:
    """Begin an effect, of whose end nothing becomes known; give its idempotency key."""
    given: list[str] = []

    async def work(step: Step) -> None:
        given.append(step.idempotency_key(key))
        with pytest.raises(ConnectionError):
            await step.once(key, Outside(ConnectionError()))

    await failing(workflow, work)
    return given[0]


async def test_by_itself_it_runs_again(workflow: ResumableWorkflow) -> None:
    await _leave_in_doubt(workflow)
    outside = Outside("sent")
    async with workflow.step(0, "a") as step:
        assert [(each.status, each.in_doubt, each.runs) for each in step.effects] == [("claimed", True, 1)]
        assert await step.once("send", outside) == "sent"
    assert len(outside.calls) == 1
    (effect,) = await workflow.list_effects()
    assert (effect.status, effect.in_doubt, effect.runs) == ("recorded", True, 2)


async def test_or_it_is_an_error(workflow: ResumableWorkflow) -> None:
    key = await _leave_in_doubt(workflow)
    outside = Outside("sent")
    async with workflow.step(0, "a") as step:
        with pytest.raises(InDoubtError) as caught:
            await step.once("send", outside, in_doubt="raise")
        error = caught.value
        assert (error.workflow_id, error.step, error.key, error.idempotency_key) == (workflow.workflow_id, 0, "send", key)
        assert await step.once("other", outside, in_doubt="raise") == "sent"
        assert await step.once("other", outside, in_doubt="raise") == "sent"
    assert len(outside.calls) == 1


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("known", ["sent", None, NOT_DONE])
async def test_or_the_outside_service_is_asked(workflow: ResumableWorkflow, known: object, *, is_async: bool) -> None:
    key = await _leave_in_doubt(workflow)
    outside, ask = Outside("sent now"), Outside(known)

    asked: list[str] = []

    def ask_plainly(given: str) -> object:
        asked.append(given)
        return known

    for _ in range(2):
        async with workflow.step(workflow.current_step, "a") as step:
            if step.number == 0:
                result = await step.once("send", outside, in_doubt=ask if is_async else ask_plainly)
                again = await step.once("send", outside, in_doubt=ask if is_async else ask_plainly)
            else:
                await step.once("send", outside, in_doubt=ask)
    assert result == again == ("sent now" if known is NOT_DONE else known)
    assert (ask.calls, asked) == (([(key,)], []) if is_async else ([], [key]))
    assert len(outside.calls) == (2 if known is NOT_DONE else 1), "the second step's always runs: nothing is in doubt there"
    effect = (await workflow.list_effects())[0]
    assert (effect.status, effect.in_doubt) == ("recorded", True)


async def test_a_result_of_the_outside_service_that_cannot_be_stored(workflow: ResumableWorkflow) -> None:
    await _leave_in_doubt(workflow)
    outside = Outside("sent")
    async with workflow.step(0, "a") as step:
        with pytest.raises(InvalidValueError, match="is done and does not run again"):
            await step.once("send", outside, in_doubt=lambda _: object())
    assert outside.calls == []
    assert [each.status for each in await workflow.list_effects()] == ["done"]


async def test_where_the_outside_service_cannot_be_asked_it_stays_in_doubt(workflow: ResumableWorkflow) -> None:
    await _leave_in_doubt(workflow)
    outside = Outside("sent")

    async def work(step: Step) -> None:
        with pytest.raises(TimeoutError):
            await step.once("send", outside, in_doubt=Outside(TimeoutError()))

    await failing(workflow, work)
    assert outside.calls == []
    (effect,) = await workflow.list_effects()
    assert (effect.status, effect.in_doubt, effect.runs) == ("claimed", True, 1)


DYING = """
    import asyncio, os, signal, sys
    import lastgood

    async def main():
        async with lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20) as client:
            workflow = client.workflow(sys.argv[2])
            await workflow.try_resume()
            async with workflow.step(0, agent_id="child") as step:
                await step.once("first", lambda: "sent")
                print(step.idempotency_key("second"), flush=True)
                await step.once("second", lambda: os.kill(os.getpid(), signal.SIGKILL))

    asyncio.run(main())
"""


async def test_a_process_that_dies_between_the_claim_and_the_record(
    daemon: DaemonProcess, workflow: ResumableWorkflow, wf: str
) -> None:
    done = run_script(DYING, daemon.folder, wf)
    assert done.returncode == -signal.SIGKILL
    await workflow.try_resume()
    assert workflow.rollback is not None
    assert [(each.key, each.status) for each in workflow.rollback.effects] == [("first", "recorded"), ("second", "claimed")]
    async with workflow.step(0, "a") as step:
        assert await step.once("first", Outside("again"), in_doubt="raise") == "sent"
        with pytest.raises(InDoubtError) as caught:
            await step.once("second", Outside("again"), in_doubt="raise")
        assert caught.value.idempotency_key == done.stdout.strip()
