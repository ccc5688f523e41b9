"""Fixtures of the tests of connecting."""

from tests.support.fixtures import client, daemon, folder, own_daemon, own_surroundings, state_id

__all__ = ["client", "daemon", "folder", "own_daemon", "own_surroundings", "state_id"]
