"""``workflows`` and ``checkpoints``."""

import re
from datetime import UTC, datetime

import pytest
from tests.cli.running import Command, Terminal
from tests.cli.workflows import die, die_as_holder
from tests.support.daemons import DaemonProcess

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


async def test_workflows(own_daemon: DaemonProcess) -> None:
    command = Command(own_daemon.folder)
    assert command.says("workflows") == "there are no workflows yet: a program makes one with client.workflow(…)\n"
    assert command.json("workflows") == {"workflows": []}
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0, agent_id="me") as client:
        idle = client.workflow("idle")
        await idle.try_resume()
        async with idle.step(0, "a"):
            pass
        assert command.says("workflows").splitlines()[0].split()[-1] == "age"
        await die_as_holder(own_daemon, client, "interrupted")
        for _ in range(3):
            await die(client.workflow("poisoned"), 0)
        async with client.workflow("held", lease=1000.0) as held, held.step(0, "writer"):
            done = command.process("workflows")
            found = command.json("workflows")["workflows"]
            raw = Terminal(command, "workflows")
            raw.end()

    assert (done.status, done.err) == (0, "")
    rows = [re.sub(r"\b\d+[sm]\b", "TIME", row) for row in done.out.splitlines()]
    assert [row.split() for row in rows] == [
        ["workflow", "condition", "step", "attempt", "holder", "lease", "age", "deaths"],
        ["held", "held", "0", "at", "work", "1", "me", "TIME", "TIME"],
        ["idle", "idle", "1", "1", "-", "TIME"],
        ["interrupted", "interrupted", "0", "1", "holder", "lost", "TIME", "1"],
        ["poisoned", "poisoned", "0", "3", "-", "TIME", "3"],
    ]
    for style, word in [("1;32", "held"), ("1;33", "interrupted"), ("1;31", "poisoned")]:
        assert re.search(rf"\x1b\[{style}m{word}\b", raw.raw), (word, raw.raw)

    assert [each["condition"] for each in found] == ["held", "idle", "interrupted", "poisoned"]
    first, second = found[:2]
    assert 900 < first["lease"].pop("remaining") <= 1000
    times = [first.pop("updated_at"), second.pop("updated_at"), first["step"].pop("began_at")]
    assert {datetime.fromisoformat(each).tzinfo for each in times} == {UTC}
    common = {"attempt": 1, "line": 0, "agent_id": "me"}
    assert first == common | {
        "workflow": "held", "condition": "held", "next_step": 0,
        "lease": {"attempt": 1, "holder": "me", "seconds": 1000.0},
        "step": {"step": 0, "agent_id": "writer", "attempt": 1, "open": True, "deaths": 0, "poisoned": False},
    }  # fmt: skip
    assert second == common | {
        "workflow": "idle", "condition": "idle", "next_step": 1, "lease": None, "step": None,
    }  # fmt: skip


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


async def test_no_checkpoints(command: Command, client: lastgood.Client, state_id: str) -> None:
    command.complains(1, "checkpoints", state_id)
    await client.workflow(state_id).try_resume()
    assert command.says("checkpoints", state_id) == f"workflow {state_id} has no checkpoints\n"
    assert command.json("checkpoints", state_id) == {"workflow": state_id, "last_good": None, "checkpoints": []}


def test_steps_as_targets(command: Command, workflow: str, state_id: str) -> None:
    assert command.says("get", workflow, "done", "--at", "step:0") == "0\n"
    assert command.says("diff", workflow, "step:0", "step:1") == "~ done  0 → 1\n"
    assert command.says("history", workflow, "--after", "step:1").count("agent") == 0

    said = command.says("restore", f"{state_id}-other", f"step:1@{workflow}")
    assert f"it is as in the checkpoint of step 1 (revision 3 of {workflow})" in said
    assert command.says("get", f"{state_id}-other", "done") == "1\n"

    command.says("restore", workflow, "step:0")
    assert command.says("checkpoints", workflow).count("superseded") == 2
