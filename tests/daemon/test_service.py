"""The daemon as a service: what it tells its manager, and the units."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood

UNITS = Path(__file__).parents[2] / "systemd"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def told(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


async def test_it_says_when_it_is_ready_and_when_it_stops(tmp_path: Path, manager: socket.socket) -> None:
    daemon = DaemonProcess(tmp_path / "data", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    daemon.spawn()
    try:
        ready = told(manager)
        assert ready[0] == "READY=1"
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=1.0) as client:
            assert ready[1] == f"STATUS=serving {(await client.server_info()).address}"
        assert daemon.stop() == 0
        assert told(manager)[0] == "STOPPING=1"
    finally:
        daemon.close()


async def test_a_folder_that_a_service_has_had_is_never_autostarted(tmp_path: Path, manager: socket.socket) -> None:
    daemon = DaemonProcess(tmp_path / "data", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    daemon.spawn()
    told(manager)
    assert daemon.stop() == 0
    with pytest.raises(lastgood.DaemonUnavailableError, match="service"):
        await lastgood.connect(data_dir=daemon.folder, timeout=0.5)
    assert not (daemon.folder / "endpoint.json").exists()


@pytest.mark.parametrize("unit", ["lastgood.service", "user/lastgood.service"])
def test_the_units_are_valid(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze, of the package systemd")
    program = tmp_path / "lastgood"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / "lastgood.service"
    copy.write_text((UNITS / unit).read_text().replace("/usr/bin/lastgood", str(program)))
    manager = ["--user"] if unit.startswith("user/") else []
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    found = subprocess.run(
        [analyze, "verify", "--man=no", *manager, str(copy)], capture_output=True, text=True, env=environment, check=False
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
