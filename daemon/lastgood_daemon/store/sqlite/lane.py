"""A connection on a thread of its own, and what happens there when the storage fails."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from lastgood_daemon.store.protocol import DamagedPageError, StoreBrokenError
from lastgood_daemon.store.sqlite import connection as opening
from lastgood_daemon.store.sqlite.faults import is_damaged_page, translated

P = ParamSpec("P")
T = TypeVar("T")


class Fault:
    """What broke a store: one for all its lanes, since none can go on after another has failed."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.message: str | None = None

    def check(self) -> None:
        """Raise StoreBrokenError if something has."""
        if self.message is not None:
            raise StoreBrokenError(self.message)


class PassingFault(Fault):
    """Of a lane that only looks: what fails there says nothing about the next call."""

    def check(self) -> None:
        """Let every call try."""


class Lane:
    """Does one piece of work after the other, in the order of the calls."""

    def __init__(self, connection: apsw.Connection, name: str, fault: Fault) -> None:
        """Take a connection, which nobody else is to use from now on."""
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, f"lastgood-store-{name}")
        self._fault = fault

    async def run(self, function: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do ``function(connection, …)`` on the thread; if it fails, no transaction is left behind.

        Raises:
            StoreFullError: there is no room; what it began is rolled back.
            DamagedPageError: a page that it needs cannot be read; the same. Later calls may not need it.
            StoreBrokenError: the storage failed, now or before.
        """
        self._fault.check()
        work = partial(function, self._connection, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def later(self, function: Callable[[apsw.Connection], object]) -> None:
        """Do something that nobody waits for. If it breaks the store, the next call says so; no room is let pass."""
        self._thread.submit(self._do, partial(function, self._connection))

    async def close(self, checkpoint: Callable[[apsw.Connection], object] | None = None) -> None:
        """Finish what is under way, do a last piece of work unless the storage has failed, close, end the thread."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close, checkpoint)
        finally:
            self._thread.shutdown()

    def _do(self, work: Callable[[], T]) -> T:
        self._fault.check()  # what was queued before may have failed
        try:
            return work()
        except BaseException as error:
            outward = self._judged(error)
            if outward is error:
                raise
            raise outward from error

    def _judged(self, error: BaseException) -> BaseException:
        outward: BaseException = DamagedPageError(f"a page is damaged ({error})")
        if not is_damaged_page(error):
            outward = translated(error, self._connection)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as again:
            outward = StoreBrokenError(f"a transaction could not be rolled back: {again}")
        if isinstance(outward, StoreBrokenError):
            self._fault.message = str(outward)
        return outward

    def _close(self, checkpoint: Callable[[apsw.Connection], object] | None) -> None:
        failed = True
        try:
            if checkpoint is not None and self._fault.message is None:
                self._do(partial(checkpoint, self._connection))
            failed = self._fault.message is not None
        finally:
            opening.close(self._connection, failed=failed)
