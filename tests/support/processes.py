"""Other processes than daemons: scripts that use the client, and what the system knows of a process."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SCRIPT_SECONDS = 40.0


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment with changes; None takes a variable out."""
    merged = {**os.environ, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


def script(source: str, *arguments: object, flags: tuple[str, ...] = ()) -> list[str]:
    """The command that runs a Python script given as text."""
    return [sys.executable, *flags, "-c", textwrap.dedent(source), *map(str, arguments)]


def run_script(
    source: str,
    *arguments: object,
    flags: tuple[str, ...] = (),
    changes: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end. Whoever still holds its pipes then makes this time out."""
    return subprocess.run(
        script(source, *arguments, flags=flags),
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(changes),
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=SCRIPT_SECONDS,
    )


def printed(source: str, *arguments: object, changes: Mapping[str, str | None] | None = None) -> list[str]:
    """Run a script that succeeds, and give what it printed, line by line."""
    done = run_script(source, *arguments, changes=changes)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not reaped does not)."""
    return _state(pid) not in {"Z", "X"}


def stands_still(pid: int) -> bool:
    """Whether a process has been stopped by a signal."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
