"""Fixtures of the tests of the blocking client."""

from collections.abc import Iterator

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.fixtures import daemon, folder, own_daemon, own_surroundings, state_id

from lastgood.sync import Client, SharedState, connect

__all__ = ["client", "daemon", "folder", "own_daemon", "own_surroundings", "state", "state_id"]


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    """A blocking client of the daemon that all share."""
    with connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


@pytest.fixture
def state(client: Client, state_id: str) -> SharedState:
    """A state that nobody has written."""
    return client.state(state_id, agent_id="tester")
