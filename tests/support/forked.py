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
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.support.processes import environment as environment_with

END_SECONDS = 40.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["lastgood", "lastgood_daemon.start"])


class ForkedProcess:
    """A process that runs a function of a module; it can do what tests need of a ``subprocess.Popen``."""

    def __init__(
        self,
        function: Callable[..., int | None],
        *arguments: object,
        log: Path | None = None,
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start it. What it prints goes to the end of ``log``, or is lost; what it says of errors, too, or to ``errors``."""
        said = str(log or os.devnull)
        surroundings = _Surroundings(
            said, str(errors or said), dict(os.environ if environment is None else environment), str(cwd or Path.cwd())
        )
        self._process = _context.Process(target=_run, args=(function, arguments, surroundings))
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


class _Surroundings(NamedTuple):
    output: str
    errors: str
    environment: dict[str, str]
    cwd: str


def _run(function: Callable[..., int | None], arguments: tuple[Any, ...], surroundings: _Surroundings) -> None:
    os.environ.clear()
    os.environ.update(surroundings.environment)
    os.chdir(surroundings.cwd)
    appended = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for path, flags, number in (
        (os.devnull, os.O_RDONLY, 0),
        (surroundings.output, appended, 1),
        (surroundings.errors, appended, 2),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    raise SystemExit(function(*arguments) or 0)


def run_forked(
    function: Callable[..., int | None],
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, as ``subprocess.run`` does."""
    with TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = ForkedProcess(
            function, *arguments, log=output, errors=errors, environment=environment, cwd=cwd or Path.cwd()
        )
        try:
            status = process.wait(END_SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess([function.__name__], status, output.read_text(), errors.read_text())


def run_forked_script(
    source: str, *arguments: object, changes: Mapping[str, str | None] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, as ``run_script`` does, but with the client already imported."""
    return run_forked(
        _script, textwrap.dedent(source), [*map(str, arguments)], environment=environment_with(changes), cwd=cwd
    )


def _script(source: str, arguments: list[str]) -> None:
    sys.argv = ["-c", *arguments]
    exec(compile(source, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a script of a test
