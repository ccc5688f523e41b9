"""A daemon that notes how late its event loop is: ``heartbeat.py FILE FLAGS``, with the flags of ``lastgood serve``.

Without flags it is no daemon: its event loop has nothing to do, and a thread beside it only counts, until its input ends.
How late that one is, is what the machine and the interpreter come to, whatever a daemon does.

A timer of one millisecond runs on the loop. It comes late by as long as something else held the loop: a callback, a thread
that did not let go of the interpreter, or the machine, which gave the processor to another thread. Nothing is subtracted.
But beside it stands how long the loop's thread was ready and waited for a processor, as the kernel counts it, which tells
the last from the others; and the processor time of the process and of the loop's thread, which tells a callback from other
threads.

When the daemon ends, the file gets a list of [when it was due, seconds late, seconds waited for a processor, processor
seconds, those of the loop], by the monotonic clock.
"""

import asyncio
import json
import os
import sys
import threading
import time
from array import array
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lastgood_daemon.process.config import Config, configured
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.serve import SWITCH_SECONDS, serve

PERIOD = 0.001
LATE = 0.0005


class Clocks(NamedTuple):
    """What the loop's thread reads at a time; in seconds."""

    now: float
    waited: float
    """For a processor, being ready to run."""
    worked: float
    """Processor time of the process."""
    own: float
    """Processor time of this thread."""

    @classmethod
    def read(cls) -> "Clocks":
        """Read them."""
        waited = int(os.pread(_schedule(), 100, 0).split()[1]) / 1e9
        return cls(time.monotonic(), waited, time.process_time(), time.thread_time())


@cache
def _schedule() -> int:
    return os.open("/proc/thread-self/schedstat", os.O_RDONLY)


class Heartbeat:
    """The timer, and what it has noted."""

    def __init__(self) -> None:
        # One block of memory: small objects, noted while a large call runs, would keep all from being given back in which
        # they lie, and so count as memory that the daemon holds.
        self._late = array("d")
        self._due = 0.0
        self._before = Clocks(0.0, 0.0, 0.0, 0.0)

    def late(self) -> list[list[float]]:
        """Return what was noted."""
        width = 5
        return [self._late[begin : begin + width].tolist() for begin in range(0, len(self._late), width)]

    async def serve(self, config: Config, folder: DataFolder) -> int:
        """Serve, with the timer on the same loop."""
        self.start()
        return await serve(config, folder)

    def start(self) -> None:
        """Begin to note, on the loop that runs."""
        self._before = Clocks.read()
        self._due = self._before.now
        self.beat()

    def beat(self) -> None:
        """Note how late it is, and ask for the next."""
        at, before = Clocks.read(), self._before
        if at.now - self._due > LATE:
            passed = (at.waited - before.waited, at.worked - before.worked, at.own - before.own)
            self._late.extend((self._due, at.now - self._due, *passed))
        self._due, self._before = at.now + PERIOD, at
        asyncio.get_running_loop().call_later(PERIOD, self.beat)


def main(file: Path, flags: list[str]) -> int:
    """Be a daemon, or nothing; gives the exit status."""
    heartbeat = Heartbeat()
    status = daemon(heartbeat, flags) if flags else asyncio.run(count(heartbeat))
    file.write_text(json.dumps(heartbeat.late()))
    return status


def daemon(heartbeat: Heartbeat, flags: list[str]) -> int:
    """Be a daemon."""
    config = configured(flags)
    with DataFolder(config.data_dir) as folder:
        return asyncio.run(heartbeat.serve(config, folder))


async def count(heartbeat: Heartbeat) -> int:
    """Have a thread count."""
    sys.setswitchinterval(SWITCH_SECONDS)
    ended = threading.Event()

    def counting() -> None:
        number = 0
        while not ended.is_set():
            number += 1

    counter = asyncio.create_task(asyncio.to_thread(counting))
    heartbeat.start()
    await asyncio.to_thread(sys.stdin.read)
    ended.set()
    await counter
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
