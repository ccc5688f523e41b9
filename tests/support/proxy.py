"""A proxy in front of a daemon's Unix socket that cuts connections while answers are on their way."""

import asyncio
import random
from pathlib import Path
from typing import Self


class CuttingProxy:
    """Forwards bytes, and cuts each connection after a random number of bytes from the daemon, in the middle of a frame."""

    def __init__(self, target: str, path: Path, generator: random.Random, *, span: tuple[int, int]) -> None:
        self._target = target.removeprefix("unix:")
        self.path = path
        self._random = generator
        self._span = span
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.cutting = True
        self.cuts = 0

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            to_reader, to_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()
            return
        budget = self._random.randint(*self._span) if self.cutting else None
        pumps = [
            asyncio.create_task(self._pump(reader, to_writer, None)),
            asyncio.create_task(self._pump(to_reader, writer, budget)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # at the end; whoever started this task would complain of it
        finally:
            for pump in pumps:
                pump.cancel()
            for each in (writer, to_writer):
                each.transport.abort()
            self._connections.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None) -> None:
        while data := await reader.read(65536):
            if budget is not None and len(data) >= budget:
                writer.write(data[:budget])
                self.cuts += 1
                return
            budget = None if budget is None else budget - len(data)
            writer.write(data)
            await writer.drain()
