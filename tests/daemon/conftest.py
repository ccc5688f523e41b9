"""Fixtures of the tests of the daemon."""

from collections.abc import AsyncIterator

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.fixtures import client, daemon, folder, own_daemon, own_surroundings, state_id
from tests.support.grpcurl import Grpcurl

__all__ = ["call", "client", "daemon", "folder", "own_daemon", "own_surroundings", "state_id"]


@pytest.fixture
async def call(daemon: DaemonProcess) -> AsyncIterator[Grpcurl]:
    """Makes unary calls of the usual daemon."""
    grpcurl = Grpcurl(daemon.address)
    yield grpcurl
    await grpcurl.close()
