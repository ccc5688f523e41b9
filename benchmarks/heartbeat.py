"""A daemon that notes how late its event loop is: ``heartbeat.py FILE FLAGS``, with the flags of ``lastgood serve``.

Without flags it is no daemon: its event loop has nothing to do, and a thread beside it only counts, until its input ends.
How late that one is, is what the machine and the interpreter come to, whatever a daemon does.

A timer of one millisecond runs on the loop. It comes late by as long as something else held the loop: a callback, a thread
that did not let go of the interpreter, or the machine, which gave the processor to somebody else. Nothing is subtracted; but
the processor time that the process has taken meanwhile stands beside it, and tells the last from the others; and what of
that the loop's own thread has taken, which tells a callback from other threads.

The file gets a list of [when it was due, seconds late, processor seconds, those of the loop], by the monotonic clock, when
the daemon ends.
"""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from lastgood_daemon.process.config import Config, configured
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.serve import SWITCH_SECONDS, serve

PERIOD = 0.001
LATE = 0.0005


class Heartbeat:
    """The timer, and what it has noted."""

    def __init__(self) -> None:
        self.late: list[tuple[float, float, float, float]] = []
        self._due = self._worked = self._own = 0.0

    async def serve(self, config: Config, folder: DataFolder) -> int:
        """Serve, with the timer on the same loop."""
        self.start()
        return await serve(config, folder)

    def start(self) -> None:
        """Begin to note, on the loop that runs."""
        self._due, self._worked, self._own = time.monotonic(), time.process_time(), time.thread_time()
        self.beat()

    def beat(self) -> None:
        """Note how late it is, and ask for the next."""
        now, worked, own = time.monotonic(), time.process_time(), time.thread_time()
        if now - self._due > LATE:
            self.late.append((self._due, now - self._due, worked - self._worked, own - self._own))
        self._due, self._worked, self._own = now + PERIOD, worked, own
        asyncio.get_running_loop().call_later(PERIOD, self.beat)


def main(file: Path, flags: list[str]) -> int:
    """Be a daemon, or nothing; gives the exit status."""
    heartbeat = Heartbeat()
    status = daemon(heartbeat, flags) if flags else asyncio.run(count(heartbeat))
    file.write_text(json.dumps(heartbeat.late))
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
