"""An agent, a daemon, or both die at every single boundary between two durable writes of a workflow.

Each time a new process goes on. In the end the state is what undisturbed work gives, the ledger has every effect once with
its result, and the outside world was asked again exactly where nobody could know whether it had been.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.chaos import sizes
from tests.chaos.interrupted import NEVER, WORKFLOW, WRITES, Death, serve_until_commit, work
from tests.support.daemons import DaemonProcess
from tests.support.forked import ForkedProcess
from tests.support.waiting import until

import lastgood

pytestmark = pytest.mark.slow

KILLED = -9
WORK_SECONDS = 30.0
STEPS = 20
STEPS_WITH_DAEMON = sizes.of(4, STEPS)


def boundaries(steps: int) -> list[Death]:
    """Every place between two durable writes, in the order in which the work comes to them."""
    return [
        *(Death(0, write, after) for write in ("resume", "claim") for after in (False, True)),
        *(
            Death(step, write, after)
            for step in range(steps)
            for write in WRITES
            # Before a write is where the one before it left off, but for what has happened outside in between.
            for after in ((False, True) if write == "record_effect" else (True,))
        ),
        Death(steps, "give_up", after=False),
        Death(steps, "give_up"),
    ]


class Scene:
    """A daemon, the outside world, and what each process reported that began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon = DaemonProcess(folder / "data", forked=True).start()
        self.log = folder / "agents.log"

    def agent(self, steps: int, death: Death) -> ForkedProcess:
        return ForkedProcess(work, str(self.folder), steps, death, log=self.log)

    def calls(self) -> Counter[str]:
        """How often the outside world was asked for each effect, by step and idempotency key."""
        return Counter((self.folder / "outside").read_text().splitlines())

    async def check(self, steps: int, *, calls: int, runs: int) -> None:
        """Everything is exact; each effect was asked for so often outside, and claimed so often."""
        receipts = [number * number for number in range(steps)]
        exact = {"sum": sum(receipts), "receipts": receipts, "at": steps - 1}
        assert sorted((line.split()[0], n) for line, n in self.calls().items()) == sorted(
            (str(step), calls) for step in range(steps)
        ), "one key each, and no call after the result was recorded"
        async with lastgood.connect(data_dir=self.daemon.folder, autostart=False) as client:
            assert await client.state(WORKFLOW).to_dict() == exact
            workflow = client.workflow(WORKFLOW)
            effects = await workflow.list_effects()
            assert [(e.step, e.key, e.status, e.runs, e.in_doubt) for e in effects] == [
                (step, "charge", "recorded", runs, runs > 1) for step in range(steps)
            ]
            assert [f"{e.step} {e.idempotency_key}" for e in effects] == list(
                dict.fromkeys((self.folder / "outside").read_text().splitlines())
            )
            good = [
                c for c in await client.checkpoints.list_checkpoints(WORKFLOW) if c.status is lastgood.AgentStatus.COMPLETED
            ]
            assert [c.step for c in good] == list(range(steps))
            assert await workflow.try_resume() == steps
            assert await workflow.state.to_dict() == exact


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.daemon.close()


def reported(death: Death) -> str:
    """What the process after a death is to find: the step to do, and the effect in doubt with how often it was begun."""
    step = death.step + 1 if death.write == "complete_step" else death.step
    runs = {("claim_effect", True): 1, ("record_effect", False): 2}.get((death.write, death.after))
    return f"{step} {death.step}:{runs}" if runs else f"{step} "


def _has_one_ended(*processes: ForkedProcess) -> bool:
    return any(process.poll() is not None for process in processes)


@pytest.mark.parametrize(("steps", "both"), [(STEPS, False), (STEPS_WITH_DAEMON, True)], ids=["agent", "agent and daemon"])
async def test_killed_at_every_boundary(scene: Scene, steps: int, *, both: bool) -> None:
    deaths = boundaries(steps)
    for death in deaths:
        deadly = Death(death.step, death.write, death.after, scene.daemon.process.pid if both else 0)
        agent = scene.agent(steps, deadly)
        assert await asyncio.to_thread(agent.wait, WORK_SECONDS) == KILLED, f"{death}: {scene.log.read_text()}"
        if both:
            await asyncio.to_thread(scene.daemon.wait)
            await asyncio.to_thread(scene.daemon.start)
    last = scene.agent(steps, Death(NEVER, ""))
    assert await asyncio.to_thread(last.wait, WORK_SECONDS) == 0, scene.log.read_text()
    resumed = deaths[1:]  # the first process dies before it can begin
    assert (scene.folder / "reports").read_text().splitlines() == [reported(death) for death in resumed]
    await scene.check(steps, calls=2, runs=3)


async def test_the_daemon_killed_after_every_commit_before_its_answer(scene: Scene) -> None:
    steps = STEPS_WITH_DAEMON
    agent = scene.agent(steps, Death(NEVER, ""))
    daemon, kills = scene.daemon, 0
    try:
        daemon.kill()
        while agent.poll() is None:
            dying = ForkedProcess(serve_until_commit, ["--data-dir", str(daemon.folder)], 1, log=daemon.log)
            await until(partial(_has_one_ended, dying, agent))
            kills += dying.poll() == KILLED
            dying.kill()
            dying.wait()
        assert agent.wait() == 0, scene.log.read_text()
    finally:
        agent.kill()
    assert kills > steps * len(WRITES)
    await asyncio.to_thread(daemon.start)
    await scene.check(steps, calls=1, runs=1)
