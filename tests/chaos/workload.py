"""Clients that write all the time, and what must be true of it afterwards, whatever happened to their daemon."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.waiting import until

import lastgood

STATE = "shared"


class Workload:
    """Every task of every client appends to a list of its own, then increments a counter that all share."""

    def __init__(self, connect: Callable[[], lastgood.Client], *, clients: int, tasks: int) -> None:
        self._connect = connect
        self._clients = clients
        self._tasks = tasks
        self._stop = False
        self._agents: list[asyncio.Task[None]] = []
        self.appended: dict[str, list[int]] = defaultdict(list)
        """Of each task, the revisions that its appends were answered with."""
        self.totals: list[float] = []
        """What the increments were answered with."""

    async def __aenter__(self) -> Self:
        self._agents = [asyncio.create_task(self._agent(index)) for index in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for agent in self._agents:
            agent.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)

    async def progress(self) -> None:
        """Wait until another write has been acknowledged."""
        before = len(self.totals)
        await until(lambda: len(self.totals) > before or self._failed())

    async def finish(self) -> None:
        """Let every task end with what it is at."""
        self._stop = True
        await asyncio.gather(*self._agents)

    async def check(self, client: lastgood.Client) -> None:
        """Every acknowledged write is there, none twice, in order, and nothing else."""
        state = client.state(STATE)
        content = await state.to_dict()
        entries = await state.get_history()

        assert sorted(self.totals) == list(range(1, len(self.totals) + 1)), "each increment has a result of its own"
        assert content["total"] == len(self.totals)
        for name, revisions in self.appended.items():
            assert content["logs"][name] == list(range(len(revisions))), name
            assert revisions == sorted(set(revisions)), name
        # Every revision is one acknowledged write, by whom it says.
        assert [entry.revision for entry in entries] == list(range(1, 2 * len(self.totals) + 1))
        by_revision = {revision: name for name, revisions in self.appended.items() for revision in revisions}
        assert len(by_revision) == len(self.totals)
        for entry in entries:
            assert entry.operation == ("append" if entry.revision in by_revision else "increment")
            assert by_revision.get(entry.revision, entry.agent_id) == entry.agent_id

    async def _agent(self, index: int) -> None:
        async with self._connect() as client:
            await asyncio.gather(*(self._write(client, f"agent{index}-{task}") for task in range(self._tasks)))

    async def _write(self, client: lastgood.Client, name: str) -> None:
        state = client.state(STATE, agent_id=name)
        while not self._stop:
            revision = await state.append(f"logs.{name}", len(self.appended[name]))
            self.appended[name].append(revision)
            self.totals.append(await state.increment("total"))

    def _failed(self) -> bool:
        for agent in self._agents:
            if agent.done():
                agent.result()
        return False
