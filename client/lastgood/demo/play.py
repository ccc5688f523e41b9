"""What is played: the same three agents in two workflows at once, and in one of them the analyst goes wrong.

In the end the contents of the two are compared.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lastgood
from lastgood.demo.agent import ROLES
from lastgood.demo.compare import first_difference
from lastgood.demo.process import AgentFailedError, AgentProcess, start
from lastgood.demo.show import Show
from lastgood.demo.timeline import Row, Timeline, trace


@dataclass(frozen=True)
class Outcome:
    """What has come of it.

    Attributes:
        content: the final state of the disturbed workflow.
        difference: what in it is not as in the undisturbed one; None: they are exactly the same.
        timeline: how the disturbed one came about.
    """

    content: dict[str, Any]
    difference: str | None
    timeline: Timeline


async def play(study: dict[str, Any], data_dir: Path, show: Show) -> Outcome:
    """Run both workflows with the daemon of that folder, which is started by this.

    Args:
        study: what the agents are to study: ``folder``, and its ``files``.
        data_dir: a folder of its own.
        show: where to tell what happens.
    """
    client = await _connected(data_dir)
    async with client:
        show.say("daemon", f"serves {(await client.server_info()).data_dir}, started by the first who connected")
        initial = {"study": study, "facts": {}, "skipped": {}, "ranking": {}, "report": {}}
        disturbed = _Run(client.workflow("demo", initial_state=initial), data_dir, show.say)
        undisturbed = _Run(client.workflow("undisturbed", initial_state=initial), data_dir, _quiet)
        for run in (disturbed, undisturbed):
            run.progress = show.bar(run.workflow.workflow_id, len(study["files"]))
        await _both(_with_a_mishap(disturbed), _without(undisturbed))
        await _come_late(disturbed, show)

        content = await client.state("demo").to_dict()
        expected = await client.state("undisturbed").to_dict()
        difference = first_difference(content, expected)
        if difference is None:
            show.say("compared", "the state is exactly that of the undisturbed run", "green")
        return Outcome(content, difference, await trace(client, "demo", disturbed.kills))


async def _both(*runs: Coroutine[Any, Any, None]) -> None:
    """Run them at once; if one fails, end the others, and fail with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _with_a_mishap(run: "_Run") -> None:
    await run.begin()
    await run.step("researcher")
    await run.mishap("analyst")
    await run.step("analyst")
    await run.step("writer")


async def _without(run: "_Run") -> None:
    await run.begin()
    for role in ROLES:
        await run.step(role)


async def _come_late(run: "_Run", show: Show) -> None:
    """Write through a handle of the first attempt, as a process would that hung since then and wakes up now."""
    try:
        await run.workflow.state.set("facts", "garbage, much later")
    except lastgood.FencedError as error:
        show.say("latecomer", f"is refused, FencedError: {error}", "yellow")


class _Run:
    """A workflow, and the agents that are started for it one after the other."""

    def __init__(self, workflow: lastgood.ResumableWorkflow, data_dir: Path, say: Callable[[str, str, str], None]) -> None:
        self.workflow = workflow
        self.progress: Callable[[int], None] = lambda _: None
        self.kills: list[Row] = []
        self._data_dir = data_dir
        self._say = say

    async def begin(self) -> None:
        """Write the initial state: where the workflow goes back to as long as there is no checkpoint."""
        await self.workflow.try_resume()

    async def step(self, role: str) -> None:
        """Have an agent do its step to the end."""
        async with start(role, self._data_dir, self.workflow.workflow_id) as agent:
            await self._begun(agent, role)
            while (event := await agent.event())["event"] != "done":
                self.progress(event["files"])
            self._say(role, f"{event['did']}; step {event['step']} is checkpointed at revision {event['revision']}", "green")

    async def mishap(self, role: str) -> None:
        """Have an agent go wrong, and kill it in the middle of its step, once its garbage is in the state."""
        async with start(role, self._data_dir, self.workflow.workflow_id, "--go-wrong") as agent:
            begun = await self._begun(agent, role)
            event = await agent.event()
            self._say(role, event["did"], "red")
            status = await agent.kill()
            if status != -signal.SIGKILL:
                text = f"the {role} ended by itself, with status {status}"
                raise AgentFailedError(text)
            what = f"in the middle of step {begun['step']}"
            self._say(role, f"is killed with SIGKILL {what}", "red")
            self.kills.append(Row("undone", None, datetime.now(UTC), role, begun["attempt"], "SIGKILL", f"✘ {what}"))

    async def _begun(self, agent: AgentProcess, role: str) -> dict[str, Any]:
        begun = await agent.event()
        self._say(role, f"process {agent.pid} begins attempt {begun['attempt']}, at step {begun['step']}", "")
        return begun


def _quiet(who: str, what: str, style: str) -> None:
    """Say nothing."""


async def _connected(data_dir: Path) -> lastgood.Client:
    """Connect, and do not stop half-way when interrupted: a daemon that is still starting could not be found and ended."""
    client = lastgood.connect(data_dir=data_dir, agent_id="demo", autostart=True)
    connecting = asyncio.ensure_future(client)
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        await connecting
        await client.aclose()
        raise
