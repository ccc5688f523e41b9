"""The process of an agent, as seen by who starts it."""

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from lastgood.transport.child import interpreter


class AgentFailedError(Exception):
    """An agent has ended when it should not have; the message says what it complained of."""


class AgentProcess:
    """An agent at work."""

    def __init__(self, process: Process, role: str, log: Path) -> None:
        self._process = process
        self._role = role
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def event(self) -> dict[str, Any]:
        """Wait for the next thing that it tells.

        Raises:
            AgentFailedError: it has ended instead.
        """
        if self._process.stdout is not None and (line := await self._process.stdout.readline()):
            event: dict[str, Any] = json.loads(line)
            return event
        status = await self._process.wait()
        said = self._log.read_text(errors="replace").strip().splitlines()
        text = f"the {self._role} ended with status {status}: {said[-1] if said else 'without a word'}"
        raise AgentFailedError(text)

    async def kill(self) -> int:
        """Kill it with SIGKILL, against which it can do nothing, and give the status that it leaves."""
        _kill(self._process)
        return await self._process.wait()


@asynccontextmanager
async def start(role: str, data_dir: Path, workflow_id: str, *flags: str) -> AsyncIterator[AgentProcess]:
    """Start an agent; at the end of the context it is gone, whatever has happened."""
    log = data_dir / f"{workflow_id}-{role}.log"
    command = [interpreter(data_dir), "-P", "-m", "lastgood.demo.agent", role, str(data_dir), workflow_id, *flags]
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is for who has started it
        )
    try:
        yield AgentProcess(process, role, log)
        await process.wait()
    finally:
        if process.returncode is None:
            _kill(process)
            await process.wait()


def _kill(process: Process) -> None:
    """Send SIGKILL. ``process.kill`` would first look whether it has ended, and take its status away from asyncio."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
