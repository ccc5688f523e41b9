"""api.md, ``async with workflow``: one holder at a time, for as long as it lives."""

import asyncio
import gc
import os
import subprocess
import weakref
from typing import Any

import pytest
from tests.api.leasing import BRISK, SHORT, holder
from tests.support.daemons import DaemonProcess
from tests.support.processes import environment, run_script, script, stopped

import lastgood
from lastgood import (
    AgentStatus,
    Client,
    FencedError,
    InvalidArgumentError,
    WorkflowBusyError,
)

COMPLETED = AgentStatus.COMPLETED


async def _renewed(client: Client, wf: str) -> None:
    """Wait until the lease has run for a while, and then anew."""
    async with asyncio.timeout(30):
        while await _left(client, wf) > 0.8:
            pass
        while await _left(client, wf) < 0.9:
            pass


async def _left(client: Client, wf: str) -> float:
    """How much of the lease is left, as a part of it."""
    status = await client.workflow(wf).status()
    assert status is not None
    assert status.lease is not None
    return status.lease.remaining / status.lease.seconds


# Claim, and give up


async def test_a_claim_resumes_the_workflow_and_is_given_up(client: Client, second_client: Client, wf: str) -> None:
    async with client.workflow(wf, initial_state={"x": 0}) as workflow:
        assert (workflow.attempt, workflow.current_step, workflow.is_resumed) == (1, 0, False)
        await workflow.state.set("x", 1)
        workflow.metrics.total_tokens += 7
        await workflow.checkpoint(0, "a", COMPLETED)
        await workflow.state.set("x", "garbage")
        status = await second_client.workflow(wf).status()
        assert status is not None
        assert status.condition == "held"
        assert status.lease is not None
        assert (status.lease.attempt, status.lease.seconds) == (1, 30.0)
        assert 0 < status.lease.remaining <= 30.0
    assert await holder(client, wf) is None
    async with second_client.workflow(wf) as again:
        assert (again.attempt, again.current_step, again.is_resumed) == (2, 1, True)
        assert await again.state.to_dict() == {"x": 1}
        assert again.metrics.total_tokens == 7
        assert again.rollback is not None
        assert again.rollback.from_revision == 3


async def test_a_finished_workflow_can_be_claimed(client: Client, wf: str) -> None:
    async with client.workflow(wf) as workflow:
        for number in range(2):
            async with workflow.step(number, "a"):
                pass
    async with client.workflow(wf) as again:
        assert again.current_step == 2


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine"), asyncio.CancelledError("mine")])
async def test_it_is_given_up_where_the_body_fails_whose_exception_goes_on(
    client: Client, wf: str, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        async with client.workflow(wf):
            raise error
    assert caught.value is error
    assert await holder(client, wf) is None


async def test_another_gets_busy_and_changes_nothing(client: Client, second_client: Client, wf: str) -> None:
    async with client.workflow(wf, lease=20.0) as workflow:
        other = second_client.workflow(wf)
        for enter in (other.__aenter__, other.try_resume, lambda: other.try_resume(step=0)):
            with pytest.raises(WorkflowBusyError) as caught:
                await enter()
            error = caught.value
            assert error.workflow_id == wf
            assert error.holder == f"process {os.getpid()} on {os.uname().nodename}"
            assert error.remaining is not None
            assert 0 < error.remaining <= 20.0
        assert (other.attempt, other.rollback) == (0, None)
        await workflow.state.set("x", 1)
        assert [each.attempt for each in await workflow.list_attempts()] == [1]


async def test_the_holder_is_the_agent_where_there_is_one(daemon: DaemonProcess, client: Client, wf: str) -> None:
    async with (
        lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0, agent_id="researcher") as named,
        named.workflow(wf) as workflow,
    ):
        assert await holder(client, wf) == "researcher"
        await workflow.state.set("x", 1)
        assert (await workflow.state.get_history("x"))[0].agent_id == "researcher"


async def test_while_it_is_held_only_its_attempt_writes_there(client: Client, second_client: Client, wf: str) -> None:
    outside = second_client.state(wf)
    async with client.workflow(wf) as workflow:
        with pytest.raises(WorkflowBusyError):
            await outside.set("x", 1)
        await workflow.state.set("x", 2)
        assert await outside.get("x") == 2
        handle = workflow.state
    await outside.set("x", 3)
    await handle.set("x", 4)  # no lease any more, and still the present attempt


