"""Real processes that begin with what they need already imported.

A new interpreter takes a third of a second of processor time to import a daemon, and the tests start hundreds of them. These
are forked from a process that has imported it and does nothing else, which takes a tenth of that. From there on they are
processes like any other: they run the same code, have their own memory and files, and are killed as any other.

How a daemon is started by a command is tested with daemons that are started by a command.
"""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["lastgood", "lastgood_daemon.start"])


class ForkedProcess:
    """A process that runs a function of a module; it can do what tests need of a ``subprocess.Popen``."""

    def __init__(
        self,
        function: Callable[..., int | None],
        *arguments: object,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it. What it prints goes to the end of ``log``, or is lost."""
        environment = dict(os.environ if environment is None else environment)
        self._process = _context.Process(target=_run, args=(function, arguments, str(log or os.devnull), environment))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """Give its exit status, if it has ended; the negative number of a signal that has killed it."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(["forked"], timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(function: Callable[..., int | None], arguments: tuple[Any, ...], log: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for path, flags, number in ((os.devnull, os.O_RDONLY, 0), (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    raise SystemExit(function(*arguments) or 0)
