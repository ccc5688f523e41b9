"""A data folder for the demo alone, with a daemon of its own, and nothing left of either afterwards."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lastgood.errors import DaemonUnavailableError
from lastgood.locate import read_endpoint
from lastgood.transport.autostart import is_owned
from lastgood.transport.shutdown import shut_down

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a new temporary folder. At the end, end the daemon that a client may have started there, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="lastgood-demo-"))
    try:
        with _own_settings(folder):
            yield folder
    finally:
        with _undisturbed():
            _end_daemon(folder)
            shutil.rmtree(folder)


@contextmanager
def _own_settings(folder: Path) -> Iterator[None]:
    """Let the daemon know nothing of what is set for other daemons of this user."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("LASTGOOD_"):
            del os.environ[name]
    nothing = folder / "nothing.toml"
    nothing.touch()
    os.environ["LASTGOOD_CONFIG"] = str(nothing)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no signal interrupt the cleaning up."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_daemon(folder: Path) -> None:
    """End the daemon over its socket: the process id in a file may be anybody's."""
    endpoint = read_endpoint(folder)
    if endpoint is None:
        return
    deadline = time.monotonic() + _STOP_SECONDS
    try:
        shut_down(endpoint)
    except DaemonUnavailableError:
        return  # it has ended by itself
    while read_endpoint(folder) is not None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    while is_owned(folder) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
