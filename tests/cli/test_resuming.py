"""``resume`` and ``release``."""

import re

import pytest
from tests.cli.running import Command
from tests.cli.workflows import die, leave_in_doubt

import lastgood
from lastgood import AgentStatus, FencedError, LeaseLostError


@pytest.fixture
async def workflow(client: lastgood.Client, state_id: str) -> str:
    """A workflow that has come to step 2, which failed; each step left its number."""
    workflow = client.workflow(state_id, initial_state={"done": -1})
    await workflow.try_resume()
    for step, status in enumerate([AgentStatus.COMPLETED, AgentStatus.COMPLETED, AgentStatus.FAILED]):
        await workflow.state.set("done", step)
        await workflow.checkpoint(step, "agent", status)
    return state_id


@pytest.fixture
async def busy(client: lastgood.Client, state_id: str) -> str:
    """A workflow with effects and revisions of others past its step 0: the effects that count are in step 1."""
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    async with workflow.step(0, "agent") as step:
        await step.state.set("x", 0)
        await step.once("before", lambda: "sent")
    async with workflow.step(1, "agent") as step:
        await step.once("send", lambda: "sent")
        await step.state.set("x", 1)
    await leave_in_doubt(workflow.step(2, "agent"), "pay")
    await client.state(state_id, agent_id="helper").set("y", 1)
    return state_id


def test_resume(command: Command, workflow: str) -> None:
    done = command.process("resume", workflow)
    assert done == (
        0,
        f"{workflow} is back at the checkpoint of step 1 (revision 5): step 2 is next, in attempt 2\n",
        "",
    )
    assert command.says("get", workflow, "done") == "1\n"
    assert "⟲ restore  back to revision 3: done = 1" in command.says("history", workflow)

    assert command.json("resume", workflow, "--step", "0", "--yes") == {
        "workflow": workflow,
        "is_resumed": True,
        "current_step": 1,
        "attempt": 3,
        "from_revision": 5,
        "revision": 6,
        "effects": [],
        "undone": [],
    }
    assert command.says("get", workflow, "done") == "0\n"
    assert command.says("checkpoints", workflow).count("superseded") == 2
    assert "has no checkpoint of step 7: lastgood checkpoints lists them" in command.complains(
        1, "resume", workflow, "--step", "7"
    )


async def test_resume_where_it_began(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id, initial_state={"x": "began"})
    await workflow.try_resume()
    await workflow.state.set("x", "later")

    assert "is back at where it began (revision 3): step 0 is next, in attempt 2" in command.says("resume", state_id)
    assert command.says("get", state_id, "x") == '"began"\n'


def test_resume_of_nothing(command: Command, state_id: str) -> None:
    complaint = command.complains(1, "resume", state_id)

    assert f"there is no workflow '{state_id}': lastgood workflows lists them" in complaint
    assert state_id not in command.says("states")


async def test_what_a_resume_could_not_undo(command: Command, client: lastgood.Client, busy: str) -> None:
    sent, pay = (await client.workflow(busy).list_effects())[1:]
    said = command.process("resume", busy)

    assert said.status == 0
    first, *rest = re.sub(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", said.out).splitlines()
    assert first.endswith("step 2 is next, in attempt 2")
    assert rest == [
        "not undone: 1 effect, 1 in doubt; what is recorded does not run again",
        "  step 2  ? in doubt  pay: begun, its end unknown",
        f"                      key {pay.idempotency_key}",
        "undone too: 1 revision of others",
        "  revision  3  TIME  helper",
    ]
    short = f"{sent.idempotency_key[:4]}…{sent.idempotency_key[-4:]}"
    assert command.says("resume", busy, "--step", "0", "--yes").splitlines()[1:4] == [
        "not undone: 2 effects, 1 in doubt; put aside, and run again with their steps",
        f"  step 1  → effect    send: recorded, key {short}",
        "  step 2  ? in doubt  pay: begun, its end unknown",
    ]


async def test_the_document_of_what_a_resume_could_not_undo(command: Command, busy: str) -> None:
    found = command.json("resume", busy)

    assert [each.pop("timestamp") is not None for each in found["undone"]] == [True]
    assert found["undone"] == [{"revision": 3, "agent_id": "helper"}]
    [effect] = found["effects"]
    assert len(effect.pop("idempotency_key")) == 32
    assert effect.pop("claimed_at")
    assert effect == {
        "step": 2, "key": "pay", "status": "claimed", "in_doubt": True, "runs": 1, "attempt": 1, "agent_id": "agent",
        "recorded_at": None, "line": 0, "superseded": False, "failure": None,
    }  # fmt: skip


async def test_many_revisions_of_others(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.workflow(state_id).try_resume()
    for number in range(25):
        await client.state(state_id, agent_id="helper").set("x", number)

    said = command.says("resume", state_id).splitlines()

    assert said[1:3] == ["undone too: 25 revisions of others", "  … 5 earlier ones"]
    assert [line.split()[1] for line in said[3:]] == [str(revision) for revision in range(6, 26)]


async def test_a_holder_is_not_disturbed_unless_that_is_meant(
    command: Command, client: lastgood.Client, workflow: str
) -> None:
    held = await client.workflow(workflow, lease=1000.0).__aenter__()
    for words in (["resume", workflow], ["release", workflow], ["set", workflow, "x", "1"]):
        complaint = command.complains(1, *words)
        assert f"workflow '{workflow}' is held by process " in complaint
        assert complaint.endswith(f"unless renewed: lastgood resume {workflow} --force takes it from its holder\n")

    assert "step 2 is next, in attempt 3" in command.says("resume", workflow, "--force")
    with pytest.raises((FencedError, LeaseLostError)):
        await held.state.set("x", 1)
    with pytest.raises(LeaseLostError):
        await held.__aexit__(None, None, None)


async def test_a_poisoned_workflow_is_released(command: Command, client: lastgood.Client, state_id: str) -> None:
    for _ in range(3):
        await die(client.workflow(state_id))
    complaint = command.complains(1, "resume", state_id)
    assert f"3 processes have died under step 0 of workflow '{state_id}'; when" in complaint
    assert complaint.endswith(f"release it: lastgood release {state_id}\n")

    done = command.process("release", state_id)
    assert done == (0, f"3 deaths under step 0 of {state_id} forgotten: start its agent again\n", "")
    assert command.says("release", state_id) == (
        f"nothing to release: no process has died under the present step of {state_id}\n"
    )
    assert "step 0 is next, in attempt 4" in command.says("resume", state_id)


async def test_the_document_of_release(command: Command, client: lastgood.Client, state_id: str) -> None:
    await die(client.workflow(state_id))
    assert command.json("release", state_id) == {"workflow": state_id, "released": True, "step": 0, "deaths": 1}
    assert command.json("release", state_id) == {"workflow": state_id, "released": False, "step": None, "deaths": 0}


def test_release_of_nothing(command: Command, state_id: str) -> None:
    complaint = command.complains(1, "release", state_id)
    assert complaint == f"lastgood release: there is no workflow '{state_id}': lastgood workflows lists them\n"
