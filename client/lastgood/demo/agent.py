"""One agent as a process of its own: ``python -m lastgood.demo.agent ROLE DATA_DIR WORKFLOW [--go-wrong]``.

It says what it does in lines of JSON on its standard output; whoever has started it reads them.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import NoReturn

import lastgood
from lastgood.demo import outside
from lastgood.demo.analyst import go_wrong, rank
from lastgood.demo.researcher import collect
from lastgood.demo.writer import compose

ROLES = ("researcher", "analyst", "writer")
"""Whose turn it is, by step."""
LEASE_SECONDS = 1.5
"""So long after its death a process still holds the workflow."""


async def work(role: str, data_dir: Path, workflow_id: str, *, wrong: bool) -> None:
    """Claim the workflow, do one step of it, and give it up."""
    began = time.monotonic()
    async with lastgood.connect(data_dir=data_dir, agent_id=role) as client:
        workflow = client.workflow(workflow_id, lease=LEASE_SECONDS, wait=True)
        async with workflow:  # it is this process's alone, and what an unfinished step has left in the state is gone
            _tell(event="begun", step=workflow.current_step, attempt=workflow.attempt, kept=_kept(workflow))
            async with workflow.step(ROLES.index(role)) as step:  # refused if it is another one's turn
                did = await _do(role, step, outside.ears(data_dir, workflow_id), wrong=wrong)
                workflow.metrics.total_steps += 1
                workflow.metrics.elapsed_seconds += time.monotonic() - began
            _tell(event="done", did=did, step=step.number, revision=await workflow.state.revision())


async def _do(role: str, step: lastgood.Step, heard: Path, *, wrong: bool) -> str:
    """Do the work of a step, and give in words what was done."""

    def announce(key: str, text: str) -> int:
        number = outside.announce(heard, key, text)
        _tell(event="announced", key=key, text=text)
        return number

    match role:
        case "researcher":
            return await collect(step.state, lambda files: _tell(event="progress", files=files))
        case "analyst" if wrong:
            _tell(event="wrong", did=await go_wrong(step, announce))
            return await _hang()
        case "analyst":
            return await rank(step, announce)
        case _:
            return await compose(step.state)


def _kept(workflow: lastgood.ResumableWorkflow) -> list[dict[str, str]]:
    """List what had gone out of what was rolled back."""
    effects = workflow.rollback.effects if workflow.rollback else ()
    return [{"name": effect.key, "key": effect.idempotency_key, "status": effect.status} for effect in effects]


async def _hang() -> NoReturn:
    """Wait for what never comes; the end of whoever has started this process ends it, too."""
    await asyncio.to_thread(sys.stdin.read)
    sys.exit("whoever has started this is gone")


def _tell(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run one agent."""
    parser = argparse.ArgumentParser(prog="python -m lastgood.demo.agent", description="Run one agent of the demo.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("data_dir", type=Path, help="the folder whose daemon to use")
    parser.add_argument("workflow", help="the id of the workflow")
    parser.add_argument("--go-wrong", action="store_true", help="write garbage, and hang")
    arguments = parser.parse_args()
    asyncio.run(work(arguments.role, arguments.data_dir, arguments.workflow, wrong=arguments.go_wrong))


if __name__ == "__main__":
    main()
