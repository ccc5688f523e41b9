"""Time that never goes backwards."""

import time


class Clock:
    """Microseconds since 1970-01-01 UTC; stands still while the machine's clock is set back."""

    def __init__(self, latest: int) -> None:
        """Start no earlier than ``latest``."""
        self._latest = latest

    def now(self) -> int:
        """The time. To be called from one thread."""
        self._latest = max(self._latest, time.time_ns() // 1000)
        return self._latest
