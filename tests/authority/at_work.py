"""An authority at work on a real store, with a clock that is turned by hand and a disk that is full when told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.commands.leases import GiveUp
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.memory import BUDGET
from lastgood_daemon.authority.outcomes import Done, Outcome, Refused, Resumed
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import PRESENT, Listener, Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import LogId, LogRow, StoreFullError, Unit
from lastgood_daemon.store.protocol import Outcome as Stored
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.values import encode

LONG = 60_000_000
"""Microseconds."""
SOON = 5_000
SECONDS = 30.0
"""After which a test gives up."""

Answer = asyncio.Future[Outcome]


class SlowStore(SqliteStore):
    """Its clock is turned by hand, it has no room as often as it is told, and while it reads something may happen."""

    turned = 0
    began = 0
    full = 0
    meanwhile: Callable[[], Awaitable[object]] | None = None

    def now(self) -> int:
        self.began = self.began or super().now()
        return self.began + self.turned

    async def commit(self, units: Sequence[Unit]) -> list[Stored]:
        if self.full:
            self.full -= 1
            problem = "no room"
            raise StoreFullError(problem)
        return await super().commit(units)

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        rows = await super().read_log(log, after, limit)
        if self.meanwhile is not None:
            await self.meanwhile()
        return rows


def claim(name: str, wait: int = LONG, *, lease: int = LONG, workflow: str = "wf", poison_after: int = 0) -> Claim:
    return Claim(workflow, Author(name), None, poison_after, f"claim of {name}", name, lease, wait, 1)


def give_up(name: str) -> GiveUp:
    return GiveUp("wf", f"claim of {name}")


def write(attempt: int) -> Write:
    edit = Set(("k",), encode(attempt))
    return Write(StateRef("wf"), Author("", "wf", attempt), Precondition(), (("set", edit),), 1)


class Daemon:
    """An authority at work."""

    def __init__(self, store: SlowStore, budget: int = BUDGET) -> None:
        self.store = store
        self.authority = Authority(store, budget)
        self.running = asyncio.create_task(self.authority.run())

    def ask(
        self,
        command: Command,
        identity: Identity | None = None,
        deadline: float | None = None,
        listener: Listener = PRESENT,
    ) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        self.authority.submit(Submission(command, answer.set_result, identity, deadline, listener))
        return answer

    async def do(self, command: Command) -> Outcome:
        return await told(self.ask(command))

    async def settled(self) -> None:
        """Wait until all that was asked has been looked at, and what that has set off, too."""
        for _ in range(3):
            assert await self.do(GiveUp("wf", "of nobody")) == Done(existed=False)

    async def end(self) -> None:
        self.authority.drain()
        await asyncio.wait_for(self.running, SECONDS)


async def told(answer: Answer) -> Outcome:
    return await asyncio.wait_for(asyncio.shield(answer), SECONDS)


async def attempt(answer: Answer) -> int:
    outcome = await told(answer)
    assert isinstance(outcome, Resumed), outcome
    return outcome.attempt


async def reason(answer: Answer) -> str:
    outcome = await told(answer)
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


@asynccontextmanager
async def running(path: Path, budget: int = BUDGET) -> AsyncIterator[Daemon]:
    store = SlowStore.open(path / "lastgood.db")
    daemon = Daemon(store, budget)
    try:
        yield daemon
    finally:
        await daemon.end()
        await store.close()
