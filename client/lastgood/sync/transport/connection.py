"""A connection whose calls block. The async one does the work, on the thread in the background."""

import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from lastgood.credentials import TLS
from lastgood.errors import ClientUnusableError
from lastgood.locate import Location
from lastgood.models import ServerInfo
from lastgood.operations import Operation, Request, Response
from lastgood.sync.transport.background import Background, background, background_if_begun
from lastgood.sync.transport.place import check_place
from lastgood.transport import forks
from lastgood.transport.connection import DEFAULT_TIMEOUT
from lastgood.transport.connection import Connection as AsyncConnection

__all__ = ["DEFAULT_TIMEOUT", "Connection"]


class Connection:
    """A connection to one daemon, for any number of threads. It is made at the first call.

    Attributes:
        location: where the daemon is.
        closed: whether ``close`` was called.
        timeout: seconds for each call that names none.
        incarnations: of which lives of states its answers have told.
        claimed: the workflows that it holds claims of.

    Raises:
        ClientUnusableError: this process was forked from one that was connected.
    """

    def __init__(
        self,
        location: Location,
        *,
        token: str | None = None,
        tls: TLS | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        autostart: bool = True,
    ) -> None:
        forks.refuse_child()
        self.location = location
        self.closed = False
        self._inner = AsyncConnection(location, token=token, tls=tls, timeout=timeout, autostart=autostart)
        self.timeout = self._inner.timeout
        self.claimed: set[str] = set()
        self.incarnations = self._inner.incarnations
        # Nobody closes the client of `connect().state("s").get()`. At the end of the interpreter all of them are closed.
        weakref.finalize(self, _abandon, self._inner).atexit = False

    def call(self, operation: Operation[Request, Response], request: Request, *, timeout: float | None = None) -> Response:
        """Have the daemon do something, and give its answer.

        Args:
            operation: what.
            request: its message.
            timeout: seconds; None: the connection's.

        Raises:
            ClientUnusableError: no calls can be made here, or no more.
            LastgoodError: what the async one raises.
        """
        return self._enter().run(self._inner.call, operation, request, timeout=timeout)

    def call_patiently(
        self, operation: Operation[Request, Response], request: Request, *, timeout: float | None = None
    ) -> Response:
        """Have the daemon do something that may take very long, as long as it answers other calls meanwhile."""
        return self._enter().run(self._inner.call_patiently, operation, request, timeout=timeout)

    def spawn(self, function: Callable[[AsyncConnection], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Run an async function on the thread in the background, and give what ends it, which any thread may call.

        It ends with the connection.
        """
        inner = self._inner

        async def begin() -> Callable[[], None]:
            return inner.spawn(function)

        return self._enter().run(begin)

    def server(self, timeout: float | None = None) -> ServerInfo:
        """The daemon, connecting to it where that has not been done."""
        return self._enter().run(self._inner.server, timeout)

    def serves(self, daemon_id: str, copy_id: str) -> bool:
        """Whether it can be used and leads to that copy of that store."""
        present = background_if_begun()
        return present is not None and self._inner.serves(daemon_id, copy_id, present.loop)

    def close(self) -> None:
        """Close it; calls that are under way in other threads fail. Closing again does nothing."""
        self.closed = True
        present = background_if_begun()
        if present is None:
            return
        if present.is_here:  # somebody's __del__, wherever the garbage collector happens to run
            present.start(self._inner.aclose)
        else:
            present.run(self._inner.aclose)

    def _enter(self) -> Background:
        """Check that it can be used here."""
        check_place()
        if self.closed:
            text = "this client is closed"
            raise ClientUnusableError(text)
        return background()


def _abandon(inner: AsyncConnection) -> None:
    """Close what nobody uses any more."""
    present = background_if_begun()
    if present is not None:
        present.start(inner.aclose)
