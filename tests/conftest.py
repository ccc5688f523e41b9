"""How long hypothesis searches, and how seldom garbage is looked for.

The default profile is quick and always does the same, so that a failure in CI is a failure here. ``HYPOTHESIS_PROFILE=long``
searches elsewhere each time, and for minutes: run it with ``pytest --timeout=0 tests/engine tests/contract``.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage seldom: to go through all tests and modules again and again took up to a fifth of the time."""
    gc.disable()
    found = yield
    gc.freeze()  # what is there now stays until the end
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    return found
