"""What the layer above needs of asyncio. The sync twin has its own."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from lastgood.errors import InvalidArgumentError

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

AsyncLock = asyncio.Lock
pause = asyncio.sleep


def check_function(function: object, field: str) -> None:
    """Raise InvalidArgumentError where something cannot be called."""
    if not callable(function):
        text = f"{field} must be a function, got {function!r}"
        raise InvalidArgumentError(text, field=field)


async def apply(function: Callable[..., Awaitable[_Result] | _Result], *args: object) -> _Result:
    """Call a function, async or plain, and give what it comes to."""
    given: Any = function(*args)
    result: _Result = await given if inspect.isawaitable(given) else given
    return result


def waits_for_none(error: BaseException | None) -> bool:
    """Whether an error is that of ``await`` on what a plain call returned: None."""
    text = str(error)
    return isinstance(error, TypeError) and "NoneType" in text and "await" in text


async def to_its_end(
    function: Callable[_Given, Coroutine[Any, Any, _Result]], *args: _Given.args, **options: _Given.kwargs
) -> _Result:
    """Run an async function to its end, also where this task is cancelled meanwhile, which is told after that."""
    task = asyncio.create_task(function(*args, **options))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # is told to nobody: the cancellation is
    raise cancelled


class Interruption:
    """Cancels the task that makes this object, in a way that can be taken back, as a time limit does."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        self._made = False

    def make(self) -> None:
        """Cancel the task."""
        if self._task is not None and not self._task.done():
            self._made = True
            self._task.cancel()

    async def take_back(self, error: BaseException | None) -> bool:
        """Tell whether it is the reason of what has ended the task's work, and let the task go on if it is.

        Raises:
            CancelledError: the task was cancelled by somebody else as well, and has not heard of it.
        """
        if not self._made or self._task is None or self._task is not asyncio.current_task():
            return False
        self._made = False
        if isinstance(error, asyncio.CancelledError):
            return self._task.uncancel() <= self._cancelling
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # a cancellation that came too late to be noticed would end the next wait
        if self._task.uncancel() > self._cancelling:
            raise asyncio.CancelledError
        return False
