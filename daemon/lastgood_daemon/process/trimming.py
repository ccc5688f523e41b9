"""Giving memory back to the operating system.

What is freed goes back to the allocator. glibc's keeps much of it, also when none of it is needed for hours. Where there is
another one, nothing is done.
"""

import asyncio
import ctypes
from collections.abc import Callable

TRIM_SECONDS = 10.0
"""Between two looks; nothing is done where nothing has happened since the last one."""


async def keep_trimming(activity: Callable[[], object], drop_idle: Callable[[], bool]) -> None:
    """Give back what is free, again and again while something goes on.

    Args:
        activity: returns another value when something does.
        drop_idle: frees, soon, what was not used for a while; returns whether there was any.
    """
    trim = _trimmer()
    seen = None
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        now = activity()
        if now != seen and trim is not None:
            seen = now
            await asyncio.to_thread(trim, 0)
        if drop_idle():
            seen = None


def _trimmer() -> Callable[[int], object] | None:
    found: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
