"""What the layer above uses, where its async twin uses asyncio."""

import threading
import time
from types import TracebackType

from lastgood.sync.transport.place import check_place

pause = time.sleep


class Lock:
    """A lock for ``with``. Where no calls can be made nobody waits for it either."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Wait until it is free, and take it."""
        check_place()
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let it go."""
        self._lock.release()
