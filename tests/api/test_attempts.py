"""What is on record about a workflow: its attempts, its lease, its open step, who died, what a rollback undid."""

import asyncio
import os

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    AgentStatus,
    Attempt,
    Client,
    PoisonedStepError,
    ResumableWorkflow,
    WorkflowBusyError,
    WorkflowStatus,
)

COMPLETED = AgentStatus.COMPLETED


async def _die(workflow: ResumableWorkflow, number: int = 0) -> None:
    """Begin an attempt and a step, of which nothing is heard again."""
    await workflow.try_resume()
    await workflow.step(number, "unlucky").__aenter__()


async def _status(client: Client, wf: str) -> WorkflowStatus:
    status = await client.workflow(wf).status()
    assert status is not None
    return status


# Attempts


async def test_every_attempt_is_listed(daemon: DaemonProcess, client: Client, wf: str) -> None:
    async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0, agent_id="me") as named:
        workflow = named.workflow(wf, initial_state={"x": 0})
        await workflow.try_resume()
        async with workflow.step(0, "a") as step:
            await step.state.set("x", 1)
        async with workflow.step(1, "a") as step:
            await step.state.set("x", 2)
    async with client.workflow(wf) as claimed:
        await claimed.state.set("x", "garbage")
        await claimed.try_resume(step=0)
    attempts = await claimed.list_attempts()
    assert all(isinstance(each, Attempt) for each in attempts)
    holder = f"process {os.getpid()} on {os.uname().nodename}"
    assert [(each.attempt, each.agent_id, each.holder) for each in attempts] == [
        (1, "me", ""),
        (2, "", holder),
        (3, "", holder),
    ]
    assert [(each.line, each.next_step, each.back) for each in attempts] == [(0, 0, False), (0, 2, False), (1, 1, True)]
    assert [(each.from_revision, each.revision) for each in attempts] == [(1, 1), (3, 3), (4, 5)]
    assert [each.died_step for each in attempts] == [None] * 3
    assert [each.ended_at is not None for each in attempts] == [False, False, True]
    times = [each.began_at for each in attempts]
    assert times == sorted(times)


