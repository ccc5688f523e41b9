"""The store and the authority without threads: what they would do there is done at once, so that a seed repeats itself."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lastgood_daemon.store.sqlite import lane


class Inline(ThreadPoolExecutor):
    """Starts no thread, and does everything where it is asked to. The event loop hears of it in its next round."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # noqa: ANN401
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        try:
            loop.call_soon(_tell, done.set_result, done, fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever asked gets it
            loop.call_soon(_tell, done.set_exception, done, error)
        return done


def _tell(how: Callable[[Any], None], done: asyncio.Future[Any], what: object) -> None:
    if not done.done():  # whoever asked may have been cancelled
        how(what)
        done.exception()  # seen: there are those who do not ask


def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this event loop, and stores that are opened from now on, work like that."""
    asyncio.get_running_loop().set_default_executor(Inline())
    monkeypatch.setattr(lane, "ThreadPoolExecutor", Inline)
