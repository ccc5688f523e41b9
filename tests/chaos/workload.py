"""Clients that write all the time, and what must be true of it afterwards, whatever happened to their daemon."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import until

import lastgood


@dataclass(frozen=True)
class Figures:
    """What became of the writes that were acknowledged."""

    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    """Acknowledged or found in another order than the one they were made in."""

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.acknowledged:,} acknowledged, {self.lost:,} lost, {self.twice:,} twice, {self.disordered:,} out of order"
        )


class FaultError(AssertionError):
    """Not every acknowledged write is there once and in its order."""

    def __init__(self, figures: Figures) -> None:
        super().__init__(str(figures))
        self.figures = figures


class Workload:
    """Every task of every client appends to a list of its own, then increments a counter that all share."""

    def __init__(
        self, connect: Callable[[], lastgood.Client], *, clients: int, tasks: int, state_id: str = "shared"
    ) -> None:
        self._connect = connect
        self._clients = clients
        self._tasks = tasks
        self._state_id = state_id
        self._stop = False
        self._agents: list[asyncio.Task[None]] = []
        self.acknowledged = 0
        self.appended: dict[str, list[int]] = defaultdict(list)
        """Of each task, the revisions that its appends were answered with."""
        self.totals: dict[str, list[float]] = defaultdict(list)
        """Of each task, what its increments were answered with."""

    async def __aenter__(self) -> Self:
        self._agents = [asyncio.create_task(self._agent(index)) for index in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for agent in self._agents:
            agent.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)

    async def progress(self, writes: int = 1) -> None:
        """Wait until that many more writes have been acknowledged."""
        enough = self.acknowledged + writes
        await until(lambda: self.acknowledged >= enough or self._failed())

    async def finish(self) -> None:
        """Let every task end with what it is at."""
        self._stop = True
        await asyncio.gather(*self._agents)

    async def check(self, client: lastgood.Client) -> Figures:
        """Every acknowledged write is there, none twice, in order, and nothing else."""
        state = client.state(self._state_id)
        content = await state.to_dict()
        entries = await state.get_history()

        figures = self._count(content.get("logs", {}), entries)
        if figures != Figures(self.acknowledged):
            raise FaultError(figures)
        self._expect(content)
        # Every revision is one acknowledged write, by whom it says.
        assert [entry.revision for entry in entries] == list(range(1, self.acknowledged + 1))
        by_revision = {revision: name for name, revisions in self.appended.items() for revision in revisions}
        assert 2 * len(by_revision) == self.acknowledged
        for entry in entries:
            assert entry.operation == ("append" if entry.revision in by_revision else "increment")
            assert by_revision.get(entry.revision, entry.agent_id) == entry.agent_id
        return figures

    async def check_content(self, client: lastgood.Client) -> None:
        """The same without asking how it came about, which takes longer than to read what is there."""
        self._expect(await client.state(self._state_id).to_dict())

    def _expect(self, content: dict[str, Any]) -> None:
        totals = sorted(total for of_one in self.totals.values() for total in of_one)
        assert totals == list(range(1, len(totals) + 1)), "each increment has a result of its own"
        assert content["total"] == len(totals)
        for name, revisions in self.appended.items():
            assert content["logs"][name] == list(range(len(revisions))), name

    def _count(self, logs: dict[str, list[int]], entries: Sequence[lastgood.HistoryEntry]) -> Figures:
        """Hold what is there against what was acknowledged; appends know their number, increments only who made them."""
        incremented = Counter(entry.agent_id for entry in entries if entry.operation == "increment")
        lost = twice = disordered = 0
        for name, revisions in self.appended.items():
            log, totals = logs.get(name, []), self.totals[name]
            there = Counter(log)
            lost += sum(number not in there for number in range(len(revisions)))
            twice += len(log) - len(there)
            lost += max(0, len(totals) - incremented[name])
            twice += max(0, incremented[name] - len(totals))
            disordered += sum(later < earlier for earlier, later in pairwise(log))
            disordered += sum(later <= earlier for answers in (revisions, totals) for earlier, later in pairwise(answers))
        return Figures(self.acknowledged, lost, twice, disordered)

    async def _agent(self, index: int) -> None:
        async with self._connect() as client:
            await asyncio.gather(*(self._write(client, f"agent{index}-{task}") for task in range(self._tasks)))

    async def _write(self, client: lastgood.Client, name: str) -> None:
        state = client.state(self._state_id, agent_id=name)
        while not self._stop:
            revision = await state.append(f"logs.{name}", len(self.appended[name]))
            self.appended[name].append(revision)
            self.acknowledged += 1
            self.totals[name].append(await state.increment("total"))
            self.acknowledged += 1

    def _failed(self) -> bool:
        for agent in self._agents:
            if agent.done():
                agent.result()
        return False
