"""api.md, "Workflows that resume", without claims, steps and effects."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.verbs import CONTENT, WRITES
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    AgentStatus,
    CheckpointManager,
    CheckpointNotFoundError,
    Client,
    ExecutionMetrics,
    FencedError,
    FileCheckpointStorage,
    InvalidArgumentError,
    InvalidValueError,
    ResumableWorkflow,
    SharedState,
    StateNotFoundError,
    StepOrderError,
)

COMPLETED, FAILED, RUNNING = AgentStatus.COMPLETED, AgentStatus.FAILED, AgentStatus.RUNNING


async def test_before_try_resume(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    assert (workflow.is_resumed, workflow.attempt) == (False, 0)
    with pytest.raises(StepOrderError, match="first enter 'async with workflow'"):
        _ = workflow.current_step
    assert workflow.metrics == ExecutionMetrics()
    assert isinstance(workflow.state, SharedState)
    assert workflow.state.state_id == wf


async def test_without_a_checkpoint_it_begins(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    assert await workflow.try_resume() == 0
    assert (workflow.is_resumed, workflow.current_step, workflow.attempt) == (False, 0, 1)
    assert await workflow.state.to_dict() == {}
    assert await workflow.state.revision() == 0


async def test_without_a_checkpoint_it_goes_back_to_where_it_began(client: Client, wf: str) -> None:
    await client.state(wf).set("before", 1)
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("garbage", 1)
    await workflow.state.set("before", 2)
    again = client.workflow(wf)
    assert await again.try_resume() == 0
    assert not again.is_resumed
    assert await again.state.to_dict() == {"before": 1}
    assert [entry.value for entry in await again.state.get_history("garbage")] == [1, None]


async def test_back_to_the_last_good_checkpoint_and_the_step_after_it(client: Client, wf: str) -> None:
    first = client.workflow(wf)
    await first.try_resume()
    await first.state.set("facts", ["a"])
    await first.checkpoint(0, "researcher", COMPLETED)
    await first.state.append("facts", "b")
    await first.checkpoint(1, "researcher", COMPLETED)
    await first.state.append("facts", "garbage")
    await first.checkpoint(2, "analyst", FAILED)
    await first.state.set("more", "garbage")
    await first.checkpoint(3, "writer", RUNNING)

    second = client.workflow(wf)
    assert await second.try_resume() == 2
    assert second.is_resumed is True
    assert (second.current_step, second.attempt) == (2, 2)
    assert await second.state.to_dict() == {"facts": ["a", "b"]}


async def test_what_unfinished_steps_had_written_stays_in_the_history(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("x", "good")
    await workflow.checkpoint(0, "a", COMPLETED)
    await workflow.state.set("x", "garbage")
    await workflow.try_resume()
    history = await workflow.state.get_history("x")
    assert [entry.value for entry in history] == ["good", "garbage", "good"]
    assert history[-1].operation == "restore"
    assert await workflow.state.get("x", at=history[1].snapshot) == "garbage"
    await workflow.state.restore(2)
    assert await workflow.state.get("x") == "garbage"


async def test_a_resume_with_nothing_to_roll_back_is_no_revision(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.checkpoint(0, "a", COMPLETED)
    for _ in range(3):
        assert await workflow.try_resume() == 1
    assert await workflow.state.revision() == 1


async def test_every_try_resume_is_a_new_attempt(client: Client, second_client: Client, wf: str) -> None:
    workflow, other = client.workflow(wf), second_client.workflow(wf)
    attempts = []
    for each in (workflow, other, workflow, other):
        await each.try_resume()
        attempts.append(each.attempt)
    assert attempts == [1, 2, 3, 4]


async def test_state_is_bound_to_the_attempt(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await client.state(wf, agent_id="outside").set("x", 2)
    first, second = await workflow.state.get_history("x")
    assert (first.attempt, second.attempt) == (1, None)


# initial_state


async def test_initial_state_is_one_revision_and_where_it_began_the_one_after(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, initial_state={"topic": "AI", "z": {}})
    await workflow.try_resume()
    assert await workflow.state.revision() == 1
    assert await workflow.state.to_dict() == {"topic": "AI", "z": {}}
    await workflow.state.set("topic", "garbage")
    assert await workflow.try_resume() == 0
    assert await workflow.state.to_dict() == {"topic": "AI", "z": {}}


async def test_initial_state_is_ignored_once_it_has_begun(client: Client, wf: str) -> None:
    await client.workflow(wf, initial_state={"x": 1}).try_resume()
    second = client.workflow(wf, initial_state={"x": 2})
    await second.try_resume()
    assert await second.state.to_dict() == {"x": 1}
    await client.workflow(f"{wf}-2").try_resume()
    third = client.workflow(f"{wf}-2", initial_state={"x": 3})
    await third.try_resume()
    assert await third.state.to_dict() == {}


async def test_initial_state_of_a_state_that_was_written_before(client: Client, wf: str) -> None:
    await client.state(wf).set("old", 1)
    workflow = client.workflow(wf, initial_state={"new": 1})
    await workflow.try_resume()
    assert await workflow.state.to_dict() == {"new": 1}
    assert await workflow.state.revision() == 2
    await workflow.state.set("new", 2)
    await workflow.try_resume()
    assert await workflow.state.to_dict() == {"new": 1}


async def test_initial_state_is_written_at_the_first_try_resume_and_not_before(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, initial_state={"x": 1})
    assert await workflow.state.revision() == 0
    await workflow.try_resume()
    assert await workflow.state.revision() == 1


@pytest.mark.parametrize("wrong", [[1], {"x": {1}}, "text"])
async def test_initial_state_that_cannot_be_stored(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        client.workflow("x", initial_state=wrong)


# checkpoint, current_step, metrics


async def test_checkpoint_is_of_the_state_as_it_is_now(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    made = await workflow.checkpoint(0, "agent", COMPLETED, metadata={"note": 1})
    assert (made.workflow_id, made.step, made.attempt, made.agent_id) == (wf, 0, 1, "agent")
    assert (made.state_snapshot.state_id, made.state_snapshot.revision) == (wf, 1)
    assert made.metadata == {"note": 1}
    assert await client.checkpoints.list_checkpoints(wf) == [made]


async def test_current_step_is_the_step_to_do_next(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.checkpoint(0, "a", RUNNING)
    assert workflow.current_step == 0
    await workflow.checkpoint(0, "a", COMPLETED)
    assert workflow.current_step == 1
    await workflow.checkpoint(1, "a", FAILED)
    assert workflow.current_step == 1
    assert await workflow.try_resume() == 1


async def test_metrics_go_on_from_the_checkpoint(client: Client, wf: str) -> None:
    first = client.workflow(wf)
    await first.try_resume()
    first.metrics.total_tokens += 100
    first.metrics.total_cost += 0.5
    await first.checkpoint(0, "a", COMPLETED)
    first.metrics.total_tokens += 900
    await first.checkpoint(1, "a", FAILED)

    second = client.workflow(wf)
    await second.try_resume()
    assert second.metrics == ExecutionMetrics(total_cost=0.5, total_tokens=100)
    second.metrics.total_tokens += 11
    made = await second.checkpoint(1, "a", COMPLETED)
    assert made.metrics == ExecutionMetrics(total_cost=0.5, total_tokens=111)
    given = await second.checkpoint(2, "a", COMPLETED, metrics={"total_steps": 3})
    assert given.metrics == ExecutionMetrics(total_steps=3)
    second.metrics.total_tokens += 1
    assert (await client.checkpoints.get_checkpoint(wf, 1)).metrics == ExecutionMetrics(total_cost=0.5, total_tokens=111)


async def test_a_checkpoint_of_some_other_state_is_restored_by_content(client: Client, elsewhere: Client, wf: str) -> None:
    """As on the documentation page: checkpoints are made of a state of its own, and then the workflow resumes."""
    for number, owner in enumerate((client, elsewhere)):
        workflow_id = f"{wf}-{number}"
        other = owner.state(f"{wf}-other", initial_data={"x": number})
        await client.checkpoints.create_checkpoint(workflow_id, 5, "researcher", COMPLETED, other, {"total_steps": 9})
        workflow = client.workflow(workflow_id, initial_state={"begin": 1})
        assert await workflow.try_resume() == 6
        assert workflow.is_resumed
        assert workflow.metrics.total_steps == 9
        assert await workflow.state.to_dict() == {"x": number}
        await workflow.state.set("x", "mine")
        assert await other.get("x") == number


async def test_a_workflow_on_a_manager(daemon: DaemonProcess, client: Client, wf: str) -> None:
    manager = CheckpointManager(storage=FileCheckpointStorage(daemon.folder))
    workflow = ResumableWorkflow(workflow_id=wf, checkpoint_manager=manager, initial_state={"x": 1}, lease=5.0)
    assert workflow.workflow_id == wf
    await workflow.try_resume()
    await workflow.checkpoint(0, "a", COMPLETED)
    assert await client.workflow(wf).try_resume() == 1
    assert await client.state(wf).to_dict() == {"x": 1}


@pytest.mark.parametrize("wrong", [{"workflow_id": ""}, {"workflow_id": 1}, {"lease": 0}, {"lease": "30"}, {"lease": -1}])
async def test_arguments_that_make_no_sense(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        client.workflow(**{"workflow_id": "x", **wrong})
    with pytest.raises(InvalidArgumentError):
        ResumableWorkflow("x", client)  # type: ignore[arg-type]


# clear_checkpoints


async def test_clear_checkpoints(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, initial_state={"x": 0})
    await workflow.try_resume()
    assert await workflow.clear_checkpoints() is False
    for step in range(3):
        await workflow.state.set("x", step + 1)
        await workflow.checkpoint(step, "a", COMPLETED)
    await workflow.try_resume(step=1)
    assert await workflow.clear_checkpoints() is True
    assert await workflow.clear_checkpoints() is False
    assert await client.checkpoints.list_checkpoints(wf) == []
    assert await workflow.state.get("x") == 2, "the state stays"
    assert await workflow.try_resume() == 0
    assert not workflow.is_resumed
    assert workflow.metrics == ExecutionMetrics()
    assert await workflow.state.to_dict() == {"x": 0}


# Fencing


_Call = Callable[[ResumableWorkflow], Awaitable[object]]

_FENCED: dict[str, _Call] = {
    **{name: (lambda workflow, verb=verb: verb(workflow.state)) for name, verb in WRITES.items()},  # type: ignore[misc]
    "checkpoint": lambda workflow: workflow.checkpoint(1, "a", COMPLETED),
    "clear_checkpoints": lambda workflow: workflow.clear_checkpoints(),
}


@pytest.mark.parametrize("name", _FENCED)
async def test_a_writer_of_an_earlier_attempt_is_fenced_and_writes_nothing(
    client: Client, second_client: Client, wf: str, name: str
) -> None:
    hung = client.workflow(wf, initial_state=CONTENT)
    await hung.try_resume()
    await hung.checkpoint(0, "a", COMPLETED)
    live = second_client.workflow(wf)
    await live.try_resume()
    before = await client.checkpoints.list_checkpoints(wf)
    with pytest.raises(FencedError) as caught:
        await _FENCED[name](hung)
    assert (caught.value.workflow_id, caught.value.attempt, caught.value.current) == (wf, 1, 2)
    assert await live.state.revision() == 1
    assert await live.state.to_dict() == CONTENT
    assert await client.checkpoints.list_checkpoints(wf) == before
    await _FENCED[name](live)


async def test_a_fenced_writer_may_read_and_can_resume(client: Client, second_client: Client, wf: str) -> None:
    hung = client.workflow(wf, initial_state={"x": 1})
    await hung.try_resume()
    handle = hung.state
    live = second_client.workflow(wf)
    await live.try_resume()
    await live.state.set("x", 2)
    assert await handle.get("x") == 2
    await hung.try_resume()
    assert hung.attempt == 3
    await hung.state.set("x", 3)
    with pytest.raises(FencedError):
        await handle.set("x", 4)
    with pytest.raises(FencedError):
        await live.state.set("x", 4)
    assert await hung.state.get("x") == 3


async def test_fencing_survives_a_restart_of_the_daemon(folder: Path, wf: str) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            hung, live = client.workflow(wf), client.workflow(wf)
            await hung.try_resume()
            await live.try_resume()
            await live.state.set("x", 1)
            await live.checkpoint(0, "a", COMPLETED, metrics={"total_steps": 1})
            await live.state.set("x", 2)
            process.kill()
            process.start()
            with pytest.raises(FencedError):
                await hung.state.set("x", 3)
            assert await live.state.get("x") == 2
            assert await live.try_resume() == 1
            assert live.attempt == 3
            assert live.metrics.total_steps == 1
            assert await live.state.get("x") == 1
    finally:
        process.close()


async def test_without_a_lease_anyone_may_write_there(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await client.state(wf).set("helper", 1)
    await workflow.try_resume()
    assert await workflow.state.to_dict() == {}


async def test_a_workflow_whose_state_was_deleted_begins_anew(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, initial_state={"x": 1})
    await workflow.try_resume()
    await workflow.state.set("x", 2)
    await client.delete_state(wf)
    again = client.workflow(wf, initial_state={"x": 3})
    assert await again.try_resume() == 0
    assert await again.state.to_dict() == {"x": 3}
    assert again.attempt > workflow.attempt
    with pytest.raises(FencedError):
        await workflow.checkpoint(0, "a", COMPLETED)


async def test_a_deleted_state_takes_the_checkpoints_of_its_workflow_with_it(client: Client, wf: str) -> None:
    workflow = client.workflow(wf, initial_state={"x": 1})
    await workflow.try_resume()
    await workflow.checkpoint(0, "a", COMPLETED)
    await client.delete_state(wf)
    fresh = client.workflow(wf, initial_state={"x": 2})
    assert await fresh.try_resume() == 0
    assert await fresh.state.to_dict() == {"x": 2}


async def test_a_checkpoint_of_a_deleted_state_refuses_the_resume_until_it_is_cleared(client: Client, wf: str) -> None:
    """Not from the beginning, as if there had been none: its content is gone, and nobody has said that this is fine."""
    other = client.state(f"{wf}-other")
    await other.set("x", 1)
    await client.checkpoints.create_checkpoint(wf, 0, "a", COMPLETED, other)
    await client.delete_state(other.state_id)
    fresh = client.workflow(wf, initial_state={"x": 2})
    with pytest.raises(StateNotFoundError, match="has been deleted"):
        await fresh.try_resume()
    assert fresh.attempt == 0
    assert await client.state(wf).revision() == 0, "nothing has been written"
    await fresh.clear_checkpoints()
    assert await fresh.try_resume() == 0
    assert await fresh.state.to_dict() == {"x": 2}


async def test_back_to_a_step_that_has_no_checkpoint(client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    with pytest.raises(CheckpointNotFoundError):
        await workflow.try_resume(step=3)
    assert workflow.attempt == 1
    await workflow.state.set("x", 2)
    assert await workflow.state.get("x") == 2, "nothing has happened, and nobody is fenced"
    for step in (-1, "1", True):
        with pytest.raises(InvalidArgumentError):
            await workflow.try_resume(step=step)  # type: ignore[arg-type]
