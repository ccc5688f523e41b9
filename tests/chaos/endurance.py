"""One regime of breaking things: the same disturbance again and again under the same load."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.workload import Figures, Workload

import lastgood


@dataclass(frozen=True)
class Load:
    """Who writes, and how much between two disturbances.

    Each chapter writes into a state of its own, beside those of the chapters before. One that had the writes of all of them
    would take seconds to be read back after every disturbance, and its history far longer.
    """

    chapters: int
    disturbances: int
    """Of each chapter."""
    writes: int
    """At least so many are acknowledged before each disturbance."""
    clients: int
    tasks: int


async def endure(load: Load, connect: Callable[[], lastgood.Client], disturb: Callable[[], object]) -> Figures:
    """Write and disturb; every chapter is checked when it ends, and what all of them left in the end."""
    past: list[Workload] = []
    figures = Figures()
    for chapter in range(load.chapters):
        state_id = f"chapter{chapter}"
        async with Workload(connect, clients=load.clients, tasks=load.tasks, state_id=state_id) as workload:
            for _ in range(load.disturbances):
                await workload.progress(load.writes)
                await _to_its_end(disturb)
            await workload.progress()
            await workload.finish()
        async with connect() as client:
            figures += await workload.check(client)
        past.append(workload)
    async with connect() as client:
        for workload in past:
            await workload.check_content(client)
    return figures


async def _to_its_end(disturb: Callable[[], object]) -> None:
    """Disturb while the clients go on; also who gives up waits until it is done, since it may be starting a daemon."""
    disturbing = asyncio.ensure_future(asyncio.to_thread(disturb))
    try:
        await asyncio.shield(disturbing)
    finally:
        await asyncio.wait([disturbing])


class Report:
    """Tells what a regime showed, for whoever quotes it: ``pytest -rP`` prints it, and a JUnit report has it."""

    def __init__(self, record_property: Callable[[str, object], None], regime: str) -> None:
        self._record_property = record_property
        self._regime = regime
        self._begun = time.monotonic()

    def tell(self, disturbances: int, figures: Figures) -> None:
        seconds = time.monotonic() - self._begun
        self._record_property("disturbances", disturbances)
        self._record_property("figures", str(figures))
        print(f"{disturbances:,} x {self._regime}: {figures}; {seconds:.0f} s")  # noqa: T201 - it is to be read
