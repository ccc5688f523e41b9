"""The hashes of long values are worked out away from the event loop, and found again by the bytes."""

import pytest

from lastgood_daemon.authority.digests import Digests
from lastgood_daemon.engine.labour import LabourError, working
from lastgood_daemon.engine.stored_value import digest_of

LONG = b"\xc6\x00\x20\x00\x00" + bytes(2 * 1024 * 1024)


def test_a_short_value_is_hashed_at_once() -> None:
    assert Digests().of(b"\xa1a") == digest_of(b"\xa1a")


def test_a_long_value_is_left_to_a_thread_and_then_known() -> None:
    digests = Digests()
    with pytest.raises(LabourError) as labour:
        digests.of(LONG)
    labour.value.work()
    assert digests.of(LONG) == digests.of(LONG) == digest_of(LONG)


def test_others_are_not_taken_for_it() -> None:
    digests = Digests()
    with pytest.raises(LabourError) as labour:
        digests.of(LONG)
    labour.value.work()
    with pytest.raises(LabourError):
        digests.of(LONG + b"x")
    digests.clear()
    with pytest.raises(LabourError):
        digests.of(LONG)


def test_a_thread_hashes_at_once() -> None:
    assert working(lambda: Digests().of(LONG)) == digest_of(LONG)
