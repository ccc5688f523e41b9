"""Workflows that get into trouble, for the command to tell of; and what it tells."""

import re

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import run_script

import lastgood
from lastgood import ResumableWorkflow, Step


def lines(said: str, *keys: str) -> list[str]:
    """The lines, without times, and with a name for each of these idempotency keys."""
    for number, key in enumerate(keys):
        said = said.replace(key, f"KEY-{number}").replace(f"{key[:4]}…{key[-4:]}", f"KEY-{number}")
    said = re.sub(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", said)
    said = re.sub(r"\d{4}-\d\d-\d\d, UTC([+-]\d\d:\d\d)?", "DAY", said)
    return [re.sub(r"\b\d+[smh]\b", "AGE", line) for line in said.splitlines()]


def events(said: list[str]) -> list[str]:
    """Those below the head, without the times and the day."""
    found = said[said.index("DAY") + 1 :]
    return [(line[4:] if line.startswith("TIME") else line[8:]).rstrip() for line in found]


async def leave_in_doubt(step: Step, key: str) -> None:
    """Fail a step within an effect, of which nothing is known from then on."""

    def vanish() -> None:
        message = "no answer"
        raise TimeoutError(message)

    with pytest.raises(TimeoutError):
        await step.run(lambda step: step.once(key, vanish))


async def fail(step: Step, error: Exception, **written: object) -> None:
    """Have a step fail after it has written something."""

    async def work(step: Step) -> None:
        for path, value in written.items():
            await step.state.set(path, value)
        raise error

    with pytest.raises(type(error)):
        await step.run(work)


async def die(workflow: ResumableWorkflow, number: int = 0) -> None:
    """Begin an attempt and a step, of which nothing is heard again."""
    await workflow.try_resume()
    await workflow.step(number, "unlucky").__aenter__()


async def die_as_holder(daemon: DaemonProcess, client: lastgood.Client, workflow_id: str, number: int = 0) -> None:
    """Have a process die that holds the workflow, within a step, and wait until its lease has run out."""
    done = run_script(_HOLDER, daemon.folder, workflow_id, number)
    assert done.returncode == 9, done.stderr
    status = await client.workflow(workflow_id).status()
    while status is None or status.condition == "held":
        status = await client.workflow(workflow_id).status()


_HOLDER = """
    import asyncio, os, sys
    import lastgood

    async def main(folder, workflow_id, number):
        client = lastgood.connect(data_dir=folder, autostart=False, agent_id="holder")
        workflow = await client.workflow(workflow_id, lease=0.2).__aenter__()
        await workflow.step(int(number), "unlucky").__aenter__()
        os._exit(9)

    asyncio.run(main(*sys.argv[1:]))
"""
