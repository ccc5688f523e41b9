"""Real daemon processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.support.forked import ForkedProcess
from tests.support.processes import is_alive
from tests.support.waiting import wait_until

START_SECONDS = 30.0
STOP_SECONDS = 30.0
_NOT_INHERITED = ("LASTGOOD_", "GRPC_")  # the client, imported here, has set one of them


class DaemonProcess:
    """A daemon of one folder, as `lastgood serve` runs it; started again after a kill as often as wanted."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        wrapper: Sequence[str] = (),
        forked: bool = False,
        mutant: Callable[[], None] | None = None,
    ) -> None:
        """Say how it is to run.

        ``wrapper`` is a command that runs it, and stays its parent. ``forked``: not by a command, which is quicker where the
        start is not what is tested. ``mutant``, of a forked one: breaks something in the process before it serves.
        """
        self.folder = folder
        self._arguments = arguments
        self._environment = environment
        self._wrapper = wrapper
        self._forked = forked
        self._mutant = mutant
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self.log = folder.with_name(f"{folder.name}.log")

    @property
    def process(self) -> subprocess.Popen[bytes] | ForkedProcess:
        assert self._process is not None, "not started"
        return self._process

    @property
    def endpoint(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "endpoint.json").read_bytes())
        return found

    @property
    def address(self) -> str:
        return str(self.endpoint["address"])

    def start(self) -> Self:
        self.spawn()
        return self.wait_up()

    def wait_up(self) -> Self:
        """Wait until it answers."""
        try:
            wait_until(self._is_up, START_SECONDS)
        except TimeoutError:
            message = f"the daemon did not come up:\n{self.log.read_text()}"
            raise TimeoutError(message) from None
        return self

    def spawn(self) -> None:
        flags = ["--data-dir", str(self.folder), *self._arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        environment |= self._environment or {}
        if self._forked:
            self._process = ForkedProcess(serve, flags, self._mutant, log=self.log, environment=environment)
            return
        command = [*self._wrapper, sys.executable, "-m", "lastgood_daemon", "serve", *flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return self.process.wait(STOP_SECONDS)

    def said(self) -> list[dict[str, object]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _is_up(self) -> bool:
        if self._answers():
            return True
        assert self.process.poll() is None, self.log.read_text()
        return False

    def _answers(self) -> bool:
        try:
            endpoint = self.endpoint
        except (OSError, ValueError):
            return False
        if not self._wrapper and endpoint["pid"] != self.process.pid:
            return False
        if not self.address.startswith("unix:"):
            return True
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.address.removeprefix("unix:")) == 0


def serve(flags: list[str], mutant: Callable[[], None] | None = None) -> int:
    """Be a daemon, perhaps one with something broken."""
    from lastgood_daemon.start import main  # noqa: PLC0415 - only in a process that is to be one

    if mutant is not None:
        mutant()
    return main(flags)


def autostarted_pid(folder: Path) -> int | None:
    """The process id of the daemon that owns a folder, or None where none says so."""
    try:
        return int(json.loads((folder / "endpoint.json").read_bytes())["pid"])
    except (OSError, ValueError, KeyError):
        return None


def end_autostarted(folder: Path) -> None:
    """End the daemon that a client has started for a folder, if there is one, and wait until it has let go."""
    pid = autostarted_pid(folder)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        try:
            wait_until(lambda: not is_alive(pid), STOP_SECONDS)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
