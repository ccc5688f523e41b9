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
from lastgood.demo import outside
from lastgood.demo.agent import LEASE_SECONDS, ROLES
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
        heard: what the outside world has heard from the disturbed one, a line for each announcement.
        timeline: how the disturbed one came about.
    """

    content: dict[str, Any]
    difference: str | None
    heard: list[str]
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
        heard = outside.listen(outside.ears(data_dir, "demo"))
        show.say("outside", f"announcements heard in all: {len(heard)}", "green" if len(heard) == 1 else "red")
        return Outcome(content, difference, heard, await trace(client, "demo", disturbed.kills))


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
            done = await self._until("done", agent)
            self._say(role, f"{done['did']}; step {done['step']} is checkpointed at revision {done['revision']}", "green")

    async def mishap(self, role: str) -> None:
        """Have an agent go wrong, and kill it in the middle of its step, once its garbage is in the state."""
        async with start(role, self._data_dir, self.workflow.workflow_id, "--go-wrong") as agent:
            begun = await self._begun(agent, role)
            self._say(role, (await self._until("wrong", agent))["did"], "red")
            status = await agent.kill()
            if status != -signal.SIGKILL:
                text = f"the {role} ended by itself, with status {status}"
                raise AgentFailedError(text)
            attempt, step = begun["attempt"], begun["step"]
            what = f"in the middle of step {step}"
            self._say(role, f"is killed with SIGKILL {what}; its claim expires within {LEASE_SECONDS:g} s", "red")
            self.kills.append(Row("undone", None, datetime.now(UTC), role, attempt, step, "SIGKILL", f"✘ {what}"))

    async def _begun(self, agent: AgentProcess, role: str) -> dict[str, Any]:
        begun = await agent.event()
        self._say(
            role, f"process {agent.pid} has claimed the workflow: attempt {begun['attempt']}, step {begun['step']}", ""
        )
        for effect in begun["kept"]:
            what = f"{effect['name']} (key {effect['key'][:8]}…), {effect['status']}; it is not made again"
            self._say(role, f"the rollback could not undo: {what}", "yellow")
        return begun

    async def _until(self, last: str, agent: AgentProcess) -> dict[str, Any]:
        """Show what an agent tells until it tells that, and give that."""
        while (event := await agent.event())["event"] != last:
            match event["event"]:
                case "announced":
                    self._say("outside", f"hears, with key {event['key'][:8]}…: {event['text']}", "cyan")
                case "progress":
                    self.progress(event["files"])
        return event


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
