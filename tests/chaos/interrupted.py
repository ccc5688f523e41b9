"""A workflow of many steps with an effect each, done by processes that die at a given point of it.

What a step writes: ``set``, then the effect (claimed, run, recorded), ``append``, ``increment``. So its durable writes are,
in this order, those of ``WRITES``, and between each of them and the next lies a boundary at which a process may die.
"""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lastgood
from lastgood.operations import Operation, Request, Response
from lastgood.transport.connection import Connection

WORKFLOW = "interrupted"
WRITES = ("begin_step", "set", "claim_effect", "record_effect", "append", "increment", "complete_step")
NEVER = -1


@dataclass(frozen=True)
class Death:
    """Where a process dies: right before or right after a write of a step; with it perhaps its daemon."""

    step: int
    write: str
    after: bool = True
    daemon: int = 0


def work(folder: str, steps: int, death: Death) -> None:
    """Do the rest of the workflow, up to the death. Runs as a process of its own."""
    asyncio.run(_work(Path(folder), steps, death))


async def _work(folder: Path, steps: int, death: Death) -> None:
    outside, reports = folder / "outside", folder / "reports"
    async with lastgood.connect(data_dir=folder / "data", autostart=False, timeout=20.0, agent_id="worker") as client:
        workflow = client.workflow(WORKFLOW, initial_state={"sum": 0, "receipts": []}, poison_after=None)
        _die_at(death, workflow)
        await workflow.try_resume(force=True)  # the lease of the one who died may be live
        assert workflow.rollback is not None
        doubtful = [f"{effect.step}:{effect.runs}" for effect in workflow.rollback.effects if effect.status == "claimed"]
        _append(reports, f"{workflow.current_step} {','.join(doubtful)}")
        async with workflow:
            while (number := workflow.current_step) < steps:
                async with workflow.step(number, agent_id="worker") as step:
                    await step.state.set("at", number)
                    receipt = await step.once("charge", _charge, outside, step.idempotency_key("charge"), number)
                    await step.state.append("receipts", receipt)
                    await step.state.increment("sum", receipt)


def _charge(outside: Path, key: str, number: int) -> int:
    """Have an effect on the outside world, which keeps a list of the calls it got."""
    _append(outside, f"{number} {key}")
    return number * number


def _append(path: Path, line: str) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(opened, f"{line}\n".encode())
    os.close(opened)


def _die_at(death: Death, workflow: lastgood.ResumableWorkflow) -> None:
    """Have every call of this process look whether it is time."""
    call = Connection.call

    async def watched(
        self: Connection,
        operation: Operation[Request, Response],
        request: Request,
        **options: Any,  # noqa: ANN401
    ) -> Response:
        its_turn = operation.name == death.write and (workflow.attempt == 0 or workflow.current_step == death.step)
        if its_turn and not death.after:
            _die(death)
        answer = await call(self, operation, request, **options)
        if its_turn:
            _die(death)
        return answer

    Connection.call = watched  # type: ignore[method-assign]


def _die(death: Death) -> None:
    if death.daemon:
        os.kill(death.daemon, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def serve_until_commit(flags: list[str], number: int) -> int:
    """Be a daemon that dies right after its n-th commit is durable, before anybody is told of it."""
    from lastgood_daemon.start import main  # noqa: PLC0415 - only in a process that is to be one
    from lastgood_daemon.store.protocol import Outcome, Unit  # noqa: PLC0415
    from lastgood_daemon.store.sqlite import SqliteStore  # noqa: PLC0415

    commit, done = SqliteStore.commit, 0

    async def counted(self: SqliteStore, units: list[Unit]) -> list[Outcome]:
        nonlocal done
        outcomes = await commit(self, units)
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes

    SqliteStore.commit = counted  # type: ignore[method-assign, assignment]
    return main(flags)
