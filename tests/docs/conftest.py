"""Fixtures of the tests of the documentation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess, end_autostarted
from tests.support.fixtures import own_daemon, own_surroundings

__all__ = ["own_daemon", "own_surroundings", "place"]


@pytest.fixture
def place(tmp_path: Path, own_daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with a daemon that is the default one; daemons started beneath it are ended."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(own_daemon.folder))
    yield folder
    for endpoint in folder.rglob("endpoint.json"):
        end_autostarted(endpoint.parent)
