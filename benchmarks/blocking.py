"""How long the daemon's event loop is blocked while an agent sets a whole list of 11 MB with one more message.

The daemon runs with a heartbeat (``heartbeat.py``). Rounds of small sets take turns with the large ones, for comparison, and
so does a process that is no daemon, whose event loop has nothing to do while a thread counts: a machine is late sometimes,
whatever runs on it.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from alone import HERE, alone
from content import amount, message, messages, size
from daemon import Daemon
from row import Row, row

HEARTBEAT = (sys.executable, str(HERE / "heartbeat.py"))
TARGET_MS = 5.0
ROUNDS = 10
MESSAGES = 45_000
AFTERWARDS = 0.5
"""Seconds after the answer that still count: what the set has left behind is freed, and an image may be written."""
LARGE = AFTERWARDS + 0.25
"""Seconds that one round with a large set takes, about."""
STARTING = 1.0
SMALL = 100
PAUSE = 0.005


class Beat(NamedTuple):
    """A beat that came late, as ``heartbeat.py`` notes it; in seconds."""

    due: float
    late: float
    waited: float
    worked: float
    own: float

    @property
    def held(self) -> float:
        """For how long the daemon kept its loop from running, and not the machine."""
        return max(self.late - self.waited, 0.0)


class Late(NamedTuple):
    """The latest heartbeat of a time, and the processor time of the daemon until it came; in milliseconds."""

    late: float
    worked: float


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Set, and read what the heartbeat has noted."""
    whole = messages(MESSAGES)
    report = folder / "heartbeat.json"
    large: list[tuple[float, float]] = []
    small: list[tuple[float, float]] = []
    counting: list[Late] = []
    with Daemon(folder, (*HEARTBEAT, str(report))) as daemon:
        async with daemon.connect() as client:
            state = client.state("thread", agent_id="bench")
            await state.set("messages", whole)
            for _ in range(3 if quick else ROUNDS):
                begun = time.monotonic()
                for number in range(SMALL):
                    await state.set("title", number)
                    await asyncio.sleep(PAUSE)
                small.append((begun, time.monotonic()))
                whole.append(message(len(whole)))
                begun = time.monotonic()
                await state.set("messages", whole)
                await asyncio.sleep(AFTERWARDS)
                large.append((begun, time.monotonic()))
                counting.append(await while_counting(folder / "counting.json"))
        daemon.stop()
    noted = read(report)
    blocked, usual = [latest(noted, each) for each in large], [latest(noted, each) for each in small]
    return [
        row(
            "event loop blocked while a whole list is set",
            [each.late for each in blocked],
            TARGET_MS,
            "ms",
            amount(size(whole)),
        ),
        row("  processor time of the daemon in that", [each.worked for each in blocked], None, "ms"),
        row("  the same while small values are set", [each.late for each in usual], None, "ms"),
        row("  the same in no daemon, while a thread counts", [each.late for each in counting], None, "ms"),
    ]


async def while_counting(report: Path) -> Late:
    """Give the latest heartbeat of a process in which a thread only counts, for as long as a large set takes."""
    process = subprocess.Popen((*HEARTBEAT, str(report)), stdin=subprocess.PIPE)
    await asyncio.sleep(STARTING + LARGE)
    await asyncio.to_thread(process.communicate)
    noted = read(report)
    return latest(noted, (noted[-1].due - LARGE, noted[-1].due) if noted else (0.0, 0.0))


def read(report: Path) -> list[Beat]:
    """Return what a heartbeat has noted."""
    return [Beat(*noted) for noted in json.loads(report.read_text())]


def latest(noted: list[Beat], during: tuple[float, float]) -> Late:
    """Give the latest heartbeat of those due in a time."""
    begun, ended = during
    within = [Late(beat.late * 1000, beat.worked * 1000) for beat in noted if begun <= beat.due <= ended]
    return max(within, default=Late(0.0, 0.0))


if __name__ == "__main__":
    alone(measure, __doc__)
