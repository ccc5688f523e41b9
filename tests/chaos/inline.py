"""The store without its threads: what it would do there is done at once, so that a seed gives the same run each time."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from lastgood_daemon.store.sqlite import lane


class Inline(Executor):
    """Does everything where it is asked to."""

    def __init__(self, *_: object) -> None:
        """Ask for no threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever asked gets it
            done.set_exception(error)
        return done


def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores that are opened from now on work like that."""
    monkeypatch.setattr(lane, "ThreadPoolExecutor", Inline)
