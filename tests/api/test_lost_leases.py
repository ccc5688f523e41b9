"""api.md, ``async with workflow``: whoever has lost it is told."""

import asyncio
import time
from contextlib import suppress

import pytest
from tests.api.leasing import BRISK, SHORT, holder
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    AgentStatus,
    Client,
    FencedError,
    LeaseLostError,
    WorkflowBusyError,
)


async def _until_lost() -> None:
    """Wait for the cancellation, which is what tells the body of the loss."""
    await asyncio.Event().wait()


async def test_whoever_forces_it_takes_over(client: Client, second_client: Client, wf: str) -> None:
    workflow, other = client.workflow(wf, lease=BRISK), second_client.workflow(wf)

    async def hold() -> None:
        async with workflow:
            await workflow.state.set("x", "garbage")
            await other.try_resume(force=True)
            with pytest.raises(FencedError):
                await workflow.state.set("x", 2)
            await _until_lost()

    with pytest.raises(LeaseLostError) as caught:
        await hold()
    assert (caught.value.workflow_id, caught.value.attempt) == (wf, 1)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await other.state.set("x", 3)
    assert await other.state.to_dict() == {"x": 3}


async def test_without_a_daemon_it_is_lost_when_its_time_has_passed(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=0.5) as client:

        async def hold() -> None:
            async with client.workflow("wf", lease=SHORT):
                own_daemon.kill()
                await _until_lost()

        begun = time.monotonic()
        with pytest.raises(LeaseLostError, match="not renewed"):
            await hold()
        assert time.monotonic() - begun >= SHORT


async def test_a_loss_that_the_body_ignores_is_told_at_its_end(client: Client, second_client: Client, wf: str) -> None:
    reached = []

    async def hold() -> None:
        async with client.workflow(wf, lease=BRISK) as workflow:
            await second_client.workflow(wf).try_resume(force=True)
            with suppress(asyncio.CancelledError):
                await _until_lost()
            with pytest.raises(LeaseLostError):
                await workflow.step(0, "a").__aenter__()
            with pytest.raises(LeaseLostError):
                await workflow.checkpoint(0, "a", AgentStatus.COMPLETED)
            with pytest.raises(LeaseLostError):
                await workflow.try_resume()
            reached.append("the end")

    with pytest.raises(LeaseLostError):
        await hold()
    assert reached == ["the end"]


async def test_a_loss_that_nobody_has_noticed_is_told_at_the_end(client: Client, second_client: Client, wf: str) -> None:
    async def hold() -> None:
        async with client.workflow(wf):  # which is renewed after ten seconds
            await second_client.workflow(wf).try_resume(force=True)

    with pytest.raises(LeaseLostError, match="a later attempt"):
        await hold()


async def test_what_the_body_makes_of_a_loss_goes_on(client: Client, second_client: Client, wf: str) -> None:
    async def hold() -> None:
        async with client.workflow(wf, lease=BRISK):
            await second_client.workflow(wf).try_resume(force=True)
            try:
                await _until_lost()
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError):
        await hold()


async def test_a_loss_within_a_step(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf, lease=BRISK)
    step = workflow.step(0, "a")

    async def hold() -> None:
        async with workflow, step:
            await second_client.workflow(wf).try_resume(force=True)
            await _until_lost()

    with pytest.raises(LeaseLostError) as caught:
        await hold()
    assert step.checkpoint is None
    assert caught.value.__cause__ is not None
    assert "step 0" in caught.value.__cause__.__notes__[0]


async def test_a_cancellation_from_outside_stays_one(client: Client, second_client: Client, wf: str) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with client.workflow(wf):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await holder(second_client, wf) is None


async def test_a_cancellation_from_outside_beside_a_loss_stays_one(client: Client, second_client: Client, wf: str) -> None:
    async def hold() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with client.workflow(wf, lease=BRISK):
            await second_client.workflow(wf).try_resume(force=True)
            try:
                await _until_lost()
            finally:
                task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(hold())


async def test_a_time_limit_around_it_is_one(client: Client, wf: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), client.workflow(wf):
            await asyncio.Event().wait()
    assert await holder(client, wf) is None


async def test_an_exit_after_the_daemon_has_gone_raises_nothing(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=0.5) as client:
        async with client.workflow("wf") as workflow:
            await workflow.state.set("x", 1)
            own_daemon.kill()
        own_daemon.start()
        assert await client.state("wf").get("x", timeout=20) == 1
        with pytest.raises(WorkflowBusyError):
            await client.workflow("wf").try_resume()
