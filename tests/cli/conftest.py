"""Fixtures of the tests of the command."""

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess
from tests.support.fixtures import client, daemon, folder, own_daemon, own_surroundings, state_id

__all__ = ["client", "command", "daemon", "folder", "own_daemon", "own_surroundings", "state_id"]


@pytest.fixture
def command(daemon: DaemonProcess) -> Command:
    """The command, about the daemon that all share."""
    return Command(daemon.folder)
