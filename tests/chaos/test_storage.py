"""Storage under the model, for longer; the short form is ``tests/authority/test_storage_model.py``."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.authority.storage import StorageMachine
from tests.chaos import sizes

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not sizes.LONG, reason="the short form is in tests/authority/test_storage_model.py")
@pytest.mark.timeout(0)
def test_what_is_kept_reads_as_before() -> None:
    run_state_machine_as_test(
        StorageMachine, settings=settings(max_examples=2_000, stateful_step_count=80, derandomize=False, database=None)
    )
