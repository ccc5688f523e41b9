"""A daemon process of a folder, as ``lastgood serve`` runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import lastgood

SERVE = (sys.executable, "-m", "lastgood_daemon", "serve")
STOP_SECONDS = 60.0
TIMEOUT = 60.0
_NOT_INHERITED = ("LASTGOOD_", "GRPC_")


class Daemon:
    """See the module. Ends with the ``with`` block; started again after a kill as often as wanted."""

    def __init__(self, folder: Path, command: Sequence[str] = SERVE) -> None:
        self.data = folder / "data"
        self.database = self.data / "lastgood.db"
        self.wal = self.data / "lastgood.db-wal"
        self._log = folder / "daemon.log"
        self._command = (*command, "--data-dir", str(self.data))
        self._process = self._started()

    def __enter__(self) -> Self:
        """Nothing more: it is started by making the object."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Kill it, if it still runs."""
        self.kill()

    def start(self) -> None:
        """Start it again. It may not be up when this returns; ``connect`` waits for it."""
        self._process = self._started()

    def connect(self) -> lastgood.Client:
        """Give a client, which waits for the daemon."""
        return lastgood.connect(data_dir=self.data, autostart=False, timeout=TIMEOUT)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as a service manager would, and wait until its files are closed."""
        self._process.terminate()
        if self._process.wait(STOP_SECONDS):
            raise RuntimeError(self._log.read_text())

    def worked(self) -> float:
        """Give the seconds of processor time that it has taken."""
        ticks = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Give the bytes of memory that it has (RSS)."""
        return self._status("VmRSS:")

    def peak(self) -> int:
        """Return the most bytes of memory that it has had since ``forget_peak``, or since its start."""
        return self._status("VmHWM:")

    def forget_peak(self) -> None:
        """Have the peak of its memory counted from now on."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        message = "the daemon has ended"
        raise RuntimeError(message)

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
