"""Starting the daemon of a folder: detached from this process, and only one however many clients want it."""

import asyncio
import fcntl
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lastgood.errors import DaemonUnavailableError
from lastgood.locate import Endpoint
from lastgood.own_files import make_folder, open_own
from lastgood.transport.child import clean_environment, interpreter
from lastgood.transport.last_words import last_words
from lastgood.transport.link import LinkBrokenError
from lastgood_proto.system_errors import NO_ROOM, in_words

AUTOSTART_LOCK = "autostart.lock"
"""Held by the client that starts a daemon, until that answers."""

DAEMON_LOCK = "daemon.lock"
"""Held by the daemon that owns the folder."""

LOG_FILE = "daemon.log"

Probe = Callable[[Path], Awaitable[Endpoint | None]]
"""Returns the endpoint of a folder's daemon, if one takes connections."""

_POLL_SECONDS = 0.02
_START_SECONDS = 60.0
_AGAIN_SECONDS = 0.5
_LONGEST_AGAIN_SECONDS = 8.0
_OWNED_SECONDS = 1.0
"""How long a daemon that has the folder may take to answer, before that is told to the caller, who tries again."""
_TAIL_BYTES = 2000


async def start_daemon(folder: Path, probe: Probe) -> Endpoint:
    """Have a daemon for the folder, started by this process or by another one, and return its endpoint.

    Raises:
        LinkBrokenError: it has not come about yet; trying again may help.
        DaemonUnavailableError: it cannot be started.
    """
    deadline = time.monotonic() + _START_SECONDS
    interpreter(folder)  # before anything is made
    _refuse_green_processes(folder)
    try:
        make_folder(folder)
        lock = open_own(folder / AUTOSTART_LOCK, os.O_RDWR | os.O_CREAT)
        try:
            return await _start_alone(folder, probe, lock, deadline)
        finally:
            os.close(lock)  # and with it the lock
    except OSError as error:
        if isinstance(error, DaemonUnavailableError):
            raise
        text = f"a daemon cannot be started for {folder}: {in_words(error, folder)}"
        raise DaemonUnavailableError(text) from error


def _refuse_green_processes(folder: Path) -> None:
    """Raise DaemonUnavailableError where gevent starts processes, which it can in the thread of its own loop alone."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and (gevent.is_module_patched("subprocess") or gevent.is_module_patched("os")):
        text = (
            "gevent has replaced what starts processes in this one, so no daemon can be started from here. Start it "
            f"yourself: lastgood serve --data-dir {folder}"
        )
        raise DaemonUnavailableError(text)


async def _start_alone(folder: Path, probe: Probe, lock: int, deadline: float) -> Endpoint:
    """Start one, unless whoever holds the lock does."""
    while not _take(lock, fcntl.LOCK_EX):
        if (endpoint := await probe(folder)) is not None:
            return endpoint
        await _pause(folder, deadline)
    again = _AGAIN_SECONDS
    while True:
        if (endpoint := await _owner(folder, probe)) is not None:
            return endpoint
        if (endpoint := await _start_once(folder, probe, deadline)) is not None:
            return endpoint
        # It was killed. What kills one is likely to kill the next, so each gets more time than the one before.
        until = time.monotonic() + again * random.uniform(0.5, 1.0)  # noqa: S311 - spreads starts, hides nothing
        while time.monotonic() < until:
            if (endpoint := await probe(folder)) is not None:
                return endpoint
            await _pause(folder, deadline)
        again = min(2 * again, _LONGEST_AGAIN_SECONDS)


async def _owner(folder: Path, probe: Probe) -> Endpoint | None:
    """Return the endpoint of the daemon that has the folder; None where none has it. No other one could be started.

    Raises:
        LinkBrokenError: one has it and does not answer.
    """
    until = time.monotonic() + _OWNED_SECONDS
    while True:
        if (endpoint := await probe(folder)) is not None:
            return endpoint
        if not is_owned(folder):
            return None
        if time.monotonic() > until:
            text = (
                f"another daemon has the folder (it holds {folder / DAEMON_LOCK}) and does not answer: it is starting, "
                "hangs, listens where it is not reached from here, or is of another version"
            )
            raise LinkBrokenError(text)
        await asyncio.sleep(_POLL_SECONDS)


async def _start_once(folder: Path, probe: Probe, deadline: float) -> Endpoint | None:
    """Start one and wait for it; None where it was stopped before it answered, or where another one has the folder."""
    log = folder / LOG_FILE
    descriptor = open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        begin = os.fstat(descriptor).st_size
        process = _spawn(folder, descriptor)
    finally:
        os.close(descriptor)
    while True:
        status = process.returncode
        if (endpoint := await probe(folder)) is not None:
            return endpoint
        if status is not None:
            break
        await _pause(folder, deadline)
    if status <= 0 or is_owned(folder):
        return None
    text = f"the daemon for {folder} did not start (exit status {status}): {_tail(log, begin)}"
    raise DaemonUnavailableError(text)


def _spawn(folder: Path, output: int) -> subprocess.Popen[bytes]:
    """Start a daemon that inherits nothing: no stdio, no folder, no session, no pipes."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
        # -P: the folder that it starts in is no place to import from.
        [interpreter(folder), "-P", "-m", "lastgood_daemon", "serve", "--data-dir", str(folder), "--autostarted"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=clean_environment(os.environ),
        close_fds=True,
        start_new_session=True,
    )
    # Whenever it ends, somebody has to take note, or it stays in the process table.
    threading.Thread(target=process.wait, name="lastgood-autostart", daemon=True).start()
    return process


async def _pause(folder: Path, deadline: float) -> None:
    if time.monotonic() > deadline:
        text = f"the daemon for {folder} has not come up; see {folder / LOG_FILE}"
        raise LinkBrokenError(text)
    await asyncio.sleep(_POLL_SECONDS)


def _take(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_owned(folder: Path) -> bool:
    """Whether a daemon has the folder."""
    try:
        lock = open_own(folder / DAEMON_LOCK, os.O_RDONLY)
    except DaemonUnavailableError:
        raise
    except OSError:
        return False
    try:
        return not _take(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _tail(log: Path, begin: int) -> str:
    """Return why the daemon ended, by what it has said since it was started."""
    with os.fdopen(open_own(log, os.O_RDONLY), "rb") as file:
        file.seek(max(begin, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        said = file.read().decode(errors="replace").strip()
    return f"{words} (all of it: {log})" if (words := last_words(said)) else _silence(log)


def _silence(log: Path) -> str:
    """Return why nothing is in the log: there may be no room for it."""
    try:
        descriptor = open_own(log, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in NO_ROOM:
            return in_words(error, log.parent)
    return f"it said nothing in {log}"