async def test_more_attempts_than_fit_on_a_page(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await asyncio.gather(*(workflow.try_resume() for _ in range(1100)))
    assert [each.attempt for each in await workflow.list_attempts()] == list(range(1, 1101))


async def test_what_nobody_has_begun(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    assert await workflow.status() is None
    assert await workflow.list_attempts() == []
    assert await workflow.list_effects() == []
    assert await workflow.release() is False
    assert workflow.rollback is None


# Status


async def test_the_status_of_a_workflow_through_its_life(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, lease=20.0)
    await workflow.try_resume()
    begun = await _status(client, wf)
    assert (begun.workflow_id, begun.attempt, begun.line, begun.next_step, begun.agent_id) == (wf, 1, 0, 0, "")
    assert (begun.lease, begun.step, begun.condition) == (None, None, "idle")
    async with workflow:
        async with workflow.step(0, "a"):
            during = await _status(client, wf)
            assert during.condition == "held"
            assert during.lease is not None
            assert (during.lease.attempt, during.lease.seconds) == (2, 20.0)
            assert during.step is not None
            step = during.step
            assert (step.number, step.agent_id, step.attempt, step.open) == (0, "a", 2, True)
            assert (step.deaths, step.poisoned) == (0, False)
            assert begun.updated_at <= step.began_at <= during.updated_at
        between = await _status(client, wf)
        assert (between.next_step, between.step, between.condition) == (1, None, "held")
    ended = await _status(client, wf)
    assert (ended.lease, ended.condition) == (None, "idle")


async def test_a_workflow_of_checkpoints_alone(client: Client, wf: str) -> None:
    await client.checkpoints.create_checkpoint(wf, 4, "a", COMPLETED, {"x": 1})
    status = await _status(client, wf)
    assert (status.attempt, status.next_step, status.condition) == (0, 5, "idle")


async def test_a_step_that_was_left_open_is_an_interruption(client: Client, wf: str) -> None:
    await _die(client.workflow(wf))
    status = await _status(client, wf)
    assert status.condition == "interrupted"
    await client.workflow(wf).try_resume()
    assert (await _status(client, wf)).condition == "idle"


@pytest.mark.slow
async def test_all_workflows_are_listed_by_their_ids(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        assert await client.list_workflows() == []
        ids = [f"wf-{number:04}" for number in range(1100)]
        await asyncio.gather(*(client.workflow(each).try_resume() for each in reversed(ids)))
        await client.state("no workflow").set("x", 1)
        async with client.workflow(ids[3]) as held:
            listed = await client.list_workflows()
            assert [each.workflow_id for each in listed] == ids
            assert {each.workflow_id: each.condition for each in listed if each.condition != "idle"} == {ids[3]: "held"}
            alone = await held.status()
            assert alone is not None
            assert (alone.attempt, alone.updated_at) == (listed[3].attempt, listed[3].updated_at)


# Deaths


async def test_a_step_under_which_processes_die_is_poisoned_until_it_is_released(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    for _ in range(3):
        await _die(workflow)
    with pytest.raises(PoisonedStepError, match=wf) as caught:
        await client.workflow(wf).try_resume()
    error = caught.value
    assert (error.workflow_id, error.step, error.deaths) == (wf, 0, 3)
    with pytest.raises(PoisonedStepError):
        await client.workflow(wf).__aenter__()
    status = await _status(client, wf)
    assert status.step is not None
    assert (status.condition, status.step.deaths, status.step.poisoned) == ("poisoned", 3, True)
    assert await workflow.release() is True
    assert await workflow.release() is False
    assert (await _status(client, wf)).condition != "poisoned"
    async with client.workflow(wf) as again, again.step(0, "a"):
        pass


@pytest.mark.parametrize(("poison_after", "deaths"), [(1, 1), (2, 2), (5, 5)])
async def test_how_many_may_die_is_for_the_caller_to_say(client: Client, wf: str, poison_after: int, deaths: int) -> None:
    for _ in range(deaths):
        await _die(client.workflow(wf, poison_after=poison_after))
    with pytest.raises(PoisonedStepError):
        await client.workflow(wf, poison_after=poison_after).try_resume()
    assert await client.workflow(wf, poison_after=deaths + 1).try_resume() == 0


async def test_any_number_may_die_where_that_is_said(client: Client, wf: str) -> None:
    for _ in range(6):
        await _die(client.workflow(wf, poison_after=None))
    async with client.workflow(wf, poison_after=None) as workflow:
        assert workflow.attempt == 7
        assert [each.died_step for each in await workflow.list_attempts()] == [None, *[0] * 6]


async def test_a_step_that_is_done_has_no_deaths(client: Client, wf: str) -> None:
    for number in range(3):
        await _die(client.workflow(wf), number)
        await _die(client.workflow(wf), number)
        workflow = client.workflow(wf)
        await workflow.try_resume()
        async with workflow.step(number, "a"):
            pass
    assert (await _status(client, wf)).step is None


async def test_a_failure_is_no_death(client: Client, wf: str) -> None:
    for _ in range(5):
        workflow = client.workflow(wf, poison_after=1)
        await workflow.try_resume()
        with pytest.raises(ZeroDivisionError):
            await workflow.step(0, "a").run(lambda _: 1 / 0)
    assert await client.workflow(wf, poison_after=1).try_resume() == 0


async def test_it_is_not_released_under_its_holder(client: Client, second_client: Client, wf: str) -> None:
    await _die(client.workflow(wf))
    async with client.workflow(wf):
        with pytest.raises(WorkflowBusyError):
            await second_client.workflow(wf).release()


# What a rollback undid


async def test_a_rollback_tells_what_others_had_written(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    async with workflow.step(0, "a") as step:
        await second_client.state(wf, agent_id="before").set("x", 1)
    helper = second_client.state(wf, agent_id="helper")
    async with workflow.step(1, "a") as step:
        await step.state.set("x", 2)
        await helper.set("x", 3)
    await helper.set("x", 4)
    await workflow.try_resume(step=0)
    rollback = workflow.rollback
    assert rollback is not None
    assert rollback.from_revision == 4
    assert [(each.revision, each.agent_id) for each in rollback.undone] == [(3, "helper"), (4, "helper")]
    entries = {each.revision: each for each in await workflow.state.get_history()}
    assert [each.timestamp for each in rollback.undone] == [entries[3].timestamp, entries[4].timestamp]
    assert await workflow.state.to_dict() == {"x": 1}


async def test_what_was_undone_before_is_not_told_again(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await second_client.state(wf, agent_id="helper").set("x", 1)
    for undone in ([1], []):
        await workflow.try_resume()
        assert workflow.rollback is not None
        assert [each.revision for each in workflow.rollback.undone] == undone


async def test_a_step_that_fails_tells_its_effects(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()

    async def work(step: lastgood.Step) -> None:
        await step.once("send", lambda: 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await workflow.step(0, "a").run(work)
    assert workflow.rollback is not None
    assert [(each.key, each.status) for each in workflow.rollback.effects] == [("send", "recorded")]
