"""A workflow whose process is killed in the middle of a step, and goes on in the next process.

The first process does step 0, writes half of step 1 and is gone, as after ``kill -9``. The second one resumes: the half is
rolled back, step 0 is not repeated, and the report gets written.

    python examples/resume_after_a_crash.py
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import lastgood
from lastgood import AgentStatus, ResumableWorkflow, SharedState

WORKFLOW = "report"


async def collect(state: SharedState) -> None:
    """Step 0: collect facts."""
    await state.set("facts", ["a kill asks nobody", "what is on disk stays"])


async def write(state: SharedState) -> None:
    """Step 1: write a line about each fact; the first attempt does not survive its first line."""
    for fact in await state.get("facts"):
        await state.append("report", f"It is known that {fact}.")
        if "crash" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)


STEPS: list[Callable[[SharedState], Awaitable[None]]] = [collect, write]


async def work(workflow: ResumableWorkflow) -> None:
    """Do the steps that are left."""
    for number in range(await workflow.try_resume(), len(STEPS)):
        print(f"attempt {workflow.attempt}: step {number}", flush=True)
        await STEPS[number](workflow.state)
        await workflow.checkpoint(number, "writer", AgentStatus.COMPLETED)


async def crash() -> None:
    """Be the first process."""
    async with lastgood.connect(agent_id="writer") as client:
        await work(client.workflow(WORKFLOW, initial_state={"topic": "crashes"}))


async def main() -> None:
    """Have a process die, look at what it has left, and finish its work."""
    async with lastgood.connect(agent_id="writer") as client:
        workflow = client.workflow(WORKFLOW)
        await workflow.clear_checkpoints()  # so that this can be run again
        await client.delete_state(WORKFLOW)

        process = await asyncio.create_subprocess_exec(sys.executable, __file__, "crash")
        print("the first process ended with", signal.Signals(-await process.wait()).name)
        print("it has left:", await client.state(WORKFLOW).get("report"))

        await work(workflow)
        print("the report:", await workflow.state.get("report"))


if __name__ == "__main__":
    asyncio.run(crash() if "crash" in sys.argv else main())
