"""A store that can be made to crash, to be full, or to wait, at any of its steps; and an authority on it.

A crash leaves the files as they are between two writes: they are copied, what is written from then on fails; whoever goes
on does so from the copy.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import apsw

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.world import Reader, World
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.engine.workflow import Workflow
from lastgood_daemon.store.protocol import LogId, StoreBrokenError, StoreFullError, Unit
from lastgood_daemon.store.protocol import Outcome as Stored
from lastgood_daemon.store.sqlite import SqliteStore

P = ParamSpec("P")
T = TypeVar("T")

FILE = "lastgood.db"
SECONDS = 60.0
"""After which a test gives up."""
PATIENCE = 0.1
"""Seconds after which something that waits is taken to wait for what is held up."""


class Pause:
    """Holds a task up at one of its steps."""

    def __init__(self) -> None:
        self.left = 0
        self.task: asyncio.Task[Any] | None = None
        """The only one that it holds up; nothing: also those that it begins."""
        self.turn: asyncio.Lock | None = None
        """While somebody has it, nothing is held up: everybody would wait for that."""
        self.reached = asyncio.Event()
        self._go = asyncio.Event()

    async def step(self) -> None:
        """Wait here, if this is the step."""
        if self.task not in {None, asyncio.current_task()} or (self.turn is not None and self.turn.locked()):
            return
        self.left -= 1
        if self.left == 0:
            self._go.clear()
            self.reached.set()
            await self._go.wait()

    def go_on(self, steps: int) -> None:
        """Let the task go on, for some steps; 0: to its end."""
        self.left = steps
        self.reached.clear()
        self._go.set()


PAUSE: ContextVar[Pause | None] = ContextVar("PAUSE", default=None)
"""That of the task, and of those that it begins."""


def _drop_image(connection: apsw.Connection, log: LogId, revision: int) -> None:
    logs = "SELECT number FROM logs WHERE state_id = ? AND incarnation = ?"
    connection.execute(f"DELETE FROM images WHERE log = ({logs}) AND revision = ?", (*log, revision))  # noqa: S608 - constants


class FragileStore(SqliteStore):
    """See the module. ``now`` is what it is told."""

    time = 0
    crash_in = 0
    """Writes until it crashes; 0: it does not."""
    after = False
    """Whether the last of them gets into the file."""
    full_in = 0
    """Writes until there is no room for one."""
    crashed = False
    was_full = False
    path: Path
    copy_to: Path

    def now(self) -> int:
        return self.time

    def crash(self) -> None:
        """Leave the files as they are. While nothing is written."""
        self.copy_to.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(self.path / name, self.copy_to / name)
        self.crashed = True

    async def drop_image(self, log: LogId, revision: int) -> None:
        """Make as if there were no image of a revision."""
        await self._write(_drop_image, log, revision)

    async def commit(self, units: Sequence[Unit]) -> list[Stored]:
        return await super().commit(units)

    async def _write(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        await _pause()
        return await super()._write(self._fragile(function), *args, **kwargs)

    async def _read(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        await _pause()
        return await super()._read(function, *args, **kwargs)

    def _fragile(
        self, function: Callable[Concatenate[apsw.Connection, P], T]
    ) -> Callable[Concatenate[apsw.Connection, P], T]:
        def work(connection: apsw.Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            self.full_in -= 1
            if self.full_in == 0:
                self.was_full = True
                problem = "no room"
                raise StoreFullError(problem)
            self.crash_in -= 1
            crashes = self.crash_in == 0 and not self.crashed
            if crashes and not self.after:
                self.crash()
            if self.crashed:
                problem = "crashed"
                raise StoreBrokenError(problem)
            done = function(connection, *args, **kwargs)
            if crashes:
                self.crash()
                problem = "crashed"
                raise StoreBrokenError(problem)
            return done

        return work


async def _pause() -> None:
    pause = PAUSE.get()
    if pause is not None:
        await pause.step()


class Slow:
    """Something that goes on for as many steps as it is told to."""

    def __init__(self, work: Coroutine[Any, Any, Any], pause: Pause, task: "asyncio.Task[Any]") -> None:
        self.work, self.pause, self.task = work, pause, task


class Daemon:
    """An authority on a fragile store, asked from outside of its event loop."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder, self._budget, self._number = folder, budget, 0
        self.batch = None
        self._slow: list[Slow] = []
        """What is perhaps held up."""
        self._path = folder / "0"
        self._path.mkdir()
        self._open(0)

    def _open(self, time: int) -> None:
        self.store = FragileStore.open(self._path / FILE)
        self._number += 1
        self.store.path, self.store.copy_to = self._path, self._folder / str(self._number)
        self.store.time = time
        self.authority = self._wait(self._begin())

    async def _begin(self) -> Authority:
        authority = Authority(self.store, self._budget)
        self._running = asyncio.create_task(authority.run())
        return authority

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, SECONDS))

    # Ending.

    def restart(self) -> None:
        """End as one should, and begin anew."""
        self._wait(self._end())
        self._open(self.store.time)

    def recover(self) -> None:
        """Go on from what a crash has left."""
        self._wait(self._abandon())
        self._slow = []
        shutil.rmtree(self._path)
        self._path = self.store.copy_to
        self._open(self.store.time)

    def close(self) -> None:
        if self.store.crashed:
            self._wait(self._abandon())
        else:
            self._wait(self._end())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _end(self) -> None:
        self.authority.drain()
        await self._running
        await self.store.close()

    async def _abandon(self) -> None:
        self.authority.fail(StoreBrokenError("crashed"))
        with suppress(StoreBrokenError):
            await self._running
        with suppress(StoreBrokenError):
            await self.store.close()

    # Asking.

    def do(self, command: Command) -> Outcome:
        """Have a command done, and what it sets off."""

        async def done() -> Outcome:
            answer: asyncio.Future[Outcome] = self._loop.create_future()
            self.authority.submit(Submission(command, answer.set_result, None, None))
            outcome = await self._patiently(answer)
            await self._idle()
            return outcome

        return self._wait(done())

    async def _idle(self) -> None:
        """Wait for what goes on in the background, unless that waits for what is held up."""
        idle = asyncio.ensure_future(self.authority.background.idle())
        await asyncio.wait([idle], timeout=PATIENCE)
        idle.cancel()

    async def _patiently(self, work: Awaitable[T], slow_ones: Sequence[Slow] | None = None) -> T:
        """Wait for something. If it waits for what is held up, that goes on."""
        waited = asyncio.ensure_future(work)
        slow_ones = self._slow if slow_ones is None else slow_ones
        if slow_ones and not (await asyncio.wait([waited], timeout=PATIENCE))[0]:
            for slow in slow_ones:
                slow.pause.go_on(0)
            self._slow = [slow for slow in self._slow if slow not in slow_ones]
        return await waited

    def begin(self, work: Coroutine[Any, Any, Any], steps: int, *, alone: bool) -> Slow:
        """Begin something slow; ``alone``: what it has brought into memory, which others may wait for, is not held up."""

        async def begun() -> Slow:
            pause = Pause()
            pause.left = steps
            token = PAUSE.set(pause)
            try:
                slow = Slow(work, pause, asyncio.create_task(work))
                pause.turn = self.authority._committer._turn  # noqa: SLF001 - what it has while nothing else is committed
                if alone:
                    pause.task = slow.task
                else:
                    self._slow.append(slow)
                return slow
            finally:
                PAUSE.reset(token)

        return self._wait(begun())

    def until_held_up(self, slow: Slow) -> bool:
        """Wait until it is held up, or done; which of the two."""

        async def wait() -> bool:
            held_up = asyncio.create_task(slow.pause.reached.wait())
            others = [other for other in self._slow if other is not slow]
            await self._patiently(asyncio.wait([held_up, slow.task], return_when=asyncio.FIRST_COMPLETED), others)
            held_up.cancel()
            await self._idle()
            if slow.task.done() and slow in self._slow:
                self._slow.remove(slow)
            return not slow.task.done()

        return self._wait(wait())

    def ask(self, question: Callable[[Any], T], reader: World | None = None) -> T:
        del reader  # there is no batch that some see and others do not
        return self._wait(self._patiently(self.authority.ask(question)))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._wait(self._patiently(work))

    def state(self, state_id: str, reader: World | None = None) -> State:
        del reader

        def question(reader: Reader) -> State:
            return reader.state(state_id)

        return self.ask(question)

    def workflow(self, workflow_id: str, reader: World | None = None) -> Workflow:
        del reader

        def question(reader: Reader) -> Workflow:
            return reader.workflow(workflow_id)

        return self.ask(question)

    def tree(self, point: Point) -> Tree:
        return self.ask(lambda reader: cast("Tree", reader.tree(point)))

    @property
    def file(self) -> Path:
        return self._path / FILE
