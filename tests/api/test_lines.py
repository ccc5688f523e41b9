"""api.md and design.md: lines. A rollback to step k supersedes what comes after it; a resume after a crash does not."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import AgentStatus, Checkpoint, CheckpointNotFoundError, Client, ResumableWorkflow

COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED


@pytest.fixture
async def workflow(client: Client, state_id: str) -> ResumableWorkflow:
    """Eight completed steps, each with its number in the state."""
    made = client.workflow(state_id, initial_state={"done": []})
    await made.try_resume()
    await _do(made, range(1, 9))
    return made


async def _do(workflow: ResumableWorkflow, steps: range) -> None:
    for step in steps:
        await workflow.state.append("done", step)
        await workflow.checkpoint(step, "agent", COMPLETED)


async def _listed(client: Client, workflow_id: str) -> list[tuple[int, int, bool]]:
    return [(each.step, each.attempt, each.superseded) for each in await client.checkpoints.list_checkpoints(workflow_id)]


Rollback = Callable[[Client, ResumableWorkflow, Checkpoint], Awaitable[object]]


async def _by_step(client: Client, workflow: ResumableWorkflow, checkpoint: Checkpoint) -> None:
    del client
    assert await workflow.try_resume(step=checkpoint.step) == checkpoint.step + 1
    assert workflow.is_resumed
    assert workflow.current_step == checkpoint.step + 1


async def _by_restore(client: Client, workflow: ResumableWorkflow, checkpoint: Checkpoint) -> None:
    del client
    await workflow.state.restore(checkpoint)


async def _by_restore_of_any_handle(client: Client, workflow: ResumableWorkflow, checkpoint: Checkpoint) -> None:
    await client.state(workflow.workflow_id).restore(checkpoint)


ROLLBACKS = [_by_step, _by_restore, _by_restore_of_any_handle]


@pytest.mark.parametrize("rollback", ROLLBACKS)
async def test_a_rollback_supersedes_the_later_checkpoints(
    client: Client, workflow: ResumableWorkflow, rollback: Rollback
) -> None:
    manager, wf = client.checkpoints, workflow.workflow_id
    third = await manager.get_checkpoint(wf, 3)
    await rollback(client, workflow, third)
    assert await workflow.state.get("done") == [1, 2, 3]
    assert await _listed(client, wf) == [(step, 1, step > 3) for step in range(1, 9)], "listed, and marked"
    latest, good = await manager.get_latest_checkpoint(wf), await manager.get_last_good_checkpoint(wf)
    assert latest == third
    assert good == third
    assert await manager.has_checkpoint(wf, 3)
    for step in range(4, 9):
        assert not await manager.has_checkpoint(wf, step)
        with pytest.raises(CheckpointNotFoundError):
            await manager.get_checkpoint(wf, step)


@pytest.mark.parametrize("rollback", ROLLBACKS)
async def test_a_crash_after_a_rollback_does_not_resume_into_the_garbage(
    client: Client, second_client: Client, workflow: ResumableWorkflow, rollback: Rollback
) -> None:
    wf = workflow.workflow_id
    await rollback(client, workflow, await client.checkpoints.get_checkpoint(wf, 3))
    await workflow.state.append("done", "4 again")
    fresh = second_client.workflow(wf)
    assert await fresh.try_resume() == 4
    assert await fresh.state.get("done") == [1, 2, 3]
    await fresh.state.append("done", "4 anew")
    await fresh.checkpoint(4, "agent", COMPLETED)
    again = client.workflow(wf)
    assert await again.try_resume() == 5
    assert await again.state.get("done") == [1, 2, 3, "4 anew"]


async def test_what_was_superseded_stays_in_the_history(client: Client, workflow: ResumableWorkflow) -> None:
    await workflow.try_resume(step=3)
    history = await workflow.state.get_history("done")
    assert [entry.value[-1] if entry.value else None for entry in history] == [None, 1, 2, 3, 4, 5, 6, 7, 8, 3]
    superseded = (await client.checkpoints.list_checkpoints(workflow.workflow_id))[-1]
    assert superseded.superseded
    assert await workflow.state.get("done", at=superseded) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_rollback_further_back(client: Client, workflow: ResumableWorkflow) -> None:
    wf = workflow.workflow_id
    await workflow.try_resume(step=5)
    await _do(workflow, range(6, 8))
    assert await workflow.try_resume(step=2) == 3
    assert await workflow.state.get("done") == [1, 2]
    assert await _listed(client, wf) == [
        (1, 1, False),
        (2, 1, False),
        (3, 1, True),
        (4, 1, True),
        (5, 1, True),
        (6, 1, True),
        (6, 2, True),
        (7, 1, True),
        (7, 2, True),
        (8, 1, True),
    ]
    assert await client.workflow(wf).try_resume() == 3
    with pytest.raises(CheckpointNotFoundError):
        await workflow.try_resume(step=5)


async def test_steps_done_again_on_the_new_line(client: Client, workflow: ResumableWorkflow) -> None:
    wf = workflow.workflow_id
    await workflow.try_resume(step=6)
    await workflow.checkpoint(7, "again", FAILED)
    found = await client.checkpoints.get_checkpoint(wf, 7)
    assert (found.attempt, found.status, found.agent_id) == (2, FAILED, "again")
    assert not await client.checkpoints.has_checkpoint(wf, 8)
    good = await client.checkpoints.get_last_good_checkpoint(wf)
    assert good is not None
    assert good.step == 6


async def test_a_resume_after_a_crash_stays_on_the_line(client: Client, workflow: ResumableWorkflow) -> None:
    wf = workflow.workflow_id
    await workflow.checkpoint(9, "agent", FAILED)
    fresh = client.workflow(wf)
    assert await fresh.try_resume() == 9
    assert not any(superseded for _, _, superseded in await _listed(client, wf))
    latest = await client.checkpoints.get_latest_checkpoint(wf)
    assert latest is not None
    assert (latest.step, latest.status) == (9, FAILED)


async def test_back_to_the_last_step_supersedes_nothing(client: Client, workflow: ResumableWorkflow) -> None:
    await workflow.state.append("done", "garbage")
    assert await workflow.try_resume(step=8) == 9
    assert await workflow.state.get("done") == list(range(1, 9))
    assert not any(superseded for _, _, superseded in await _listed(client, workflow.workflow_id))


async def test_what_does_not_supersede(client: Client, workflow: ResumableWorkflow) -> None:
    """Into another state; of some paths only; to a revision; of another workflow's checkpoint; only looking."""
    wf = workflow.workflow_id
    third = await client.checkpoints.get_checkpoint(wf, 3)
    await client.state(f"{wf}-other").restore(third)
    await workflow.state.preview(third)
    await workflow.state.diff(third)
    await workflow.state.fork(at=third)
    await workflow.state.restore(third, paths=["done"])
    await workflow.state.restore(2)
    foreign = await client.checkpoints.create_checkpoint(f"{wf}-wf", 1, "a", COMPLETED, workflow.state)
    await workflow.state.restore(foreign)
    assert not any(superseded for _, _, superseded in await _listed(client, wf))


