"""How long hypothesis searches.

The default is quick and always does the same, so that a failure in CI is a failure here. ``HYPOTHESIS_PROFILE=long``
searches elsewhere each time, and for minutes: run it with ``pytest --timeout=0 tests/engine tests/contract``.
"""

import os

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
