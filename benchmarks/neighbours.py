"""What one client's large call costs all others: every operation with 100,000 parts, and with 40 MB.

Each has a daemon with a heartbeat (``heartbeat.py``) and a folder of its own. While the call runs, and half a second longer,
another process makes small calls (``small_calls.py``) under a lease. Looked at are how long the daemon's event loop was
held, how long the small calls took, how much memory the daemon had at most, and whether it gives that back within a minute.

A timer that comes late was held by the daemon, or by a machine that had given the processor to another thread. Each call is
made by a busy process, beside another one, so on a small machine the second is common. The loop counts as held for as long
as the timer was late, without the time in which its thread was ready and waited for a processor. What of that the thread
itself worked stands beside it (own): the rest is other threads that did not let go of the interpreter.

``python benchmarks/neighbours.py --quick update diff`` measures two of the operations, with a tenth of the parts and bytes.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple, Self

import lastgood
from alone import HERE, in_folder, option_parser
from blocking import HEARTBEAT, Beat, read
from daemon import Daemon
from lastgood_daemon.authority.memory import BUDGET
from operations import OPERATIONS, Call, Load, Shape
from row import Row, show

HELD_MS = 5.0
P99_MS = 50.0
ABOVE_BUDGET_MB = 200.0
LEFT_MB = 20.0

SHAPES = (Shape("100,000 parts", 100_000, 8), Shape("40 MB", 400, 100_000))
QUICK = (Shape("10,000 parts", 10_000, 8), Shape("4 MB", 40, 100_000))
AFTERWARDS = 0.5
LONGEST = 120.0
"""Seconds after which a call, or the preparation of one, is given up."""
BACK = 60.0
"""Seconds within which memory is to be given back; no longer than that is waited."""
QUIET = 0.2
"""Of the processor, what a daemon may take that has nothing more to do: the heartbeat alone takes a tenth."""
CALM = 1.0
LOOK = 0.5
STARTING = 30.0
HEADINGS = (
    f"{'operation':<18} {'with':<14} {'s':>7} {'held':>7} {'(own)':>7} {'(late)':>8} {'p99':>8} {'(calm)':>7} ms"
    "  memory   left MB"
)


class Measured(NamedTuple):
    """What one call came to."""

    seconds: float
    held: float
    own: float
    late: float
    p99: float
    calm: float
    """The p99 of the small calls of the second before."""
    above: float
    left: float
    failures: list[str]

    def missed(self) -> list[str]:
        """Name what is not as it should be."""
        bounds = {"held": (self.held, HELD_MS), "p99": (self.p99, P99_MS), "memory": (self.above, ABOVE_BUDGET_MB)}
        found = [name for name, (value, bound) in bounds.items() if value > bound]
        return found + (["left"] if self.left > LEFT_MB else []) + self.failures


async def measure(folder: Path, *, quick: bool = False, chosen: Collection[str] = ()) -> list[Row]:
    """Measure the operations one by one, print each, and return the worst of each figure."""
    print(HEADINGS)
    found: dict[str, Measured] = {}
    for name in chosen or OPERATIONS:
        for number, shape in enumerate(QUICK if quick else SHAPES):
            place = folder / f"{name}-{number}"
            place.mkdir()
            result = await one(place, name, shape)
            found[f"{name}, {shape.name}"] = result
            print(line(name, shape, result), flush=True)
    return [
        worst("event loop held by one large call", found, lambda each: each.held, HELD_MS, "ms"),
        worst("p99 of small calls of another client", found, lambda each: each.p99, P99_MS, "ms"),
        worst("memory above the budget", found, lambda each: each.above, ABOVE_BUDGET_MB, "MB"),
        worst("memory left a minute later", found, lambda each: each.left, LEFT_MB, "MB"),
    ]


def line(name: str, shape: Shape, result: Measured) -> str:
    """Write one line of the table."""
    own, late, calm = f"({result.own:.1f})", f"({result.late:.0f})", f"({result.calm:.0f})"
    missed = ", ".join(result.missed())
    times = f"{result.seconds:>7.2f} {result.held:>7.1f} {own:>7} {late:>8} {result.p99:>8.1f} {calm:>7}"
    memory = f"{result.above:>7.0f} {result.left:>6.0f}"
    return f"{name:<18} {shape.name:<14} {times}    {memory}    {f'MISSED: {missed}' if missed else 'met'}"


def worst(name: str, found: dict[str, Measured], figure: Callable[[Measured], float], target: float, unit: str) -> Row:
    """Return the highest of a figure as a line."""
    values = {where: figure(each) for where, each in found.items()}
    where = max(values, key=lambda key: values[key])
    return Row(name, values[where], min(values.values()), values[where], target, unit, f"worst: {where}")


async def one(folder: Path, name: str, shape: Shape) -> Measured:
    """Measure one operation."""
    failures: list[str] = []
    beats, calls = folder / "heartbeat.json", folder / "calls.json"
    with Daemon(folder, (*HEARTBEAT, str(beats))) as daemon:
        async with daemon.connect() as client:
            call = await in_time(OPERATIONS[name](Load(client, shape)), "preparation", failures)
            await quiet(daemon)
            with Neighbour(daemon, calls) as neighbour:
                await neighbour.at_work()
                calm = time.monotonic()
                await asyncio.sleep(CALM)
                daemon.forget_peak()
                before = daemon.memory()
                begun = time.monotonic()
                await in_time(call() if call is not None else nothing(), "call", failures)
                answered = time.monotonic()
                await asyncio.sleep(AFTERWARDS)
                ended = time.monotonic()
            peak = daemon.peak()
            left = await given_back(daemon, before)
        try:
            daemon.stop()
        except (subprocess.TimeoutExpired, RuntimeError):
            failures.append("the daemon did not end")
    held, own, late = longest_hold(beats, (begun, ended))
    noted = noted_by(calls)
    return Measured(
        seconds=answered - begun,
        held=held,
        own=own,
        late=late,
        p99=p99(noted["calls"], begun, ended),
        calm=p99(noted["calls"], calm, begun),
        above=(peak - BUDGET) / 1e6,
        left=left / 1e6,
        failures=[*failures, *sorted({text[:80] for text in noted["failed"]})],
    )


async def in_time(work: Awaitable[Call | object], what: str, failures: list[str]) -> Call | None:
    """Wait for something, not for ever; note where it fails."""
    try:
        done = await asyncio.wait_for(work, LONGEST)
    except (TimeoutError, lastgood.LastgoodError, ExceptionGroup) as error:
        failures.append(f"{what}: {type(error).__name__} {error}"[:100].rstrip())
        return None
    return done if callable(done) else None


async def nothing() -> None:
    """Do nothing, where the preparation has failed."""


async def quiet(daemon: Daemon) -> None:
    """Wait until the daemon has nothing left to do, such as writing an image."""
    for _ in range(int(BACK / LOOK)):
        worked = daemon.worked()
        await asyncio.sleep(LOOK)
        if daemon.worked() - worked <= QUIET * LOOK:
            return


async def given_back(daemon: Daemon, before: int) -> float:
    """Wait until the memory of the daemon is what it was, no longer than a minute, and return what is above that."""
    for _ in range(int(BACK / LOOK)):
        if daemon.memory() - before <= LEFT_MB * 1e6:
            break
        await asyncio.sleep(LOOK)
    return max(daemon.memory() - before, 0)


def noted_by(report: Path) -> dict[str, Any]:
    """Return what the neighbour has noted."""
    noted: dict[str, Any] = {"calls": [], "failed": ["the neighbour did not end"]}
    return {**noted, **json.loads(report.read_text())} if report.exists() else noted


def p99(calls: list[tuple[float, float]], begun: float, ended: float) -> float:
    """Return how long the calls took that were under way in a time; in milliseconds."""
    during = sorted(seconds for at, seconds in calls if at + seconds >= begun and at <= ended)
    return during[int(len(during) * 0.99)] * 1000 if during else 0.0


def longest_hold(report: Path, during: tuple[float, float]) -> tuple[float, float, float]:
    """Return how long the loop was held at most in a time, and by its own thread, and how late it was; in milliseconds."""
    begun, ended = during
    noted = read(report) if report.exists() else [Beat(begun, ended - begun, 0.0, ended - begun, ended - begun)]
    within = [beat for beat in noted if beat.due + beat.late >= begun and beat.due <= ended]
    held = max((beat.held for beat in within), default=0.0)
    own = max((min(beat.late, beat.own) for beat in within), default=0.0)
    late = max((beat.late for beat in within), default=0.0)
    return held * 1000, own * 1000, late * 1000


class Neighbour:
    """The other process."""

    def __init__(self, daemon: Daemon, report: Path) -> None:
        command = (sys.executable, str(HERE / "small_calls.py"), str(daemon.data), str(report))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        """Nothing more: it is started by making the object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end what it has begun."""
        try:
            self._process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    async def at_work(self) -> None:
        """Wait until its calls are answered."""
        if self._process.stdout is not None:
            await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), STARTING)


def main() -> None:
    """Measure what was asked for."""
    parser = option_parser(__doc__ or "")
    parser.add_argument("operation", nargs="*", default=[], help=f"which (default: all): {', '.join(OPERATIONS)}")
    chosen = parser.parse_args()
    for name in set(chosen.operation) - set(OPERATIONS):
        parser.error(f"no operation: {name}")

    async def some(folder: Path, *, quick: bool = False) -> list[Row]:
        return await measure(folder, quick=quick, chosen=chosen.operation)

    show(asyncio.run(in_folder(some, chosen.dir, quick=chosen.quick)))


if __name__ == "__main__":
    main()
