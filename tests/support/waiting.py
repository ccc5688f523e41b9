"""Waiting for what is to come about, never for time to pass: each gives up with a clear word, so every test is bounded."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.005
_ASK_SECONDS = 0.05

T = TypeVar("T")


async def until(predicate: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
    """Wait until the predicate holds, and give what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := predicate()):
        _check(deadline, predicate, seconds)
        await asyncio.sleep(_POLL_SECONDS)
    return found


async def until_told(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Ask until what is told holds, and give that. Seldom enough that whoever is asked gets on with the work."""
    async with asyncio.timeout(WAIT_SECONDS):
        told = await ask()
        while not holds(told):
            await asyncio.sleep(_ASK_SECONDS)
            told = await ask()
    return told


def wait_until(predicate: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
    """Wait, and block the thread meanwhile, until the predicate holds, and give what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := predicate()):
        _check(deadline, predicate, seconds)
        time.sleep(_POLL_SECONDS)
    return found


def _check(deadline: float, predicate: Callable[[], object], seconds: float) -> None:
    if time.monotonic() > deadline:
        message = f"after {seconds:g} s still not: {getattr(predicate, '__qualname__', predicate)}"
        raise TimeoutError(message)
