"""From a kill -9 to the first correct answer: a state of 11 MB, with a million changes in its log.

The time is from starting the process to the answer of a ``get``: Python's imports, opening the file with its WAL,
connecting, rebuilding the state from its image and the log since. The operating system still has the file in memory.
"""

import time
from pathlib import Path

from alone import alone
from changes import write, write_directly
from content import KEYS, MESSAGES, amount, large, messages, size
from daemon import Daemon
from row import Row, row

CHANGES = 1_000_000
QUICK = 50_000
KILLS = 5
BETWEEN = 10_000
"""Changes before each kill. An image of this state is due every 40,000 or so; so the kills find it new, old, and between."""
SECONDS = 2.0


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Write, and kill it again and again."""
    changes, content = QUICK if quick else CHANGES, large()
    with Daemon(folder) as daemon:
        async with daemon.connect() as client:
            await client.state("big", agent_id="bench").update(content)
        daemon.stop()
        await write_directly(daemon.database, "big", changes, path)  # a million calls take minutes
        daemon.start()
        took, worked = [], []
        for kill in range(3 if quick else KILLS):
            async with daemon.connect() as client:
                state = client.state("big", agent_id="bench")
                await write([state], BETWEEN, path)
                await state.set("map.k7", -kill)
            daemon.kill()
            begun = time.perf_counter()
            daemon.start()
            async with daemon.connect() as client:
                found = await client.state("big").get("map.k7")
                took.append(time.perf_counter() - begun)
                worked.append(daemon.worked())
                last = await client.state("big").get(f"list.{MESSAGES - 1}")
                if (found, last) != (-kill, messages()[-1]):
                    message = "what was acknowledged is not there"
                    raise RuntimeError(message)
        file = amount(daemon.database.stat().st_size)
        daemon.stop()
    what = f"a state of {amount(size(content))}, {changes:,} changes, a file of {file}"
    return [
        row("first correct get after kill -9", took, SECONDS, "s", what),
        row("  processor time of the daemon until then", worked, None, "s"),
    ]


def path(number: int) -> str:
    """Give one key after the other."""
    return f"map.k{number % (KEYS // 2) + KEYS // 2}"


if __name__ == "__main__":
    alone(measure, __doc__)
