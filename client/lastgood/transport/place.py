"""Where calls can be made, and where not: refused before any I/O, since there they would wait forever."""

import asyncio
import sys

from lastgood.errors import ClientUnusableError
from lastgood.transport import forks


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop that runs in this thread.

    Raises:
        ClientUnusableError: this process was forked from one that was connected, or no event loop of asyncio runs here.
    """
    forks.refuse_child()  # before the loop of the parent, which does not run here, is missed
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        what = "trio runs" if runs_trio() else "no event loop runs"
    text = (
        f"the async client needs asyncio, and {what} in this thread: call it from a coroutine that asyncio runs "
        "(asyncio.run, anyio.run with backend='asyncio'), or use lastgood.sync, under trio by trio.to_thread.run_sync"
    )
    raise ClientUnusableError(text, reason="CLIENT_WITHOUT_ASYNCIO")


def runs_trio() -> bool:
    """Whether trio runs in this thread."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def refuse_green_threads() -> None:
    """Raise ClientUnusableError where threads are not threads: grpc's own wait for locks that are never let go."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        name, instead = "gevent", "gevent.monkey.patch_all(thread=False)"
    elif eventlet is not None and eventlet.is_monkey_patched("thread"):
        name, instead = "eventlet", "eventlet.monkey_patch(thread=False)"
    else:
        return
    text = (
        f"{name} has replaced the threads of this process, where a call of lastgood would wait forever: patch without them "
        f"({instead}) and start the daemon with lastgood serve, use a server with real threads (gunicorn --worker-class "
        "gthread), or call lastgood in another process"
    )
    raise ClientUnusableError(text, reason="CLIENT_GREEN_THREADS")
