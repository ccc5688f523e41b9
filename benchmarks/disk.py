"""What 200 checkpoints of a list leave on disk that grows by one message and is set whole each time, as agents write.

What has to be kept is one message a checkpoint, and each of the 200 states can be restored.
"""

from pathlib import Path
from typing import Any

from alone import alone
from content import message, size
from daemon import Daemon
from row import Row, row

CHECKPOINTS = 200
MESSAGE_BYTES = 310
TIMES = 3
BESIDES = 256 * 1024


async def measure(folder: Path, *, quick: bool = False) -> list[Row]:
    """Write, end the daemon, and look at the file."""
    del quick  # it takes a second
    whole: list[dict[str, Any]] = []
    content_bytes = MESSAGE_BYTES - size(message(CHECKPOINTS, 256)) + 256
    with Daemon(folder) as daemon:
        async with daemon.connect() as client:
            state = client.state("thread", agent_id="bench")
            for step in range(CHECKPOINTS):
                whole.append(message(step, content_bytes))
                await state.set("messages", whole)
                await client.checkpoints.create_checkpoint("thread", step, "bench", "completed", state)
        daemon.stop()
    taken = sum(path.stat().st_size for path in (daemon.database, daemon.wal) if path.exists())
    final = size({"messages": whole})
    return [
        row(
            f"disk after a clean close, {CHECKPOINTS} checkpoints",
            [taken / 1024],
            (TIMES * final + BESIDES) / 1024,
            "KiB",
            f"the final state has {final / 1024:.0f} KiB; × {taken / final:.1f}",
        )
    ]


if __name__ == "__main__":
    alone(measure, __doc__)
