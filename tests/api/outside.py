"""What effects change in the tests of them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lastgood import ResumableWorkflow, Step


class Outside:
    """What an effect changes; it counts how often, and remembers the keys it was given."""

    def __init__(self, *results: object) -> None:
        self.calls: list[tuple[object, ...]] = []
        self._results = list(results)

    async def __call__(self, *given: object) -> Any:  # noqa: ANN401 - what the test wants
        self.calls.append(given)
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if isinstance(result, BaseException):
            raise result
        return result


async def failing(workflow: ResumableWorkflow, work: Callable[[Step], Awaitable[object]], number: int = 0) -> None:
    """Do a step that fails after its work."""

    async def fail(step: Step) -> None:
        await work(step)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await workflow.step(number, "a").run(fail)
