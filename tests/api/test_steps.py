"""api.md, ``async with workflow.step(n)``: one at a time, in order, and all or nothing."""

import asyncio
import os
import signal
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import run_script
from tests.support.waiting import until

import lastgood
from lastgood import (
    AgentStatus,
    Checkpoint,
    Client,
    DaemonUnavailableError,
    ExecutionMetrics,
    FencedError,
    InvalidArgumentError,
    InvalidValueError,
    ResumableWorkflow,
    Step,
    StepOrderError,
)

COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED


@pytest.fixture
async def workflow(client: Client, wf: str) -> ResumableWorkflow:
    """An attempt at a workflow, without a lease, so that another may begin."""
    made = client.workflow(wf, initial_state={"x": 0})
    await made.try_resume()
    return made


async def _listed(client: Client, wf: str) -> list[tuple[int, int, AgentStatus]]:
    return [(each.step, each.attempt, each.status) for each in await client.checkpoints.list_checkpoints(wf)]


async def _fail(step: Step, error: BaseException) -> None:
    """Do a step that writes, and fails."""
    async with step:
        await step.state.set("x", "garbage")
        raise error


# Success


async def test_success_is_a_checkpoint_at_the_last_revision_of_the_step(client: Client, wf: str) -> None:
    async with client.workflow(wf) as workflow:
        async with workflow.step(0, agent_id="researcher", metadata={"model": "m"}) as step:
            assert (step.number, step.agent_id, step.checkpoint, step.effects) == (0, "researcher", None, ())
            await step.state.set("a", 1)
            await step.state.set("b", 2)
            workflow.metrics.total_tokens += 9
            assert workflow.current_step == 0
        made = step.checkpoint
        assert isinstance(made, Checkpoint)
        assert (made.workflow_id, made.step, made.attempt, made.agent_id) == (wf, 0, 1, "researcher")
        assert (made.status, made.metadata, made.metrics) == (COMPLETED, {"model": "m"}, ExecutionMetrics(total_tokens=9))
        assert made.state_snapshot.revision == 2
        assert await workflow.state.get(at=made.state_snapshot) == {"a": 1, "b": 2}
        assert await client.checkpoints.list_checkpoints(wf) == [made]
        assert workflow.current_step == 1
    async with client.workflow(wf) as again:
        assert again.current_step == 1
        assert again.metrics.total_tokens == 9


async def test_what_it_writes_is_visible_at_once_and_signed(
    client: Client, second_client: Client, workflow: ResumableWorkflow, wf: str
) -> None:
    async with workflow.step(0, "researcher") as step:
        await step.state.set("x", 1)
        assert await second_client.state(wf).get("x") == 1
        await client.state(wf, agent_id="outside").set("y", 1)
    await workflow.state.set("z", 1)
    entries = (await workflow.state.get_history())[-3:]
    assert [(each.agent_id, each.attempt, each.step) for each in entries] == [
        ("researcher", 1, 0),
        ("outside", None, None),
        ("", 1, None),
    ]


async def test_the_agent_is_the_clients_where_none_is_named(daemon: DaemonProcess, wf: str) -> None:
    async with (
        lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0, agent_id="me") as named,
        named.workflow(wf) as workflow,
    ):
        async with workflow.step(0) as step:
            assert (step.agent_id, step.state.agent_id) == ("me", "me")
        assert step.checkpoint is not None
        assert step.checkpoint.agent_id == "me"
        async with workflow.step(1, "") as nobody:
            assert nobody.agent_id == ""


