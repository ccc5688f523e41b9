"""Benchmarks, as one table: ``make bench``.

A machine's speed drifts, so nothing here is a time to compare with another day's. Wherever something is compared with
something else, the two take turns, round after round; printed are the median of their ratios, the lowest and the highest.
Where the target is a bound, it is the same of what was measured.

The database lies on a real disk (``--dir``, by default beside this file): a RAM disk has no fsync to wait for. Each part can
be run alone: ``python benchmarks/flat.py``.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import blocking
import calls
import disk
import first_get
import flat
import history
import memory
import neighbours
from alone import Measure, in_folder, options
from row import show

PARTS: tuple[tuple[str, Measure], ...] = (
    ("calls a second over those of an empty gRPC call; a set is answered after the fsync", calls.measure),
    ("flat cost: a large state over a small one", flat.measure),
    ("deltas: what is stored is what changed", disk.measure),
    ("memory", memory.measure),
    ("history: a log of a million over one of 5,000", history.measure),
    ("after a crash", first_get.measure),
    ("what takes long runs off the event loop", blocking.measure),
    ("a large call of one client, and everybody else", neighbours.measure),
)


async def main(directory: Path, *, quick: bool) -> None:
    """Run all parts, one after the other, each with a daemon and a folder of its own."""
    begun = time.monotonic()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {_load()}")
    for title, measure in PARTS:
        print(f"\n{title}")
        show(await in_folder(measure, directory, quick=quick))
    print(f"\n{time.monotonic() - begun:.0f} s; {_load()}")


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    chosen = options(__doc__)
    asyncio.run(main(chosen.dir, quick=chosen.quick))
