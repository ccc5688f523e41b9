"""``workflow show``: how a workflow stands, and what to do about it."""

import re

from tests.cli.running import Command
from tests.cli.workflows import die, die_as_holder, events, lines
from tests.support.daemons import DaemonProcess

import lastgood


async def test_a_workflow_at_work(command: Command, client: lastgood.Client, state_id: str) -> None:
    async with client.workflow(state_id, lease=1000.0) as workflow, workflow.step(0, "writer") as step:

        async def look() -> list[str]:
            [effect] = await workflow.list_effects()
            return lines(command.says("workflow", "show", state_id), effect.idempotency_key)

        said = await step.once("call", look)
        found = command.json("workflow", "show", state_id)

    assert re.fullmatch(r"condition   held by process \d+ on \S+, for another AGE unless renewed", said[1])
    assert said[2] == "step        0 is at work, begun by writer in attempt 1, TIME"
    assert events(said)[1:] == [
        "        1     0  ● at work  begun by writer",
        "        1     0  → effect   call: under way, key KEY-0",
    ]
    assert found["condition"] == "held"
    assert found["lease"]["seconds"] == 1000.0
    assert [each["end"] for each in found["attempts"]] == [None]


async def test_an_interrupted_workflow(
    command: Command, daemon: DaemonProcess, client: lastgood.Client, state_id: str
) -> None:
    await die_as_holder(daemon, client, state_id)

    said = lines(command.says("workflow", "show", state_id))

    assert said[1:4] == [
        "condition   interrupted: step 0 has not ended; holder has lost it, so its process has died",
        f"what to do  start its agent again, which resumes it; lastgood resume {state_id} only rolls it back",
        "step        0 is next, begun by unlucky in attempt 1, TIME, 1 death so far",
    ]
    assert events(said)[-1] == "        1     0  ✘ broke off  begun by unlucky, never ended"
    assert command.json("workflow", "show", state_id)["attempts"][0]["end"] == "lost"


async def test_a_poisoned_workflow(command: Command, client: lastgood.Client, state_id: str) -> None:
    for _ in range(3):
        await die(client.workflow(state_id))

    said = lines(command.says("workflow", "show", state_id))

    assert said[1:3] == [
        "condition   poisoned: 3 processes have died under step 0, and it is not resumed any more",
        f"what to do  remove the cause, then lastgood release {state_id}, and start its agent again",
    ]
    assert [line.split()[2:4] for line in events(said) if "died" in line] == [["✘", "died"], ["✘", "died"]]


async def test_an_open_step_without_a_claim(command: Command, client: lastgood.Client, state_id: str) -> None:
    await die(client.workflow(f"{state_id} x"))
    said = command.says("workflow", "show", f"{state_id} x")
    assert "step 0 has not ended; its process has died, or works without a claim" in said
    assert "? open     begun by unlucky, has not ended\n" in said
    assert f"if its process is gone, start its agent again, which resumes it; lastgood resume '{state_id} x' only" in said
