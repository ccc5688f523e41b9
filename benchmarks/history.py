"""The last ten changes of a key, in a log of a million revisions over one of 5,000: what an index should make the same.

Both logs lie in one file and are asked for through one daemon, in turns; what counts is the median of the ratios of the
rounds. The revisions go round the same keys in both, so that what is found is alike. They are made by the daemon's own
authority, in this process, before the daemon begins: a million calls would take minutes.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lastgood
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.values import encode

HERE = Path(__file__).parent
SHORT = 5_000
LONG = 1_000_000
KEYS = 500
ROUNDS = 9
CALLS = 20
TOGETHER = 2_000
TARGET = 2.0


class Ratio(NamedTuple):
    """One line of the table: the median of the rounds, the lowest and highest of them, and what it may be at most."""

    name: str
    ratio: float
    low: float
    high: float
    target: float


async def measure(folder: Path, revisions: int = LONG) -> list[Ratio]:
    """Write both logs, and compare them."""
    await write(folder, {"short": SHORT, "long": revisions})
    async with lastgood.connect(data_dir=folder, timeout=600) as client:
        short, long = client.state("short"), client.state("long")
        await seconds(short, 0)
        await seconds(long, 0)
        pairs = [(await seconds(long, number), await seconds(short, number)) for number in range(ROUNDS)]
    ratios = sorted(a / b for a, b in pairs)
    name = f"last ten changes of a key, {revisions:,} revisions / {SHORT:,}"
    took = [statistics.median(pair[index] for pair in pairs) * 1000 for index in (0, 1)]
    print(f"{name}: {took[0]:.2f} ms / {took[1]:.2f} ms a call")
    return [Ratio(name, statistics.median(ratios), ratios[0], ratios[-1], TARGET)]


async def last_ten(state: lastgood.SharedState, number: int) -> list[lastgood.HistoryEntry]:
    """Ask for what is measured."""
    return await state.get_history(f"keys.k{number % KEYS}.value", limit=10, newest_first=True)


async def seconds(state: lastgood.SharedState, number: int) -> float:
    """Seconds a call."""
    begun = time.perf_counter()
    for call in range(CALLS):
        await last_ten(state, number * CALLS + call)
    return (time.perf_counter() - begun) / CALLS


async def write(folder: Path, logs: dict[str, int]) -> None:
    """Write logs as a daemon would, images and index included."""
    store = SqliteStore.open(folder / "lastgood.db")
    authority = Authority(store)
    running = asyncio.create_task(authority.run())
    for name, revisions in logs.items():
        for start in range(0, revisions, TOGETHER):
            await together(authority, name, range(start, min(start + TOGETHER, revisions)))
        await authority.background.idle()
    authority.drain()
    await running
    await store.close()


async def together(authority: Authority, name: str, numbers: Sequence[int]) -> None:
    """Make some revisions."""
    answers: list[asyncio.Future[Outcome]] = []
    for number in numbers:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        edit = Set(("keys", f"k{number % KEYS}", "value"), encode(f"value {number}"))
        command = Write(StateRef(name), Author("bench"), Precondition(), (("set", edit),), 1)
        authority.submit(Submission(command, answer.set_result))
        answers.append(answer)
    await asyncio.gather(*answers)


async def main(directory: Path, revisions: int) -> None:
    """Run it alone."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="bench-") as folder:
        for name, ratio, low, high, target in await measure(Path(folder), revisions):
            print(f"{name}: × {ratio:.2f} ({low:.2f} – {high:.2f}), at most {target:.1f} wanted")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=HERE, help="a folder on a real disk (default: beside this file)")
    parser.add_argument("--revisions", type=int, default=LONG, help=f"of the long log (default: {LONG:,})")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.dir, arguments.revisions))
