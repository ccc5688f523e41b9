"""The last ten changes of a key, in a log of a million revisions over one of 5,000: what an index should make the same.

Both logs lie in one file and are asked for through one daemon, in turns. The revisions go round the same keys in both, so
that what is found is alike.
"""

import time
from pathlib import Path

import lastgood
from alone import alone
from changes import write_directly
from daemon import Daemon
from row import Row, row

SHORT = 5_000
LONG = 1_000_000
QUICK = 50_000
KEYS = 500
ROUNDS = 9
CALLS = 20
LISTED = 10
TARGET = 2.0


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Write both logs, and compare them."""
    revisions = QUICK if quick else LONG
    with Daemon(folder) as daemon:
        async with daemon.connect() as client:
            await client.server_info()
        daemon.stop()
        await write_directly(daemon.database, "short", SHORT, path)  # a million calls take minutes
        await write_directly(daemon.database, "long", revisions, path)
        daemon.start()
        async with daemon.connect() as client:
            short, long = client.state("short"), client.state("long")
            await seconds(short, 0)
            await seconds(long, 0)
            pairs = [(await seconds(long, number), await seconds(short, number)) for number in range(ROUNDS)]
        daemon.stop()
    what = f"a log of {revisions:,} over one of {SHORT:,}"
    return [
        row("last ten changes of a key", [a / b for a, b in pairs], TARGET, what=what),
        row("  in the long log, a call", [a * 1000 for a, _ in pairs], None, "ms"),
    ]


async def seconds(state: lastgood.SharedState, number: int) -> float:
    """Give how long a call takes."""
    begun = time.perf_counter()
    for call in range(CALLS):
        found = await state.get_history(path(number * CALLS + call), limit=LISTED, newest_first=True)
        if len(found) != LISTED:
            message = "the history has less than is there"
            raise RuntimeError(message)
    return (time.perf_counter() - begun) / CALLS


def path(number: int) -> str:
    """Give one key after the other."""
    return f"keys.k{number % KEYS}.value"


if __name__ == "__main__":
    alone(measure, __doc__)
