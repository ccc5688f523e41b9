"""The pulse: while a daemon lives, its store looks at the clocks.

And while somebody holds a workflow, how far time has come is written down now and then, even when nothing else is: a lease
whose holder is dead ends, however often the daemon is killed and started again.
"""

import asyncio
import logging
from collections.abc import Callable

from lastgood_daemon.store.protocol import Store, StoreBrokenError, StoreFullError

BEAT_SECONDS = 0.25
KEEP_SECONDS = 10.0
"""As long as what a start counts of the time since it was written down (``store.timeline.MOST_COUNTED``)."""

log = logging.getLogger(__name__)


async def beat(store: Store, is_held: Callable[[], bool], fail: Callable[[StoreBrokenError], None]) -> None:
    """Go on until cancelled. ``fail`` is told of a broken storage."""
    loop = asyncio.get_running_loop()
    kept = loop.time()
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        store.beat()
        if loop.time() - kept < KEEP_SECONDS:
            continue
        kept = loop.time()
        if not is_held():
            continue
        try:
            await store.keep_time()
        except StoreFullError as error:
            log.warning("how far time has come cannot be noted: %s", error)
        except StoreBrokenError as error:
            fail(error)
            return
