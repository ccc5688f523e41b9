"""A throw-away daemon for tests. A pytest plugin that comes with lastgood makes fixtures of it.

::

    async def test_my_agent(lastgood_client):
        state = lastgood_client.state("trip")
        await my_agent(state)
        assert await state.get("done")

Every test that asks for one of these fixtures gets a daemon of its own, with an empty folder, which is gone afterwards. It
reads no TOML file and asks for no token; ``LASTGOOD_MEMORY`` and the like count. The daemon's packages must be installed:
``pip install 'lastgood[daemon]'``.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lastgood
from lastgood.transport.child import clean_environment, interpreter

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class ThrowAwayDaemon:
    """A daemon that lives for one test.

    Attributes:
        data_dir: its folder.
        address: where it listens.
        pid: its process.
    """

    data_dir: Path
    address: str
    pid: int

    def connect(self, *, agent_id: str | None = None, timeout: float = 20.0) -> lastgood.Client:
        """Give a client of it, which connects at its first call and needs no ``async with``."""
        return lastgood.connect(data_dir=self.data_dir, agent_id=agent_id, timeout=timeout, autostart=False)


@contextmanager
def throw_away_daemon() -> Iterator[ThrowAwayDaemon]:
    """Run a daemon in an empty folder for as long as the block lasts.

    Raises:
        RuntimeError: it did not start; the text has what it said.
    """
    with tempfile.TemporaryDirectory(prefix="lastgood-test-") as folder:
        data_dir = Path(folder, "data")
        log = Path(folder, "log")
        no_settings = Path(folder, "no-settings.toml")
        no_settings.touch()
        environment = {**os.environ, "LASTGOOD_TOKEN": "", "LASTGOOD_CONFIG": str(no_settings)}
        command = [interpreter(data_dir), "-m", "lastgood_daemon", "serve", "--data-dir", str(data_dir)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment(environment)
            )
        try:
            endpoint = _wait_until_published(process, data_dir / "endpoint.json", log)
            yield ThrowAwayDaemon(data_dir, str(endpoint["address"]), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_published(process: "subprocess.Popen[bytes]", endpoint: Path, log: Path) -> dict[str, object]:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            found: dict[str, object] = json.loads(endpoint.read_bytes())
        except (OSError, ValueError):
            if process.poll() is not None or time.monotonic() > deadline:
                text = f"the daemon did not start:\n{log.read_text()}"
                raise RuntimeError(text) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return found
