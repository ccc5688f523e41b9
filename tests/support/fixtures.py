"""Fixtures of tests with real daemons. A conftest.py imports those that its folder uses."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import lastgood
from tests.support.daemons import DaemonProcess, end_autostarted

_HIDES = frozenset({
    "PYTHONUNBUFFERED",  # programs that print in the wrong order
    "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS",  # what users see without them
    "FORCE_COLOR", "NO_COLOR", "CLICOLOR", "COLUMNS", "LINES",  # what users see on a terminal of their own
    "XDG_RUNTIME_DIR",  # sockets beside the data folder
})  # fmt: skip
"""Variables of a shell or a container that many users do not have."""


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the daemon of the user who runs them, and from settings that hide faults."""
    for name in [name for name in os.environ if name.startswith("LASTGOOD_") or name in _HIDES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One real daemon for all tests of a worker; tests keep apart by the ids of their states."""
    process = DaemonProcess(tmp_path_factory.mktemp("daemon") / "data", forked=True).start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that a test may stop, kill and start again. It runs already."""
    process = DaemonProcess(tmp_path / "data", forked=True).start()
    yield process
    process.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder without a daemon; the one that a client starts there is ended."""
    path = tmp_path / "data"
    yield path
    end_autostarted(path)


@pytest.fixture
async def client(daemon: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    """A client of the daemon that all share."""
    async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


@pytest.fixture
def state_id() -> str:
    """An id that nobody else has."""
    return f"state-{uuid.uuid4().hex}"
