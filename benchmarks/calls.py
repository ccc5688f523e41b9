"""Calls a second, over those of an empty call.

The yardstick is an empty unary grpc.aio call over a Unix socket: what any RPC costs in Python on this machine, with nothing
behind it. Here more is better, and there is no target: it tells what a machine can do.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grpc import aio

import lastgood
from alone import HERE, alone
from daemon import Daemon
from row import Row, row

ROUNDS = 7
ALONE = 150
TOGETHER = 2000
TASKS = 64

Call = Callable[[], Awaitable[object]]


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Measure against an echo server."""
    socket = Path(tempfile.mkdtemp()) / "echo.sock"
    echo = subprocess.Popen([sys.executable, HERE / "echo_server.py", socket])
    try:
        with Daemon(folder) as daemon:
            async with daemon.connect() as client, aio.insecure_channel(f"unix:{socket}") as channel:
                method: Any = channel.unary_unary("/bench.Echo/Call")
                await method(b"", wait_for_ready=True, timeout=10)
                state = client.state("bench", agent_id="bench")
                rows = await compare_all(state, lambda: method(b""), 3 if quick else ROUNDS)
            daemon.stop()
    finally:
        echo.terminate()
        echo.wait()
        socket.unlink(missing_ok=True)
        socket.parent.rmdir()
    return rows


async def compare_all(state: lastgood.SharedState, echo: Call, rounds: int) -> list[Row]:
    """Compare writes and reads, alone and together."""
    numbers = iter(range(10**9))

    async def durable_set() -> object:
        return await state.set(f"key{next(numbers) % 100}", "a value")

    async def get() -> object:
        return await state.get("key1")

    return [
        await compare(f"{name}, {how}", call, echo, count, tasks, rounds)
        for name, call in (("durable set", durable_set), ("get", get))
        for how, count, tasks in (("one at a time", ALONE, 1), (f"{TASKS} tasks of one process", TOGETHER, TASKS))
    ]


async def compare(name: str, ours: Call, yardstick: Call, count: int, tasks: int, rounds: int) -> Row:
    """Let both take turns."""
    await per_second(ours, count // 4, tasks)
    await per_second(yardstick, count // 4, tasks)
    pairs = [(await per_second(ours, count, tasks), await per_second(yardstick, count, tasks)) for _ in range(rounds)]
    mine, other = (statistics.median(pair[index] for pair in pairs) for index in (0, 1))
    what = f"{mine:,.0f}/s, {1e6 / mine:,.0f} µs; echo {other:,.0f}/s"
    return row(name, [a / b for a, b in pairs], None, what=what)


async def per_second(call: Call, count: int, tasks: int) -> float:
    """Make so many calls from so many tasks; calls a second."""
    left = count

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    alone(measure, __doc__)
