"""Fixtures of the tests that break things."""

from tests.support.fixtures import folder, own_surroundings

__all__ = ["folder", "own_surroundings"]
