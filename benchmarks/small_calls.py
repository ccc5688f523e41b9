"""A client that makes small calls on a state of its own: ``small_calls.py FOLDER FILE``, until its input ends.

Every ten milliseconds it sets or reads a key, whether or not the calls before have been answered, so that a daemon that is
silent for a second delays a hundred calls and not one. The state is that of a workflow which it holds by a lease of three
seconds; the client renews that in the background.

It prints a line once it is at work. The file gets ``{"calls": [[begun, seconds], …], "failed": […]}``, by the monotonic
clock.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import lastgood

PERIOD = 0.01
LEASE = 3.0
TIMEOUT = 60.0


class Caller:
    """Makes the calls, and notes how long each took and what failed."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, float]] = []
        self.failed: list[str] = []

    async def call_until(self, ended: asyncio.Event, client: lastgood.Client) -> None:
        """Hold the workflow and call; where the lease is lost, note that and claim again."""
        while not ended.is_set():
            try:
                async with client.workflow("neighbour", lease=LEASE, wait=True) as workflow:
                    await self.call_in(workflow.state, ended)
            except lastgood.LastgoodError as error:
                self.failed.append(repr(error))

    async def call_in(self, state: lastgood.SharedState, ended: asyncio.Event) -> None:
        """Begin a call each period, and let all of them end."""
        number = 0
        async with asyncio.TaskGroup() as group:
            while not ended.is_set():
                group.create_task(self.call(state, number))
                number += 1
                if number == 1 / PERIOD:
                    print("at work", flush=True)
                await asyncio.sleep(PERIOD)

    async def call(self, state: lastgood.SharedState, number: int) -> None:
        """Make one call."""
        begun = time.monotonic()
        try:
            await (state.set(f"key{number % 10}", number) if number % 2 else state.get(f"key{number % 10}"))
        except lastgood.LastgoodError as error:
            self.failed.append(repr(error))
        self.calls.append((begun, time.monotonic() - begun))


async def main(folder: Path) -> dict[str, object]:
    """Call until the input ends, and return what was noted."""
    caller, ended = Caller(), asyncio.Event()
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=TIMEOUT, agent_id="neighbour") as client:
        calling = asyncio.create_task(caller.call_until(ended, client))
        await asyncio.to_thread(sys.stdin.read)
        ended.set()
        await calling
    return {"calls": caller.calls, "failed": caller.failed}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
