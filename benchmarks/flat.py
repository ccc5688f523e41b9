"""Small work in a state of 11 MB over the same in a state of 1 KB: what it costs must not follow how big the state is.

Both states lie in one daemon, and the calls take turns one by one, so that whatever else the machine does meets both.
"""

import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import lastgood
from alone import alone
from content import amount, large, message, size, small
from daemon import Daemon
from row import Row, row

TARGET = 1.5
ROUNDS = 9
CALLS = 60
WARM_UP = 20

Work = Callable[[lastgood.SharedState], Awaitable[float]]
"""Does something once, and gives how many seconds that took."""

_numbers = itertools.count(1_000_000)


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Compare the two states."""
    with Daemon(folder) as daemon:
        async with daemon.connect() as client:
            big, little = client.state("big", agent_id="bench"), client.state("little", agent_id="bench")
            sizes = []
            for state, content in ((big, large()), (little, small())):
                await state.update(content)
                sizes.append(amount(size(content)))
            rows = [await compare(name, work, big, little, 3 if quick else ROUNDS) for name, work in WORKS.items()]
        daemon.stop()
    return [each._replace(name=f"{each.name}: {' / '.join(sizes)}") for each in rows]


async def compare(name: str, work: Work, big: lastgood.SharedState, little: lastgood.SharedState, rounds: int) -> Row:
    """Have both take turns."""
    await medians(work, big, little, WARM_UP)
    pairs = [await medians(work, big, little, CALLS) for _ in range(rounds)]
    typical = [statistics.median(pair[index] for pair in pairs) * 1e6 for index in (0, 1)]
    return row(name, [a / b for a, b in pairs], TARGET, what=f"{typical[0]:.0f} / {typical[1]:.0f} µs a call")


async def medians(work: Work, big: lastgood.SharedState, little: lastgood.SharedState, calls: int) -> tuple[float, float]:
    """Give the median seconds of each."""
    pairs = [(await work(big), await work(little)) for _ in range(calls)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


async def set_key(state: lastgood.SharedState) -> float:
    """Set one key of the map."""
    number = next(_numbers)
    return await took(state.set("map.k5", number))


async def append(state: lastgood.SharedState) -> float:
    """Append a message to the list."""
    number = next(_numbers)
    return await took(state.append("list", message(number)))


async def get_key(state: lastgood.SharedState) -> float:
    """Get one key of the map."""
    return await took(state.get("map.k5"))


async def snapshot(state: lastgood.SharedState) -> float:
    """Take a snapshot."""
    return await took(state.snapshot())


async def restore(state: lastgood.SharedState) -> float:
    """Take the last small change back."""
    before = await state.revision()
    await state.set("map.k5", next(_numbers))
    return await took(state.restore(before))


async def took(call: Awaitable[object]) -> float:
    """Give the seconds of a call."""
    begun = time.perf_counter()
    await call
    return time.perf_counter() - begun


WORKS: dict[str, Work] = {
    "set": set_key,
    "append": append,
    "get": get_key,
    "snapshot": snapshot,
    "near restore": restore,
}

if __name__ == "__main__":
    alone(measure, __doc__)
