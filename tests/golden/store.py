"""A store with a record of every kind, as this version makes it, and what a daemon tells of it.

``python -m tests.golden.store FILE`` makes one, with what was told of it. The one beside this module is not made anew:
it stands for the stores that users have. Where a later version writes other bytes, it still reads these.
"""

import asyncio
import contextlib
import json
import sys
import tarfile
import tempfile
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.daemons import DaemonProcess
from tests.support.processes import run_script

import lastgood
from lastgood import ExecutionMetrics, Retention

STORE = Path(__file__).with_name("store-0.1.0.tar.xz")
TOLD = "told.json"
SECRET = "sk-4711"  # noqa: S105 - not one of ours
MESSAGES = 400
MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789012, UTC)

DIES_IN_AN_EFFECT = """
    import os, sys, lastgood.sync
    with lastgood.sync.connect(data_dir=sys.argv[1], autostart=False, agent_id="mailer") as client:
        with client.workflow("doubt", lease=1.0) as workflow:
            with workflow.step(0) as step:
                step.once("mail", os._exit, 0)
"""


async def fill(client: lastgood.Client, folder: Path) -> None:
    """Write something of everything."""
    await _plan(client)
    await _secrets(client)
    await _thread(client)
    await _short(client)
    await _workflows(client, folder)
    await client.set_retention(Retention(revisions=1000))
    gone = client.state("gone", agent_id="ann")
    await gone.set("a", 1)
    await gone.snapshot(label="of what is deleted")
    await client.delete_state("gone")
    again = client.state("again", agent_id="ann")
    await again.set("first life", 1)
    await client.delete_state("again")
    await client.state("again", agent_id="ann").set("second life", 2)
    exported = [line async for line in client.export_state("plan")]
    await client.import_state("imported", exported)


async def _plan(client: lastgood.Client) -> None:
    plan = client.state("plan", agent_id="planner")
    await plan.update({"goal": "reise/ä", "done": False, "cost": 0.5, "raw": b"\x00\xff", "when": MOMENT})
    first = await plan.snapshot(label="first", metadata={"why": "a start"})
    await plan.append("tasks", "pack", {"do": "go", "tags": ["a", "b"]}, None)
    await plan.merge({"deep": {"er": {"still": 1}}, "done": True})
    await plan.increment("count", 41)
    async with plan.transaction() as transaction:
        transaction.set("tasks.0", "unpack")
        transaction.increment("count")
        transaction.delete("goal")
    await plan.snapshot(label="second")
    await plan.fork("plan-b", at=first)
    await plan.restore(first, paths=["goal"])
    await plan.delete("deep.er")
    await plan.restore(first)
    await plan.set("after", "the restore")


async def _secrets(client: lastgood.Client) -> None:
    secrets = client.state("secrets", agent_id="ann")
    await secrets.set("key", f"it is {SECRET}, keep it")
    await secrets.set("listed", [1, SECRET, {"deep": SECRET}])
    await secrets.set("plain", "text")
    await secrets.redact(SECRET)
    await secrets.set("later", 1)


async def _thread(client: lastgood.Client) -> None:
    """So long that there are images, an index, compressed entries, and patches of a whole value."""
    thread = client.state("thread", agent_id="writer")
    messages = [_message(number) for number in range(MESSAGES)]
    await thread.set("messages", messages)
    for number in range(MESSAGES, MESSAGES + 1100):
        await thread.append("messages", _message(number))
    await thread.set("messages", [*messages, _message(9)])
    await thread.set("table", {f"row{number}": number for number in range(2000)})
    await thread.delete("table.row7")


def _message(number: int) -> dict[str, object]:
    return {"role": "user" if number % 2 else "assistant", "content": f"message {number}: " + "word " * (number % 40)}


async def _short(client: lastgood.Client) -> None:
    """A state of whose past only some is kept."""
    short = client.state("short", agent_id="ann")
    for number in range(30):
        await short.set("a", number)
        if number in {4, 12}:
            await short.snapshot(label=f"at {number}")
    await client.set_retention(Retention(revisions=5), "short")
    await client.compact()
    await short.set("a", "on")


async def _workflows(client: lastgood.Client, folder: Path) -> None:
    async with client.workflow("trip", initial_state={"begun": True}) as trip:
        for number in range(2):
            async with trip.step(number) as step:
                step.metadata = {"number": number}
                await step.state.set(f"step{number}", "done")
                await step.once("mail", lambda: {"sent": True})
        with contextlib.suppress(RuntimeError):
            async with trip.step(2) as step:
                await step.state.set("step2", "half")
                await _fails()
    async with client.workflow("trip") as trip:
        trip.metrics.total_cost += 0.25
        async with trip.step(2) as step:
            await step.state.set("step2", "done")
            with contextlib.suppress(ValueError):
                await step.once("call", _refused, failures=ValueError)
    metrics = ExecutionMetrics(total_cost=1.5, total_steps=1)
    await client.checkpoints.create_checkpoint("by-hand", 0, "ann", "completed", {"k": "v"}, metrics, {"note": 1})
    done = await asyncio.to_thread(run_script, DIES_IN_AN_EFFECT, folder)
    assert done.returncode == 0, done.stderr


async def _fails() -> None:
    message = "a step that fails"
    raise RuntimeError(message)


async def _refused() -> None:
    message = "no such number"
    raise ValueError(message)


async def told(client: lastgood.Client) -> dict[str, Any]:
    """Return what a daemon tells of a store; but for the export, only what has the same name in every version."""
    said: dict[str, Any] = {}
    for state_id in await client.list_states():
        state = client.state(state_id)
        said[f"export of {state_id}"] = [json.loads(line) async for line in client.export_state(state_id)]
        said[f"content of {state_id}"] = _plain(await state.to_dict())
        said[f"snapshots of {state_id}"] = [[each.label, _plain(each.metadata)] for each in await state.list_snapshots()]
        said[f"revision of {state_id}"] = await state.revision()
    for status in await client.list_workflows():
        name = status.workflow_id
        workflow = client.workflow(name)
        said[f"attempts at {name}"] = [[each.attempt, each.agent_id] for each in await workflow.list_attempts()]
        said[f"effects of {name}"] = [
            [each.step, each.key, each.in_doubt, each.runs, each.attempt] for each in await workflow.list_effects()
        ]
        said[f"checkpoints of {name}"] = [
            [each.step, each.attempt, _plain(each.metrics), _plain(each.metadata)]
            for each in await client.checkpoints.list_checkpoints(name)
        ]
    for owner in (None, "short"):
        said[f"retention of {owner}"] = _plain((await client.get_retention(owner)).retention)
    return said


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    return json.loads(
        json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value, default=repr)
    )


async def make(file: Path) -> None:
    """Make the packed store."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "store")
        daemon = DaemonProcess(folder).start()
        async with lastgood.connect(data_dir=folder, autostart=False, agent_id="runner") as client:
            await fill(client, folder)
            (folder / TOLD).write_text(json.dumps(await told(client), indent=1, ensure_ascii=False) + "\n")
        assert daemon.stop() == 0
        with tarfile.open(file, "w:xz") as packed:
            for name in ("lastgood.db", "lastgood.db-id", TOLD):
                packed.add(folder / name, name)


def unpacked(folder: Path) -> Path:
    """Return a data folder with a copy of the store, and what was told of it."""
    folder.mkdir(mode=0o700)
    with tarfile.open(STORE) as packed:
        packed.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
