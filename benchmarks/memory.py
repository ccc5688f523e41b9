"""What a million changes leave in the memory of the daemon, and how long its WAL becomes meanwhile."""

import asyncio
import time
from pathlib import Path

from alone import alone
from changes import write
from daemon import Daemon
from row import Row, row

CHANGES = 1_000_000
QUICK = 50_000
STATES = 4
KEYS = 250
MEMORY_MB = 100.0
WAL_MB = 64.0
"""At which an operator should be alarmed: some reader holds it."""
_LOOK_SECONDS = 0.05


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Change, and look at the process and its files."""
    changes = QUICK if quick else CHANGES
    with Daemon(folder) as daemon:
        async with daemon.connect() as client:
            await client.server_info()
            empty = daemon.memory()
            watching = asyncio.create_task(highest(daemon.wal))
            begun = time.monotonic()
            states = [client.state(f"state{number}", agent_id="bench") for number in range(STATES)]
            await write(states, changes, lambda number: f"keys.k{number // STATES % KEYS}")
            seconds = time.monotonic() - begun
            full = daemon.memory()
            wal = await stopped(watching)
        daemon.stop()
    what = f"{changes:,} changes of {STATES * KEYS:,} keys in {seconds:.0f} s"
    above = (full - empty) / 1e6
    return [
        row("memory of the daemon above an empty one", [above], MEMORY_MB, "MB", f"{empty / 1e6:.0f} MB empty; {what}"),
        row("the longest that its WAL was", [wal / 1e6], WAL_MB, "MB"),
    ]


async def highest(path: Path) -> int:
    """Look at the size of a file until cancelled."""
    found = 0
    try:
        while True:
            found = max(found, size(path))
            await asyncio.sleep(_LOOK_SECONDS)
    except asyncio.CancelledError:
        return found


def size(path: Path) -> int:
    """Give the size of a file that may not be there."""
    return path.stat().st_size if path.exists() else 0


async def stopped(watching: "asyncio.Task[int]") -> int:
    """End the looking, and give what it has found."""
    watching.cancel()
    return await watching


if __name__ == "__main__":
    alone(measure, __doc__)
