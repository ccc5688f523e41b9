"""The store and the authority without threads: what they would do there is done at once, so that a seed repeats itself."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lastgood_daemon.store.sqlite import lane


class Inline(ThreadPoolExecutor):
    """Starts no thread, and does everything where it is asked to."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever asked gets it
            done.set_exception(error)
        return done


def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this event loop, and stores that are opened from now on, work like that."""
    asyncio.get_running_loop().set_default_executor(Inline())
    monkeypatch.setattr(lane, "ThreadPoolExecutor", Inline)