async def test_the_same_object_twice(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    async with workflow:
        with pytest.raises(WorkflowBusyError, match="this object") as caught:
            await workflow.__aenter__()
        assert str(os.getpid()) in caught.value.holder
        await workflow.state.set("x", 1)
    async with workflow:
        assert workflow.attempt == 2
        assert await workflow.state.to_dict() == {}


async def test_it_can_be_entered_after_an_attempt_that_was_replaced(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await second_client.workflow(wf).try_resume()
    async with workflow:
        assert workflow.attempt == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease": 0},
        {"lease": float("nan")},
        {"lease": float("inf")},
        {"lease": 86401},
        {"lease": True},
        {"wait": 1},
        {"wait": None},
        {"poison_after": 0},
        {"poison_after": -1},
        {"poison_after": 2**32},
        {"poison_after": 1.5},
        {"poison_after": True},
    ],
)
async def test_arguments_that_make_no_sense(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        client.workflow("x", **wrong)


# Going back within a claim


async def test_try_resume_within_a_claim_keeps_it(client: Client, second_client: Client, wf: str) -> None:
    async with client.workflow(wf, lease=BRISK) as workflow:
        before = workflow.state
        for number in range(3):
            async with workflow.step(number, "a") as step:
                await step.state.set("x", number)
        for attempt in (2, 3):
            assert await workflow.try_resume(step=1) == 2
            assert workflow.attempt == attempt
        with pytest.raises(FencedError):
            await before.set("x", "garbage")
        await _renewed(client, wf)  # the lease of the new attempt is the one that is kept alive
        await workflow.state.set("x", 1)
        with pytest.raises(WorkflowBusyError):
            await second_client.workflow(wf).try_resume()
        status = await workflow.status()
        assert status is not None
        assert status.lease is not None
        assert status.lease.attempt == 3


async def test_forcing_it_as_the_holder_changes_nothing_about_the_claim(client: Client, wf: str) -> None:
    async with client.workflow(wf) as workflow:
        await workflow.try_resume(force=True)
        assert workflow.attempt == 2
        assert await holder(client, wf) is not None
    assert await holder(client, wf) is None


# Kept alive


async def test_its_lease_is_renewed(client: Client, second_client: Client, wf: str) -> None:
    async with client.workflow(wf, lease=BRISK) as workflow:
        for _ in range(2):
            await _renewed(second_client, wf)
        await workflow.state.set("x", 1)


async def test_a_restart_of_the_daemon_does_not_lose_it(own_daemon: DaemonProcess) -> None:
    async with (
        lastgood.connect(own_daemon.address, timeout=20.0) as client,
        client.workflow("wf", lease=15.0) as workflow,
    ):
        await workflow.state.set("x", 1)
        own_daemon.kill()
        own_daemon.start()
        await workflow.state.set("x", 2)
        assert await holder(client, "wf") is not None
        async with workflow.step(0, "a"):
            pass


HOLD = """
    import asyncio, sys, time
    import lastgood

    async def main():
        async with lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20) as client:
            async with client.workflow(sys.argv[2], lease=float(sys.argv[3])) as workflow:
                async with workflow.step(0, agent_id="child") as step:
                    await step.state.set("child", "was here")
                    print("held", flush=True)
                    await asyncio.Event().wait()

    try:
        asyncio.run(main())
    except lastgood.LeaseLostError as error:
        print("lost", error.workflow_id == sys.argv[2], error.attempt, flush=True)
"""


@pytest.fixture
def holding(daemon: DaemonProcess, wf: str) -> Any:  # noqa: ANN401 - a generator, of processes
    """A process that holds the workflow, in the middle of its first step."""
    command = script(HOLD, daemon.folder, wf, SHORT)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def test_a_process_that_is_killed_loses_it(client: Client, wf: str, holding: "subprocess.Popen[str]") -> None:
    with pytest.raises(WorkflowBusyError):
        await client.workflow(wf).try_resume()
    holding.kill()
    async with asyncio.timeout(15), client.workflow(wf, wait=True) as workflow:
        assert (workflow.attempt, workflow.current_step) == (2, 0)
        assert await workflow.state.to_dict() == {}
        first, second = await workflow.list_attempts()
        assert (first.died_step, second.died_step) == (None, 0)


async def test_a_process_that_stands_still_loses_it_and_notices(
    client: Client, wf: str, holding: "subprocess.Popen[str]"
) -> None:
    with stopped(holding.pid):
        async with asyncio.timeout(15), client.workflow(wf, wait=True) as workflow:
            await workflow.state.set("mine", 1)
            async with workflow.step(0, "me"):
                pass
    assert holding.stdout is not None
    assert holding.stdout.readline() == "lost True 1\n"
    assert await client.state(wf).to_dict() == {"mine": 1}


# Left alone


async def test_an_object_that_nobody_has_any_more_loses_it(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf, lease=SHORT)
    await workflow.__aenter__()
    gone = weakref.ref(workflow)
    del workflow
    gc.collect()
    assert gone() is None
    async with asyncio.timeout(30), second_client.workflow(wf, wait=True) as other:
        assert other.attempt == 2


ENDING = """
    import asyncio, sys
    import lastgood

    async def main():
        asyncio.get_running_loop().slow_callback_duration = 60  # a machine that is busy is not what is looked for
        client = await lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20)
        workflow = client.workflow(sys.argv[2], lease=0.5)
        await workflow.__aenter__()
        if sys.argv[3] == "close":
            await client.aclose()
        print(workflow.attempt)
        return workflow

    kept = asyncio.run(main())
    del kept
"""


@pytest.mark.parametrize("how", ["close", "leave"])
def test_the_end_of_the_loop_is_quiet(daemon: DaemonProcess, wf: str, how: str) -> None:
    done = run_script(ENDING, daemon.folder, wf, how, flags=("-W", "error", "-X", "dev"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
