"""Work that nobody waits for, one piece after the other: images, the index of paths, retention.

It never holds up a commit: each piece works on what is immutable or durable, in threads, and writes in small transactions.
What fails here costs time and no data, so it is logged and tried again when there is a next reason to; unless the storage
has failed, for then the daemon must end.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

from lastgood_daemon.authority.replay import RewrittenError
from lastgood_daemon.store.protocol import CorruptRecordError, StoreBrokenError, StoreFullError

log = logging.getLogger(__name__)


class Background:
    """See the module."""

    def __init__(self, fail: Callable[[StoreBrokenError], None]) -> None:
        self._fail = fail
        self._jobs: dict[Hashable, Callable[[], Awaitable[object]]] = {}
        self._task: asyncio.Task[None] | None = None
        self.turn = asyncio.Lock()
        """Held by what is being done. Whoever else holds it has nothing done meanwhile."""

    def submit(self, key: Hashable, job: Callable[[], Awaitable[object]]) -> None:
        """Have something done, unless the same is waiting already."""
        self._jobs.setdefault(key, job)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def idle(self) -> None:
        """Wait until there is nothing to do."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Give up what is under way."""
        self._jobs.clear()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _work(self) -> None:
        while self._jobs:
            key = next(iter(self._jobs))
            job = self._jobs.pop(key)
            try:
                async with self.turn:
                    await job()
            except StoreFullError as error:
                log.warning("no room for work in the background; trying again later: %s", error)
            except RewrittenError:
                log.info("work in the background has met a log that was compacted; there is another reason soon")
            except CorruptRecordError as error:
                log.error("work in the background has met a damaged record: %s", error)  # noqa: TRY400 - expected
            except StoreBrokenError as error:
                self._jobs.clear()
                self._fail(error)
            except Exception:
                log.exception("work in the background failed: %s", key)
