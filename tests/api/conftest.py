"""Fixtures of the tests of the API; a second daemon, for what crosses from one to another."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.fixtures import client, daemon, folder, own_daemon, own_surroundings, state_id

import lastgood

__all__ = [
    "alone",
    "client",
    "daemon",
    "elsewhere",
    "folder",
    "other_daemon",
    "own_daemon",
    "own_surroundings",
    "second_client",
    "state",
    "state_id",
    "wf",
    "workflow",
]


@pytest.fixture
def state(client: lastgood.Client, state_id: str) -> lastgood.SharedState:
    """A state that nobody has written."""
    return client.state(state_id, agent_id="tester")


@pytest.fixture(scope="session")
def other_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """Another real daemon, with a folder of its own."""
    process = DaemonProcess(tmp_path_factory.mktemp("other") / "data", forked=True).start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
async def elsewhere(other_daemon: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    """A client of that other daemon."""
    async with lastgood.connect(data_dir=other_daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


@pytest.fixture
async def second_client(daemon: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    """Another client of the usual daemon, as another process would have."""
    async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


@pytest.fixture
async def alone(own_daemon: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    """A client of a daemon that no other test uses."""
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


@pytest.fixture
def wf(state_id: str) -> str:
    """The id of a workflow that nobody has begun."""
    return state_id


@pytest.fixture
async def workflow(client: lastgood.Client, wf: str) -> lastgood.ResumableWorkflow:
    """An attempt at it, without a lease, so that another may begin."""
    made = client.workflow(wf)
    await made.try_resume()
    return made
