"""A daemon whose clock on the wall is set by a test: a forked one, in which ``time.time_ns`` is as a file says."""

import time
from pathlib import Path

_real = time.time_ns


class WallClock:
    """The clock on the wall of a daemon, ahead by what it is set to (seconds). Called in the daemon, before it serves."""

    def __init__(self, path: Path, ahead: float = 0.0) -> None:
        self._path = path
        self.set(ahead)

    def set(self, ahead: float) -> None:
        """Set it, also while the daemon runs."""
        new = self._path.with_suffix(".new")
        new.write_text(str(int(ahead * 1e9)))
        new.rename(self._path)

    def __call__(self) -> None:
        path = self._path
        time.time_ns = lambda: _real() + int(path.read_text())
