"""api.md, ``async with workflow.step(n)``: a step that is cut off: cancelled, replaced, killed, or without a daemon."""

import asyncio
import os
import signal

import pytest
from tests.api.stepping import COMPLETED, FAILED, listed
from tests.support.daemons import DaemonProcess
from tests.support.processes import run_script
from tests.support.waiting import until

import lastgood
from lastgood import (
    Client,
    DaemonUnavailableError,
    FencedError,
    ResumableWorkflow,
)


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
        assert await listed(client, "wf") == [(0, 1, FAILED)]


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
        assert await listed(client, "wf") == [(0, 1, COMPLETED)]


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
    assert await listed(client, wf) == []


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
    assert await listed(client, wf) == []


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
        assert await listed(client, wf) == [(0, 1, COMPLETED)]
        async with workflow.step(1, "again"):
            pass
