"""``main``, imported in the least time: a daemon is started while a client waits for it."""

import gc
import sys

# Nothing of what is imported is garbage, and looking for it is a sixth of the start. ``serve`` enables it again.
gc.disable()

# structlog imports rich for tracebacks on a terminal, a tenth of the start; None is Python's word for "not installed".
if not sys.stderr.isatty():
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

from lastgood_daemon.process.main import main  # noqa: E402 - only now

__all__ = ["main"]
