"""``checkpoints`` and ``resume``."""

import re

import pytest
from tests.cli.running import Command

import lastgood
from lastgood import AgentStatus


@pytest.fixture
async def workflow(client: lastgood.Client, state_id: str) -> str:
    """A workflow that has come to step 2, which failed; each step left its number."""
    workflow = client.workflow(state_id, initial_state={"done": -1})
    await workflow.try_resume()
    for step, status in enumerate([AgentStatus.COMPLETED, AgentStatus.COMPLETED, AgentStatus.FAILED]):
        await workflow.state.set("done", step)
        await workflow.checkpoint(step, "agent", status, metrics={"total_tokens": 1200, "total_cost": 0.5})
    return state_id


def test_checkpoints(command: Command, workflow: str) -> None:
    done = command.process("checkpoints", workflow)

    assert (done.status, done.err) == (0, "")
    rows = [re.sub(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", row) for row in done.out.splitlines()]
    assert rows[0].split() == ["step", "status", "attempt", "revision", "made", "by"]
    assert [row.split() for row in rows[1:]] == [
        ["0", "completed", "1", "2", "TIME", "agent", "1,200", "tokens,", "cost", "0.5"],
        ["1", "completed", "1", "3", "TIME", "agent", "✔", "last", "good,", "1,200", "tokens,", "cost", "0.5"],
        ["2", "failed", "1", "4", "TIME", "agent", "1,200", "tokens,", "cost", "0.5"],
    ]


def test_the_document_of_checkpoints(command: Command, workflow: str) -> None:
    found = command.json("checkpoints", workflow)

    assert (found["workflow"], found["last_good"]) == (workflow, 1)
    first = found["checkpoints"][0]
    first.pop("created_at")
    assert first == {
        "step": 0, "attempt": 1, "status": "completed", "agent_id": "agent", "state": workflow, "revision": 2,
        "metadata": None, "superseded": False,
        "metrics": {
            "total_cost": 0.5, "total_steps": 0, "total_tokens": 1200, "input_tokens": 0, "output_tokens": 0,
            "elapsed_seconds": 0.0,
        },
    }  # fmt: skip


def test_no_checkpoints(command: Command, state_id: str) -> None:
    assert command.says("checkpoints", state_id) == f"workflow {state_id} has no checkpoints\n"
    assert command.json("checkpoints", state_id) == {"workflow": state_id, "last_good": None, "checkpoints": []}
    complaint = command.complains(1, "resume", state_id)
    assert f"there is no workflow '{state_id}': it has no checkpoints, and nobody has written its state" in complaint
    assert state_id not in command.says("states")


def test_resume(command: Command, workflow: str) -> None:
    done = command.process("resume", workflow)
    assert done == (
        0,
        f"{workflow} is back at the checkpoint of step 1 (revision 5): step 2 is next, in attempt 2\n",
        "",
    )
    assert command.says("get", workflow, "done") == "1\n"
    assert "⟲ restore  back to revision 3: done = 1" in command.says("history", workflow)

    assert command.json("resume", workflow, "--step", "0") == {
        "workflow": workflow,
        "is_resumed": True,
        "current_step": 1,
        "attempt": 3,
        "revision": 6,
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


def test_steps_as_targets(command: Command, workflow: str, state_id: str) -> None:
    assert command.says("get", workflow, "done", "--at", "step:0") == "0\n"
    assert command.says("diff", workflow, "step:0", "step:1") == "~ done  0 → 1\n"
    assert command.says("history", workflow, "--after", "step:1").count("agent") == 0

    said = command.says("restore", f"{state_id}-other", f"step:1@{workflow}")
    assert f"it is as in the checkpoint of step 1 (revision 3 of {workflow})" in said
    assert command.says("get", f"{state_id}-other", "done") == "1\n"

    command.says("restore", workflow, "step:0")
    assert command.says("checkpoints", workflow).count("superseded") == 2
