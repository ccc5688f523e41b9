"""Never two holders, never a stale write: races for a workflow, writers that have been replaced, holders that slept."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path

import pytest
from tests.chaos import sizes
from tests.support.daemons import DaemonProcess
from tests.support.forked import ForkedProcess
from tests.support.waiting import until

import lastgood

pytestmark = pytest.mark.slow

RACES = sizes.of(250, 1_000)
ZOMBIES = sizes.of(260, 1_000)
ROUNDS, HELD = sizes.of(3, 10), 20
"""Of sleeping holders: 200 leases are lost in the long form."""
LEASE = 0.4


@asynccontextmanager
async def clients(daemon: DaemonProcess, count: int) -> AsyncIterator[list[lastgood.Client]]:
    async with AsyncExitStack() as stack:
        connected = [lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) for _ in range(count)]
        yield [await stack.enter_async_context(client) for client in connected]


async def test_of_two_that_claim_at_once_one_holds(daemon: DaemonProcess, state_id: str) -> None:
    async with clients(daemon, 2) as pair:
        holding, won = Counter[int](), Counter[int]()

        async def claim(racer: int, race: int, decided: asyncio.Barrier) -> None:
            try:
                async with pair[racer].workflow(state_id) as workflow:
                    holding[race] += 1
                    assert holding[race] == 1
                    won[racer] += 1
                    await decided.wait()  # hold it until the other one has its answer
                    await workflow.state.set("race", race)
                    assert workflow.attempt == race + 1
                    holding[race] -= 1
            except lastgood.WorkflowBusyError:
                await decided.wait()

        for race in range(RACES):
            decided = asyncio.Barrier(2)
            order = (0, 1) if race % 2 else (1, 0)
            await asyncio.gather(*(claim(racer, race, decided) for racer in order))
        assert won.total() == RACES
        assert min(won.values()) > RACES // 10, "both win now and then, or it was no race"
        written = await pair[0].state(state_id).get_history("race")
        assert [entry.value for entry in written if entry.operation == "set"] == list(range(RACES))


def zombie_writes(
    workflow: lastgood.ResumableWorkflow, step: lastgood.Step, other: lastgood.Checkpoint
) -> list[Callable[[], Awaitable[object]]]:
    """Everything that an agent can write: into the state, the checkpoints, the effects."""
    state = workflow.state
    return [
        lambda: state.set("garbage", 1),
        lambda: state.update({"garbage": 1}),
        lambda: state.merge({"garbage": 1}),
        lambda: state.append("list", 1),
        lambda: state.increment("sum"),
        lambda: state.delete("sum"),
        lambda: state.restore(1),
        lambda: state.restore(other),
        lambda: workflow.checkpoint(9, "zombie", "completed"),
        workflow.clear_checkpoints,
        lambda: step.once("effect", lambda: pytest.fail("a zombie's effect ran")),
        lambda: step.__aexit__(None, None, None),
        step.state.snapshot,
    ]


async def test_a_writer_that_was_replaced_writes_nothing(daemon: DaemonProcess, state_id: str) -> None:
    async with clients(daemon, 2) as (dead, alive):
        successor = alive.workflow(state_id, initial_state={"sum": 0, "list": []}, poison_after=None)
        await successor.try_resume()
        good = await successor.checkpoint(0, "good", "completed")
        expected, refused = await successor.state.to_dict(), 0
        for number, kind in zip(range(ZOMBIES), cycle(range(13)), strict=False):
            workflow = dead.workflow(state_id, poison_after=None)
            await workflow.try_resume(force=True)
            step = workflow.step(1, agent_id="zombie")
            await step.__aenter__()
            await successor.try_resume(force=True)
            with pytest.raises(lastgood.FencedError) as fenced:
                await zombie_writes(workflow, step, good)[kind]()
            assert (fenced.value.attempt, fenced.value.current) == (workflow.attempt, successor.attempt), number
            refused += 1
        assert refused == ZOMBIES
        assert await successor.state.to_dict() == expected
        assert {c.step for c in await alive.checkpoints.list_checkpoints(state_id)} == {0}
        assert await successor.list_effects() == []


def hold(folder: str, workflow_ids: list[str], reports: str) -> None:
    """Hold workflows until all are lost, and report what became of each. Runs as a process of its own."""
    asyncio.run(_hold(folder, workflow_ids, Path(reports)))


async def _hold(folder: str, workflow_ids: list[str], reports: Path) -> None:
    holding = asyncio.Barrier(len(workflow_ids) + 1)
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0, agent_id="sleeper") as client:

        async def one(workflow_id: str, *, busy: bool) -> str:
            workflow = client.workflow(workflow_id, lease=LEASE, wait=True)
            try:
                async with workflow:
                    await workflow.state.set("holder", "sleeper")
                    await holding.wait()
                    while busy:
                        await workflow.state.increment("beats")
                    await asyncio.Event().wait()
            except lastgood.LastgoodError as error:
                return error.reason
            return "ended"

        tasks = [asyncio.create_task(one(each, busy=bool(n % 2))) for n, each in enumerate(workflow_ids)]
        await holding.wait()
        _write(reports.with_suffix(".holding"), "")
        _write(reports, json.dumps(await asyncio.gather(*tasks)))


def _write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


async def test_a_holder_that_slept_past_its_lease_has_lost_it(daemon: DaemonProcess, tmp_path: Path, state_id: str) -> None:
    async with clients(daemon, 1) as (client,):
        for number in range(ROUNDS):
            ids = [f"{state_id}-{number}-{each}" for each in range(HELD)]
            reports = tmp_path / f"round-{number}"
            sleeper = ForkedProcess(hold, str(daemon.folder), ids, str(reports), log=tmp_path / "log")
            try:
                await until(reports.with_suffix(".holding").exists)
                os.kill(sleeper.pid, signal.SIGSTOP)
                await asyncio.gather(*(_take_over(client, each) for each in ids))  # waits until the leases have expired
                os.kill(sleeper.pid, signal.SIGCONT)
                assert await asyncio.to_thread(sleeper.wait, 30.0) == 0, (tmp_path / "log").read_text()
            finally:
                sleeper.kill()
            became = json.loads(reports.read_text())
            assert became[::2] == ["LEASE_LOST"] * (HELD // 2), "whoever only waits is cancelled"
            assert set(became[1::2]) <= {"LEASE_LOST", "FENCED"}, "whoever writes may hear it from the daemon first"
            for each in ids:
                content = await client.state(each).to_dict()
                assert content == {"holder": "successor"}, "the sleeper has written nothing into the successor's work"


async def _take_over(client: lastgood.Client, workflow_id: str) -> None:
    async with client.workflow(workflow_id, wait=True) as workflow:
        assert workflow.attempt == 2
        await workflow.state.set("holder", "successor")
        await workflow.checkpoint(0, "successor", "completed")
