"""Benchmarks, as ratios taken in one run: ``make bench``.

A machine's speed drifts, so nothing here is a time to compare with another day's. What is measured and what it is compared
with take turns, round after round, and the medians of both, and their ratio, are printed. The yardstick is an empty unary
grpc.aio call over a Unix socket: what any RPC costs in Python on this machine, with nothing behind it.

The database lies on a real disk (``--dir``, by default beside this file): a RAM disk has no fsync to wait for.
"""

import argparse
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

HERE = Path(__file__).parent
ROUNDS = 7
ALONE = 150
TOGETHER = 2000
TASKS = 64

Call = Callable[[], Awaitable[object]]


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


async def compare(name: str, ours: Call, yardstick: Call, count: int, tasks: int) -> None:
    """Let both take turns, and print medians and the ratio."""
    await per_second(ours, count // 4, tasks)
    await per_second(yardstick, count // 4, tasks)
    pairs = [(await per_second(ours, count, tasks), await per_second(yardstick, count, tasks)) for _ in range(ROUNDS)]
    mine = statistics.median(pair[0] for pair in pairs)
    other = statistics.median(pair[1] for pair in pairs)
    ratios = sorted(pair[0] / pair[1] for pair in pairs)
    print(
        f"{name:<44} {mine:>9,.0f}/s {1e6 / mine:>8,.0f} µs   echo {other:>7,.0f}/s   "
        f"× {statistics.median(ratios):.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})"
    )


async def main(directory: Path) -> None:
    """Run all of it against a daemon and an echo server of its own."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="bench-") as folder:
        socket = Path(tempfile.mkdtemp()) / "echo.sock"
        echo = subprocess.Popen([sys.executable, HERE / "echo_server.py", socket])
        try:
            async with (
                lastgood.connect(data_dir=folder, timeout=30) as client,
                aio.insecure_channel(f"unix:{socket}") as channel,
            ):
                method: Any = channel.unary_unary("/bench.Echo/Call")
                await method(b"", wait_for_ready=True, timeout=10)
                state = client.state("bench", agent_id="bench")
                numbers = iter(range(10**9))
                await run(state, lambda: state.set(f"key{next(numbers) % 100}", "a value"), lambda: method(b""))
        finally:
            echo.terminate()
            echo.wait()
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()


async def run(state: lastgood.SharedState, durable_set: Call, echo: Call) -> None:
    """Print the table."""
    print("durable: answered after the fsync. ×: calls a second over those of the echo, median (lowest – highest round)\n")
    await compare("durable set, one at a time", durable_set, echo, ALONE, 1)
    await compare(f"durable set, {TASKS} tasks of one process", durable_set, echo, TOGETHER, TASKS)
    await compare("get, one at a time", lambda: state.get("key1"), echo, ALONE, 1)
    await compare(f"get, {TASKS} tasks of one process", lambda: state.get("key1"), echo, TOGETHER, TASKS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=HERE, help="a folder on a real disk (default: beside this file)")
    asyncio.run(main(parser.parse_args().dir))
