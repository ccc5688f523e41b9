"""One agent as a process of its own: ``python -m lastgood.demo.agent ROLE DATA_DIR WORKFLOW [--go-wrong]``.

It says what it does in lines of JSON on its standard output; whoever has started it reads them.
"""

import argparse
import asyncio
import json
import sys
import time

import lastgood
from lastgood import AgentStatus
from lastgood.demo.analyst import go_wrong, rank
from lastgood.demo.researcher import collect
from lastgood.demo.writer import compose

ROLES = ("researcher", "analyst", "writer")
"""Whose turn it is, by step."""


async def work(role: str, data_dir: str, workflow_id: str, *, wrong: bool) -> None:
    """Do the step that the workflow has come to, from the last good checkpoint to the next one."""
    began = time.monotonic()
    async with lastgood.connect(data_dir=data_dir, agent_id=role) as client:
        workflow = client.workflow(workflow_id)
        step = await workflow.try_resume()  # whatever an unfinished step has left behind is gone now
        _tell(event="begun", step=step, attempt=workflow.attempt)
        if wrong:
            _tell(event="wrong", did=await go_wrong(workflow.state))
            await _hang()
        did = await _step(role, workflow)
        workflow.metrics.total_steps += 1
        workflow.metrics.elapsed_seconds += time.monotonic() - began
        made = await workflow.checkpoint(step, role, AgentStatus.COMPLETED, metrics=workflow.metrics)
        _tell(event="done", did=did, step=step, revision=made.state_snapshot.revision)


async def _step(role: str, workflow: lastgood.ResumableWorkflow) -> str:
    """Do the work of the current step, and give in words what was done."""
    if workflow.current_step != ROLES.index(role):
        text = f"the workflow has come to step {workflow.current_step}, which is not that of the {role}"
        raise RuntimeError(text)
    match role:
        case "researcher":
            return await collect(workflow.state, lambda files: _tell(event="progress", files=files))
        case "analyst":
            return await rank(workflow.state)
        case _:
            return await compose(workflow.state)


async def _hang() -> None:
    """Wait for what never comes; the end of whoever has started this process ends it, too."""
    await asyncio.to_thread(sys.stdin.read)


def _tell(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run one agent."""
    parser = argparse.ArgumentParser(prog="python -m lastgood.demo.agent", description="Run one agent of the demo.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("data_dir", help="the folder whose daemon to use")
    parser.add_argument("workflow", help="the id of the workflow")
    parser.add_argument("--go-wrong", action="store_true", help="write garbage, and hang")
    arguments = parser.parse_args()
    asyncio.run(work(arguments.role, arguments.data_dir, arguments.workflow, wrong=arguments.go_wrong))


if __name__ == "__main__":
    main()
