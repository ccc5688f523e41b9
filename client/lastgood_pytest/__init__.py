"""The pytest plugin: the fixtures of ``lastgood.testing``, found in every pytest run of an environment that has lastgood.

A package of its own that imports nothing of lastgood until a test asks for a fixture: whoever does not use it does not pay.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lastgood import Client
    from lastgood.testing import ThrowAwayDaemon


@pytest.fixture
def lastgood_daemon() -> "Iterator[ThrowAwayDaemon]":
    """A daemon for this test alone."""
    from lastgood.testing import throw_away_daemon  # noqa: PLC0415 - see the module

    with throw_away_daemon() as daemon:
        yield daemon


@pytest.fixture
def lastgood_client(lastgood_daemon: "ThrowAwayDaemon") -> "Client":
    """An async client of a daemon for this test alone."""
    return lastgood_daemon.connect()
