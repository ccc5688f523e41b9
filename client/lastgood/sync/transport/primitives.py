"""What the layer above uses, where its async twin uses asyncio."""

import inspect
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from lastgood.errors import InvalidArgumentError
from lastgood.sync.transport.place import check_place

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

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


def check_function(function: object, field: str) -> None:
    """Raise InvalidArgumentError where something cannot be called, or gives nothing without an event loop."""
    if not callable(function):
        text = f"{field} must be a function, got {function!r}"
        raise InvalidArgumentError(text, field=field)
    if inspect.iscoroutinefunction(function):
        text = f"{field} is a plain function; for async ones there is the async client, lastgood"
        raise InvalidArgumentError(text, field=field)


def apply(function: Callable[..., _Result], *args: object) -> _Result:
    """Call a function, and give what it comes to."""
    result = function(*args)
    if inspect.iscoroutine(result):
        result.close()
        text = f"{function!r} is async; for such functions there is the async client, lastgood"
        raise InvalidArgumentError(text, field="function")
    return result


def waits_for_none(error: BaseException | None) -> bool:
    """Return False: there is nothing to be awaited here."""
    del error
    return False


def to_its_end(function: Callable[_Given, _Result], *args: _Given.args, **options: _Given.kwargs) -> _Result:
    """Call a function. Nothing but Ctrl-C ends it before its end."""
    return function(*args, **options)


class Interruption:
    """What cannot be done to a thread: nobody interrupts its work, so it meets the reason at its next call."""

    def make(self) -> None:
        """Leave the thread alone."""

    def take_back(self, error: BaseException | None) -> bool:
        """Tell that it is not the reason of anything."""
        del error
        return False
