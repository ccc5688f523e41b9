"""Fixtures of the tests that break things."""

from tests.support.fixtures import daemon, folder, own_surroundings, state_id

__all__ = ["daemon", "folder", "own_surroundings", "state_id"]
