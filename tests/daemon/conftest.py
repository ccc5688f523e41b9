"""Fixtures of the tests of the daemon."""

from tests.support.fixtures import client, daemon, folder, own_daemon, own_surroundings, state_id

__all__ = ["client", "daemon", "folder", "own_daemon", "own_surroundings", "state_id"]