async def test_a_step_that_writes_nothing(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    for number in range(3):
        async with workflow.step(number, "a"):
            pass
    assert await _listed(client, wf) == [(0, 1, COMPLETED), (1, 1, COMPLETED), (2, 1, COMPLETED)]
    assert await workflow.state.revision() == 1


async def test_metadata_may_be_set_in_the_step(workflow: ResumableWorkflow) -> None:
    async with workflow.step(0, "a") as step:
        assert step.metadata is None
        step.metadata = {"found": [1]}
    assert step.checkpoint is not None
    assert step.checkpoint.metadata == {"found": [1]}


# Failure


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
    assert await _listed(client, wf) == [(0, 1, COMPLETED), (1, 1, FAILED)]
    assert workflow.rollback is not None
    assert workflow.rollback.from_revision == made.state_snapshot.revision
    assert (workflow.current_step, workflow.attempt) == (1, 1)
    async with workflow.step(1, "analyst"):
        pass
    assert await _listed(client, wf) == [(0, 1, COMPLETED), (1, 1, COMPLETED)]


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


async def test_a_cancellation_is_a_failure(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    step = workflow.step(0, "a")

    async def work() -> None:
        async with asyncio.timeout(0.1), step:
            await step.state.set("x", "garbage")
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    assert await workflow.state.to_dict() == {"x": 0}
    assert await _listed(client, wf) == [(0, 1, FAILED)]
    assert step.checkpoint is not None
    assert step.checkpoint.metadata == {"error": {"type": "asyncio.exceptions.CancelledError", "message": ""}}


async def test_a_failure_is_recorded_through_a_cancellation(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        workflow = client.workflow("wf")
        await workflow.try_resume()
        step = workflow.step(0, "a")
        begun = asyncio.Event()

        async def work() -> None:
            async with step:
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        try:
            for _ in range(3):
                task.cancel()
                await until(lambda: len(client._connection._ledger) > 0)  # noqa: SLF001 - that it is being recorded
                await asyncio.sleep(0)
            assert not task.done()
        finally:
            os.kill(own_daemon.process.pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await _listed(client, "wf") == [(0, 1, FAILED)]


async def test_a_completion_is_not_torn_by_a_cancellation(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        workflow = client.workflow("wf")
        await workflow.try_resume()
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            async with workflow.step(0, "a"):
                begun.set()
                await may_end.wait()

        task = asyncio.create_task(work())
        await begun.wait()
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        try:
            may_end.set()
            await until(lambda: len(client._connection._ledger) > 0)  # noqa: SLF001 - that it is being recorded
            task.cancel()
        finally:
            os.kill(own_daemon.process.pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert workflow.current_step == 1
        assert await _listed(client, "wf") == [(0, 1, COMPLETED)]


async def test_a_step_that_is_cancelled_on_its_way_is_not_left_open(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        workflow = client.workflow("wf")
        await workflow.try_resume()
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        try:
            task = asyncio.create_task(workflow.step(0, "a").__aenter__())
            await until(lambda: len(client._connection._ledger) > 0)  # noqa: SLF001 - that it has been sent
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        finally:
            os.kill(own_daemon.process.pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with workflow.step(0, "a"):
            pass


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
    assert await _listed(client, wf) == [(0, 1, FAILED)]


async def test_what_spoils_the_checkpoint_fails_the_step(client: Client, workflow: ResumableWorkflow, wf: str) -> None:
    async def work() -> None:
        metadata: dict[str, Any] = {}
        async with workflow.step(0, "a", metadata=metadata) as step:
            await step.state.set("x", "garbage")
            metadata["later"] = {1}

    with pytest.raises(InvalidValueError):
        await work()
    assert await _listed(client, wf) == [(0, 1, FAILED)]
    workflow.metrics.total_tokens = "many"  # type: ignore[assignment]
    with pytest.raises(InvalidArgumentError, match="total_tokens"):
        async with workflow.step(0, "a"):
            pass
    assert await workflow.state.to_dict() == {"x": 0}
    workflow.metrics.total_tokens = 0
    async with workflow.step(0, "a"):
        pass


# Order


@pytest.mark.parametrize("number", [1, 7])
async def test_a_step_out_of_turn(workflow: ResumableWorkflow, number: int) -> None:
    with pytest.raises(StepOrderError) as caught:
        await workflow.step(number, "a").__aenter__()
    assert (caught.value.workflow_id, caught.value.step, caught.value.expected) == (workflow.workflow_id, number, 0)


async def test_a_step_that_is_done_already(workflow: ResumableWorkflow) -> None:
    async with workflow.step(0, "a"):
        pass
    with pytest.raises(StepOrderError) as caught:
        await workflow.step(0, "a").__aenter__()
    assert caught.value.expected == 1


@pytest.mark.parametrize("number", [0, 1])
async def test_one_at_a_time(client: Client, workflow: ResumableWorkflow, wf: str, number: int) -> None:
    async with workflow.step(0, "a"):
        with pytest.raises(StepOrderError):
            await workflow.step(number, "b").__aenter__()
    assert await _listed(client, wf) == [(0, 1, COMPLETED)]


async def test_before_any_attempt(client: Client, wf: str) -> None:
    with pytest.raises(StepOrderError, match=r"async with workflow.*try_resume") as caught:
        await client.workflow(wf).step(0, "a").__aenter__()
    assert (caught.value.workflow_id, caught.value.step) == (wf, 0)


async def test_arguments_that_make_no_sense(workflow: ResumableWorkflow) -> None:
    wrong: list[dict[str, Any]] = [{"number": -1}, {"number": "1"}, {"number": True}, {"agent_id": 1}, {"retry": 3}]
    for each in wrong:
        with pytest.raises(InvalidArgumentError):
            workflow.step(**{"number": 0, **each})


# Others


async def test_the_end_of_a_step_of_an_attempt_that_was_replaced(
    client: Client, second_client: Client, workflow: ResumableWorkflow, wf: str
) -> None:
    step = workflow.step(0, "a")

    async def work() -> None:
        async with step:
            await second_client.workflow(wf).try_resume()

    with pytest.raises(FencedError):
        await work()
    assert (step.checkpoint, workflow.current_step) == (None, 0)
    assert await _listed(client, wf) == []


async def test_a_failure_that_cannot_be_recorded_goes_on_with_a_note(
    client: Client, second_client: Client, workflow: ResumableWorkflow, wf: str
) -> None:
    async def work() -> None:
        async with workflow.step(0, "a"):
            await second_client.workflow(wf).try_resume()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await work()
    (note,) = caught.value.__notes__
    assert "step 0" in note
    assert "rolled back at the next resume" in note
    assert await _listed(client, wf) == []


async def test_a_failure_without_a_daemon_goes_on_with_a_note(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=0.5) as client:
        workflow = client.workflow("wf")
        await workflow.try_resume()

        async def work() -> None:
            async with workflow.step(0, "a") as step:
                await step.state.set("x", "garbage")
                own_daemon.kill()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            await work()
        assert "rolled back at the next resume" in caught.value.__notes__[0]
        own_daemon.start()
        assert await client.workflow("wf").try_resume(timeout=20) == 0
        assert await client.state("wf").to_dict() == {}


async def test_a_completion_without_a_daemon_is_an_error(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=0.5) as client:
        workflow = client.workflow("wf")
        await workflow.try_resume()
        with pytest.raises((DaemonUnavailableError, lastgood.OutcomeUnknownError)):
            async with workflow.step(0, "a"):
                own_daemon.kill()
        assert workflow.current_step == 0


DYING = """
    import asyncio, os, signal, sys
    import lastgood

    async def main():
        async with lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20) as client:
            workflow = client.workflow(sys.argv[2], lease=0.3)
            async with workflow:
                async with workflow.step(0, agent_id="child") as step:
                    await step.state.set("x", 1)
                async with workflow.step(1, agent_id="child") as step:
                    await step.state.set("x", "garbage")
                    os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
"""


async def test_a_process_that_dies_within_a_step(daemon: DaemonProcess, client: Client, wf: str) -> None:
    assert run_script(DYING, daemon.folder, wf).returncode == -signal.SIGKILL
    status = await client.workflow(wf).status()
    assert status is not None
    assert status.step is not None
    assert (status.next_step, status.step.number, status.step.agent_id, status.step.open) == (1, 1, "child", True)
    async with asyncio.timeout(15), client.workflow(wf, wait=True) as workflow:
        assert (workflow.current_step, workflow.is_resumed) == (1, True)
        assert await workflow.state.to_dict() == {"x": 1}
        assert await _listed(client, wf) == [(0, 1, COMPLETED)]
        async with workflow.step(1, "again"):
            pass


async def test_a_step_prints_as_what_it_is(client: Client, wf: str) -> None:
    assert repr(client.workflow(wf).step(3, "a")) == f"Step({wf!r}, 3, agent_id='a')"
