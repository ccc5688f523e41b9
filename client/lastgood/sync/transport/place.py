"""Where a blocking call can be made, and where not."""

import asyncio
import sys

from lastgood.errors import ClientUnusableError
from lastgood.transport import forks
from lastgood.transport.place import runs_trio


def check_place() -> None:
    """Raise ClientUnusableError in a thread that runs an event loop, and in a forked child that cannot call.

    A call would block all that the loop has to do. In an IPython kernel one always runs, where nobody who types a call minds
    waiting for it.
    """
    forks.refuse_child()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if runs_trio():
            text = (
                "trio runs in this thread, and lastgood.sync would block it: call this in another (trio.to_thread.run_sync)"
            )
            raise ClientUnusableError(text, reason="CLIENT_IN_EVENT_LOOP") from None
        return
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if get_ipython is not None and hasattr(get_ipython(), "kernel"):
        return
    text = (
        "an event loop runs in this thread, and lastgood.sync would block it: use the async client, lastgood, which has the "
        "same names (and await its calls), or call this one in another thread (asyncio.to_thread)"
    )
    raise ClientUnusableError(text, reason="CLIENT_IN_EVENT_LOOP")
