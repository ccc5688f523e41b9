"""How long hypothesis searches, how long slow tests may take, and how seldom garbage is looked for.

The default profile is quick and always does the same, so that a failure in CI is a failure here. ``HYPOTHESIS_PROFILE=long``
searches elsewhere each time, and for minutes: run it with ``pytest --timeout=0 tests/engine tests/contract``.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.chaos import sizes

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=100,
    print_blob=True,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "long", settings.get_profile("default"), derandomize=False, max_examples=3_000, stateful_step_count=80
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

SLOW_SECONDS = sizes.of(900, 7200)
"""Of a slow test, instead of ``timeout`` in pyproject.toml. It ends one that hangs, also where the machine is busy."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let slow tests take longer than others."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage seldom: to go through all tests and modules again and again took up to a fifth of the time."""
    gc.disable()
    found = yield
    gc.freeze()  # what is there now stays until the end
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    return found