async def test_back_to_a_superseded_one_makes_it_count_again(client: Client, workflow: ResumableWorkflow) -> None:
    wf = workflow.workflow_id
    sixth = await client.checkpoints.get_checkpoint(wf, 6)
    await workflow.try_resume(step=3)
    await workflow.state.restore(sixth)
    assert await workflow.state.get("done") == [1, 2, 3, 4, 5, 6]
    fresh = client.workflow(wf)
    assert await fresh.try_resume() == 7
    assert await fresh.state.get("done") == [1, 2, 3, 4, 5, 6]


async def test_clear_checkpoints_clears_superseded_ones_too(client: Client, workflow: ResumableWorkflow) -> None:
    await workflow.try_resume(step=3)
    assert await workflow.clear_checkpoints()
    assert await _listed(client, workflow.workflow_id) == []


async def test_delete_of_a_step_takes_superseded_ones_too(client: Client, workflow: ResumableWorkflow) -> None:
    wf = workflow.workflow_id
    await workflow.try_resume(step=3)
    assert await client.checkpoints.delete_checkpoints(wf, 8)
    assert await _listed(client, wf) == [(step, 1, step > 3) for step in range(1, 8)]


async def test_replacing_a_superseded_one_from_outside_makes_it_count(client: Client, state_id: str) -> None:
    """Checkpoints made outside a workflow object are all of attempt 0."""
    manager = client.checkpoints
    for step in range(1, 5):
        await manager.create_checkpoint(state_id, step, "a", COMPLETED, {"step": step})
    workflow = client.workflow(state_id)
    assert await workflow.try_resume(step=2) == 3
    await manager.create_checkpoint(state_id, 3, "a", COMPLETED, {"step": "3 again"})
    assert await _listed(client, state_id) == [(1, 0, False), (2, 0, False), (3, 0, False), (4, 0, True)]
    assert await workflow.try_resume() == 4
    assert await workflow.state.to_dict() == {"step": "3 again"}


async def test_a_later_attempt_at_the_same_step_is_later_too(client: Client, state_id: str) -> None:
    first = client.workflow(state_id)
    await first.try_resume()
    await first.state.set("x", "first")
    one = await first.checkpoint(1, "a", COMPLETED)
    second = client.workflow(state_id)
    await second.try_resume()
    await second.state.set("x", "second")
    await second.checkpoint(1, "a", COMPLETED)
    await second.state.restore(one)
    assert await _listed(client, state_id) == [(1, 1, False), (1, 2, True)]
    fresh = client.workflow(state_id)
    assert await fresh.try_resume() == 2
    assert await fresh.state.get("x") == "first"


async def test_lines_survive_a_restart_of_the_daemon(folder: Path) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            workflow = client.workflow("wf", initial_state={"done": []})
            await workflow.try_resume()
            await _do(workflow, range(1, 6))
            await workflow.try_resume(step=2)
            await _do(workflow, range(3, 4))
            process.kill()
            process.start()
            assert await _listed(client, "wf") == [
                (1, 1, False),
                (2, 1, False),
                (3, 1, True),
                (3, 2, False),
                (4, 1, True),
                (5, 1, True),
            ]
            fresh = client.workflow("wf")
            assert await fresh.try_resume() == 4
            assert await fresh.state.get("done") == [1, 2, 3]
    finally:
        process.close()
