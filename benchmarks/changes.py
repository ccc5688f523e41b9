"""Many small changes: as many agents at a time make them, and without the calls."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path

import lastgood
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.paths import parse_path
from lastgood_proto.values import encode

TASKS = 256
TOGETHER = 2_000


async def write(states: Sequence[lastgood.SharedState], count: int, path: Callable[[int], str]) -> None:
    """Set a small value so many times, going round the states; each set is a revision of its own."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await states[number % len(states)].set(path(number), number)

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(work())


async def write_directly(database: Path, state_id: str, count: int, path: Callable[[int], str]) -> None:
    """Do the same to a state of a folder that has no daemon at the moment, by the daemon's own authority in this process."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # as the daemon does: looking through a large tree takes most of the time otherwise
    store = SqliteStore.open(database)
    authority = Authority(store)
    running = asyncio.create_task(authority.run())
    for start in range(0, count, TOGETHER):
        edits = [Set(parse_path(path(number)), encode(number)) for number in range(start, min(start + TOGETHER, count))]
        await asyncio.gather(*(_answer(authority, state_id, edit) for edit in edits))
    await authority.background.idle()
    authority.drain()
    await running
    await store.close()


def _answer(authority: Authority, state_id: str, edit: Set) -> "asyncio.Future[Outcome]":
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def deliver(outcome: Outcome) -> None:
        if isinstance(outcome, Refused):
            answer.set_exception(RuntimeError(outcome.message))
        else:
            answer.set_result(outcome)

    command = Write(StateRef(state_id), Author("bench"), Precondition(), (("set", edit),), len(edit.value))
    authority.submit(Submission(command, deliver))
    return answer
