"""The command, run as its users run it: as a process with pipes, as a process at a terminal, or quicker in this process."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lastgood.__main__ import main

SECONDS = 30.0
COMMAND = (sys.executable, "-m", "lastgood")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Done(NamedTuple):
    """How a command has ended, and what it has said."""

    status: int
    out: str
    err: str


class Command:
    """The command ``lastgood``, about the daemon of one folder."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {"LASTGOOD_DATA_DIR": str(folder), "COLUMNS": "140"}

    def process(self, *arguments: str, given: str | bytes = "", **environment: str) -> Done:
        """Run it as a process with pipes."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            check=False,
            env=self.environment | environment,
            input=given.encode() if isinstance(given, str) else given,
            timeout=SECONDS,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def here(self, *arguments: str) -> Done:
        """Run it in this process, which saves the time to load it."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            # A thread, since the test itself may run in an event loop.
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), ThreadPoolExecutor(1) as thread:
                status = thread.submit(main, arguments).result(SECONDS)
        finally:
            os.environ.clear()
            os.environ.update(before)
        said = [stream.seek(0) or stream.read() for stream in (out, err)]
        return Done(status, *map(str, said))

    def says(self, *arguments: str) -> str:
        """Run it successfully, and give what it prints."""
        done = self.here(*arguments)
        assert (done.status, done.err) == (0, ""), done
        return done.out

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - a document
        """Run it successfully, and give the document that it prints."""
        return json.loads(self.says(*arguments, "--json"))

    def complains(self, status: int, *arguments: str) -> str:
        """Run it to that status, and give the one line that it says about it."""
        done = self.here(*arguments)
        assert (done.status, done.out) == (status, ""), done
        assert done.err.count("\n") == 1, done.err
        return done.err


class Terminal:
    """The command at a terminal."""

    def __init__(self, command: Command, *arguments: str, columns: int = 80) -> None:
        environment = {name: value for name, value in command.environment.items() if name != "COLUMNS"}
        self._descriptor, theirs = pty.openpty()
        self._theirs: int | None = theirs
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._seen = b""
        self._process = subprocess.Popen(
            # Opening it makes it the terminal of the session, so that Ctrl-C interrupts.
            ["sh", "-c", 'exec "$@" <"$TTY" >"$TTY" 2>&1', "sh", *COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            env=environment | {"TERM": "xterm", "TTY": os.ttyname(theirs)},
            start_new_session=True,
        )

    def wait_for(self, text: str) -> None:
        """Wait until it shows a text."""
        while text not in self.shown:
            assert self._read(), f"it ended without {text!r}: {self.shown}"

    def type(self, text: str) -> None:
        """Have somebody type."""
        os.write(self._descriptor, text.encode())

    def end(self) -> Done:
        """Wait for its end."""
        while self._read():
            pass
        os.close(self._descriptor)
        return Done(self._process.wait(SECONDS), self.shown, "")

    @property
    def raw(self) -> str:
        """What it has sent to the terminal."""
        return self._seen.decode().replace("\r\n", "\n")

    @property
    def shown(self) -> str:
        """What is to be read there, without the colours."""
        return _COLOUR.sub("", self.raw)

    def _read(self) -> bool:
        deadline = time.monotonic() + SECONDS
        if not select.select([self._descriptor], [], [], deadline - time.monotonic())[0]:
            message = f"nothing more comes after {self.shown}"
            raise TimeoutError(message)
        try:
            found = os.read(self._descriptor, 65536)
        except OSError:  # how Linux says that nobody has the other end any more
            found = b""
        if self._theirs is not None:  # the command has it open by now; its end is to be seen
            os.close(self._theirs)
            self._theirs = None
        self._seen += found
        return bool(found)


HAS_JQ = shutil.which("jq") is not None
