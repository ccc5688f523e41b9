"""Many small changes, as many agents at a time make them."""

import asyncio
from collections.abc import Callable, Sequence

import lastgood

TASKS = 256


async def write(states: Sequence[lastgood.SharedState], count: int, path: Callable[[int], str]) -> None:
    """Set a small value so many times, going round the states; each set is a revision of its own."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await states[number % len(states)].set(path(number), number)

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(work())
