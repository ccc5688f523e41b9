"""A process that is started without stdin, stdout or stderr works, and nothing that it opens gets their numbers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess
from tests.support.processes import environment
from tests.support.waiting import wait_until

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
def test_set(own_daemon: DaemonProcess, closed: str) -> None:
    line = f'exec "$0" -m lastgood set trip a 1 --data-dir "$1" {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable, own_daemon.folder], env=environment(), timeout=30, check=False)
    assert done.returncode == 0
    assert Command(own_daemon.folder).json("get", "trip", "a")["value"] == 1


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("module", ["lastgood", "lastgood_daemon"])
def test_serve(folder: Path, closed: str, module: str) -> None:
    line = f'exec "$0" -m {module} serve --data-dir "$1" {closed}'
    process = subprocess.Popen(["sh", "-c", line, sys.executable, folder], env=environment())
    try:
        wait_until((folder / "endpoint.json").exists, 30)
        for number in (0, 1, 2)[0 if "<" in closed else 2 :]:
            assert Path(f"/proc/{process.pid}/fd/{number}").readlink() == Path(os.devnull)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
