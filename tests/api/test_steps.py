"""api.md, ``async with workflow.step(n)``: one at a time, in order, and all or nothing."""

from typing import Any

import pytest
from tests.api.stepping import COMPLETED, listed
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    Checkpoint,
    Client,
    ExecutionMetrics,
    InvalidArgumentError,
    ResumableWorkflow,
    StepOrderError,
)

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
    await workflow.state.set("x", 0)
    for number in range(3):
        async with workflow.step(number, "a"):
            pass
    assert await listed(client, wf) == [(0, 1, COMPLETED), (1, 1, COMPLETED), (2, 1, COMPLETED)]
    assert await workflow.state.revision() == 1


async def test_metadata_may_be_set_in_the_step(workflow: ResumableWorkflow) -> None:
    async with workflow.step(0, "a") as step:
        assert step.metadata is None
        step.metadata = {"found": [1]}
    assert step.checkpoint is not None
    assert step.checkpoint.metadata == {"found": [1]}


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
    assert await listed(client, wf) == [(0, 1, COMPLETED)]


async def test_before_any_attempt(client: Client, wf: str) -> None:
    with pytest.raises(StepOrderError, match=r"async with workflow.*try_resume") as caught:
        await client.workflow(wf).step(0, "a").__aenter__()
    assert (caught.value.workflow_id, caught.value.step) == (wf, 0)


async def test_arguments_that_make_no_sense(workflow: ResumableWorkflow) -> None:
    wrong: list[dict[str, Any]] = [{"number": -1}, {"number": "1"}, {"number": True}, {"agent_id": 1}, {"retry": 3}]
    for each in wrong:
        with pytest.raises(InvalidArgumentError):
            workflow.step(**{"number": 0, **each})


async def test_a_step_prints_as_what_it_is(client: Client, wf: str) -> None:
    assert repr(client.workflow(wf).step(3, "a")) == f"Step({wf!r}, 3, agent_id='a')"
