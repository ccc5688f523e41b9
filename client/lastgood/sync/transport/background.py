"""The thread in the background, on which the event loop of all blocking clients of this process runs.

It begins with the first call. It ends when the interpreter does: after all threads but daemons have ended, and after what
the program has registered with ``atexit`` since it imported this.
"""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from lastgood.errors import ClientUnusableError
from lastgood.transport import forks
from lastgood.transport.place import refuse_green_threads

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

_LOOK_SECONDS = 0.5
"""How often a waiting thread looks whether somebody has pressed Ctrl-C just before it began to wait."""

_PARTING_SECONDS = 5.0
"""How long the end of the interpreter waits for the connections to be closed."""


class Background:
    """A thread with an event loop.

    Attributes:
        loop: its event loop.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._parting = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="lastgood.sync", daemon=True)
        self._thread.start()
        self._begun.wait()

    @property
    def is_here(self) -> bool:
        """Whether it is the calling thread."""
        return self._thread is threading.current_thread()

    def run(
        self, function: Callable[_Given, Coroutine[Any, Any, _Result]], *args: _Given.args, **options: _Given.kwargs
    ) -> _Result:
        """Run an async function there, and wait for what it gives. Whatever interrupts the waiting cancels it."""
        call = _Call(partial(function, *args, **options))
        try:
            self.loop.call_soon_threadsafe(call.begin)
            while not call.ended.acquire(timeout=_LOOK_SECONDS):
                pass
            return call.result()
        except BaseException:
            self._tell(call.give_up)
            if _Process.is_ending:
                raise _ending() from None
            raise
        finally:
            del call  # it may hold an exception, whose traceback holds this frame

    def start(self, function: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run an async function there, without waiting for it."""
        self._tell(_Call(function).begin)

    def end(self) -> None:
        """Cancel everything that runs there, and end it."""
        self.loop.call_soon_threadsafe(self._parting.set)
        self._thread.join(_PARTING_SECONDS)

    def _tell(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            self.loop.call_soon_threadsafe(function)

    def _serve(self) -> None:
        # Not debug, also where the program is run so: how long our callbacks take is no news to it.
        asyncio.run(self._wait_for_parting(), debug=False)

    async def _wait_for_parting(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._begun.set()
        await self._parting.wait()


class _Call(Generic[_Result]):
    """One run of an async function. It can be given up at any moment: Ctrl-C comes when it comes.

    Attributes:
        ended: a lock that is free when it has ended.
        result: gives or raises what came of it, then.
    """

    result: Callable[[], _Result]

    def __init__(self, function: Callable[[], Coroutine[Any, Any, _Result]]) -> None:
        self.ended = threading.Lock()
        self.ended.acquire()
        self._function = function
        self._task: asyncio.Task[_Result] | None = None
        self._is_given_up = False

    def begin(self) -> None:
        """Begin, on the loop."""
        if not self._is_given_up:
            self._task = asyncio.get_running_loop().create_task(self._function())
            self._task.add_done_callback(self._end)
            self.result = self._task.result

    def give_up(self) -> None:
        """Cancel it, on the loop."""
        self._is_given_up = True
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[_Result]) -> None:
        if not task.cancelled():
            task.exception()  # is looked at by whoever waits, and by nobody if they have gone
        self.ended.release()


class _Process:
    """What this process has of it."""

    lock = threading.RLock()  # the garbage collector may run anybody's code, also in a thread that has it
    background: Background | None = None
    is_ending = False


def background() -> Background:
    """The one of this process, begun when it is first asked for.

    Raises:
        ClientUnusableError: the interpreter is ending, or threads are not threads here.
    """
    if (present := _Process.background) is not None:
        return present
    with _Process.lock:
        if _Process.is_ending:
            raise _ending()
        if _Process.background is None:
            refuse_green_threads()
            forks.mark_used()  # a forked child does not have the thread
            _Process.background = Background()
        return _Process.background


def background_if_begun() -> Background | None:
    """The one of this process, if it has begun and can be used."""
    return None if forks.is_forked() else _Process.background


def _ending() -> ClientUnusableError:
    """What becomes of calls when the interpreter ends. A daemon thread, which ends with it, needs no traceback of that."""
    if threading.current_thread().daemon:
        threading.Event().wait(_PARTING_SECONDS)
    return ClientUnusableError("this client was closed: the interpreter is ending")


def _end() -> None:
    if forks.is_forked():
        return
    with _Process.lock:
        _Process.is_ending = True
        present, _Process.background = _Process.background, None
    if present is not None:
        present.end()


atexit.register(_end)
