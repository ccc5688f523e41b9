"""Calls in, answers out: one connection to one daemon which, as far as its callers can see, is never interrupted.

A call is encoded and entered in the ledger. One task keeps a stream to the daemon open; when that breaks, what is unanswered
is sent again on the next one, in the old order and under the old numbers, so that the daemon can tell a repetition. While
nothing is unanswered a broken stream stays broken: a daemon that has ended for want of work is left in peace.

What is known of a call whose time is up decides its error: never sent, or a read, or refused unwritten, is
DaemonUnavailableError; a write that was sent is OutcomeUnknownError.
"""

import asyncio
import contextvars
import copy
import logging
import math
import random
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from lastgood import convert
from lastgood.credentials import TLS, credentials_of, token_of
from lastgood.errors import (
    ClientUnusableError,
    DaemonUnavailableError,
    IncompatibleDaemonError,
    InternalError,
    InvalidArgumentError,
    LastgoodError,
    OutcomeUnknownError,
    StoreReplacedError,
    TooLargeError,
)
from lastgood.locate import Endpoint, Location, is_on_this_machine
from lastgood.models import ServerInfo
from lastgood.operations import GET_SERVER_INFO, Operation, Request, Response
from lastgood.transport import forks, framing
from lastgood.transport.autostart import is_owned
from lastgood.transport.conversation import Conversation
from lastgood.transport.finder import Finder
from lastgood.transport.identity import StrangerError, check_copy, check_identity
from lastgood.transport.incarnations import Incarnations
from lastgood.transport.ledger import Ledger, PendingCall
from lastgood.transport.link import Link, LinkBrokenError, MisfitError
from lastgood.transport.place import refuse_green_threads, running_loop
from lastgood.version import __version__, fits
from lastgood_proto.v1.server_pb2 import GetServerInfoRequest
from lastgood_proto.v1.session_pb2 import SessionOpened

DEFAULT_TIMEOUT = 5.0
"""Seconds for connecting, and for each call."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_LONGEST_PAUSE_FOLDER = 0.2
"""Looking into a folder costs next to nothing."""
_BLOCKED_SECONDS = 0.1
_PATIENCE = 3600.0
_LOOK_SECONDS = 1.0
"""How often a daemon that works on something long is asked whether it is still there."""

_log = logging.getLogger("lastgood")


class Connection:
    """A connection to one daemon. It is made at the first call, which also binds it to the event loop.

    Attributes:
        location: where the daemon is.
        timeout: seconds for each call that names none.
        closed: whether ``aclose`` was called.
        incarnations: of which lives of states its answers have told.
        claimed: the workflows that it holds claims of.
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
        self.location = location
        self.closed = False
        self._token = token_of(token)
        self._credentials = credentials_of(tls)
        self.timeout = check_timeout(timeout)
        self._finder = Finder(location, autostart=autostart)
        self.claimed: set[str] = set()
        self.incarnations = Incarnations()
        self._ledger = Ledger()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._spawned: set[asyncio.Task[None]] = set()
        self._session_id = ""
        self._server: ServerInfo | None = None
        self.is_beside = False
        """Whether it is connected by a socket of this machine: what is silent there stands still, and is not cut off."""
        self._replaced: StoreReplacedError | None = None
        self._trouble = ""
        self._misfit = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._spared = False

    async def call(
        self, operation: Operation[Request, Response], request: Request, *, timeout: float | None = None
    ) -> Response:
        """Have the daemon do something, and give its answer.

        Args:
            operation: what.
            request: its message.
            timeout: seconds; None: the connection's.

        Raises:
            DaemonUnavailableError: no answer in time, and nothing has been written.
            OutcomeUnknownError: no answer in time to a write that was sent.
            LastgoodError: what the daemon answered.
        """
        loop = self._enter()
        if self._replaced is not None:
            raise copy.copy(self._replaced)
        seconds = self.timeout if timeout is None else check_timeout(timeout)
        payload = framing.encode_call(operation.name, request)
        if len(payload) > framing.CALL_BYTES:
            text = f"a call of {len(payload):,} bytes; the limit is {framing.CALL_BYTES:,}"
            raise TooLargeError(text, size=len(payload), limit=framing.CALL_BYTES)
        call = PendingCall(operation, payload, seconds, loop.time() + seconds, loop.create_future())
        self._ledger.enter(call)
        self._watch(call.deadline)
        self._wake.set()
        try:
            response: Response = await call.future
        except asyncio.CancelledError:
            self._abandon(call)
            raise
        return response

    async def call_patiently(
        self, operation: Operation[Request, Response], request: Request, *, timeout: float | None = None
    ) -> Response:
        """Have the daemon do something that may take very long, as long as it answers other calls meanwhile.

        Args:
            operation: what.
            request: its message.
            timeout: seconds; None: an hour, or the connection's where nothing answers any more.

        Raises:
            LastgoodError: as ``call`` does.
        """
        if timeout is not None:
            return await self.call(operation, request, timeout=timeout)
        working = asyncio.ensure_future(self.call(operation, request, timeout=_PATIENCE))
        try:
            while not (await asyncio.wait([working], timeout=_LOOK_SECONDS))[0]:
                await self.call(GET_SERVER_INFO, GetServerInfoRequest())
        except DaemonUnavailableError as error:
            if not working.done():
                raise _unknown(operation, str(error)) if operation.writes else error from None
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait([working])
        return working.result()

    def spawn(self, function: "Callable[[Connection], Coroutine[Any, Any, None]]") -> Callable[[], None]:
        """Run an async function beside the calls, and give what ends it, which any thread may call.

        It ends with the connection, or with the event loop.
        """
        loop = self._enter()
        task = loop.create_task(function(self), name="lastgood beside the calls", context=contextvars.Context())
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

        def end() -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(task.cancel)

        return end

    async def server(self, timeout: float | None = None) -> ServerInfo:
        """The daemon, connecting to it where that has not been done."""
        self._enter()
        while self._server is None:
            await self.call(GET_SERVER_INFO, GetServerInfoRequest(), timeout=timeout)
        return self._server

    def serves(self, daemon_id: str, copy_id: str, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it can be used on that loop and leads to that copy of that store."""
        usable = self._loop is loop and not self.closed and self._replaced is None
        return usable and self._server is not None and self._server.is_copy(daemon_id, copy_id)

    async def aclose(self) -> None:
        """Close it; calls that are under way fail. Closing again does nothing."""
        self.closed = True
        if self._task is None or forks.is_forked() or self._loop is not asyncio.get_running_loop():
            return
        tasks = [*self._spawned, self._task]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _enter(self) -> asyncio.AbstractEventLoop:
        """Check that it can be used here, and have the task run that serves it."""
        loop = running_loop()
        if self.closed:
            text = "this client is closed"
            raise ClientUnusableError(text)
        if loop is not self._loop:
            refuse_green_threads()
            if self._loop is not None:
                text = "this client belongs to another event loop: connect in this one"
                raise ClientUnusableError(text, reason="CLIENT_OTHER_LOOP")
            self._loop = loop
        if self._task is None:
            # Not the context of whoever happens to call first: it would live as long as the task.
            self._task = loop.create_task(self._run(), name="lastgood connection", context=contextvars.Context())
        return loop

    async def _run(self) -> None:
        """Be connected whenever something is unanswered."""
        pause = 0.0
        try:
            while True:
                while not len(self._ledger):
                    self._wake.clear()
                    await self._wake.wait()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, hides nothing
                if await self._converse():
                    pause = 0.0
                else:
                    longest = _LONGEST_PAUSE if self.location.folder is None else _LONGEST_PAUSE_FOLDER
                    pause = min(max(2 * pause, _FIRST_PAUSE), longest)
        except asyncio.CancelledError as error:
            # An ended task keeps its exception, that keeps the frames, and what is in these would keep the socket open.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            self._task = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer, self._timer_at = None, math.inf
            why = "this client was closed" if self.closed else "the event loop of this client is ending"
            self._fail_all(ClientUnusableError(why))

    async def _converse(self) -> bool:
        """Connect, and serve calls for as long as the stream lasts; gives whether any was answered."""
        conversation: Conversation | None = None
        try:
            endpoint = await self._finder.find(met_before=self._server is not None)
            self._refuse_clear_text(endpoint.address)
            link = Link(endpoint.address, self._token, self._credentials)
            try:
                await self._check(link, endpoint)
                self._adopt(await link.open(self._session_id, __version__), endpoint)
                self.is_beside = endpoint.address.startswith("unix:")
                conversation = Conversation(link, self._ledger, self._wake, self._give_up)
                await conversation.run()
            finally:
                self.is_beside = False
                await link.close()
        except LinkBrokenError as error:
            self._trouble, self._misfit = str(error), isinstance(error, MisfitError)
        except LastgoodError as error:
            if isinstance(error, StoreReplacedError):
                self._replaced = error
            self._fail_all(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours, of which the callers are to hear
            _log.exception("the client failed")
            self._fail_all(InternalError(f"the client failed: {error!r}"))
        return conversation is not None and conversation.answered

    def _refuse_clear_text(self, address: str) -> None:
        """Keep a token from being read by everyone between here and the daemon."""
        if self._token is not None and self._credentials is None and not is_on_this_machine(address):
            text = (
                f"the token is not sent to {address} without TLS, where anyone on the way could read it: "
                "connect with tls=True or tls=CERTIFICATE (for the command: LASTGOOD_TLS=1 or LASTGOOD_TLS=CERTIFICATE), "
                "or without a token"
            )
            raise InvalidArgumentError(text, field="tls")

    async def _check(self, link: Link, endpoint: Endpoint) -> None:
        """See that who answers is who was meant, before anything is sent."""
        try:
            await check_identity(link, endpoint, self.location, self._server)
        except LinkBrokenError as error:
            folder = self.location.folder
            if isinstance(error, StrangerError) or (folder is not None and not is_owned(folder)):
                self._finder.leave(endpoint)
            raise

    def _adopt(self, opened: SessionOpened, endpoint: Endpoint) -> None:
        """Go on in the session that the daemon has opened."""
        server = convert.server_from(opened.server)
        if not fits(server.version):
            text = (
                f"the daemon at {server.address} is lastgood {server.version}, and this client is {__version__}: "
                f"install the same version for both, then {_how_to_restart(endpoint)}"
            )
            raise IncompatibleDaemonError(text, client_version=__version__, daemon_version=server.version)
        if self._server is not None:
            check_copy(self.location, self._server, server)
        self._server = server
        self._trouble = ""
        if opened.session_id == self._session_id:
            return
        if self._session_id:
            # The daemon cannot tell repetitions of what was sent on the old session.
            for call in self._ledger.unanswered():
                if call.in_doubt:
                    self._ledger.settle(call)
                    call.fail(_unknown(call.operation, "the daemon no longer knows the session in which it was sent"))
                else:
                    call.deliveries = 0
        self._session_id = opened.session_id

    def _watch(self, deadline: float) -> None:
        """Have the timer ring by then. There is one for all calls, since nearly all of them are answered in time."""
        if deadline < self._timer_at and self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Give up every call whose time is up."""
        if self._loop is None:
            return
        now = self._loop.time()
        blocked = now - self._timer_at > _BLOCKED_SECONDS
        self._timer, self._timer_at = None, math.inf
        if blocked and not self._spared:
            # The program has kept the loop busy, and answers may have come meanwhile: look at these first.
            self._spared = True
            self._watch(now + _BLOCKED_SECONDS)
            return
        self._spared = False
        next_deadline = math.inf
        for call in self._ledger.unanswered():
            if call.deadline <= now:
                self._give_up(call)
            else:
                next_deadline = min(next_deadline, call.deadline)
        if next_deadline < math.inf:
            self._watch(next_deadline)

    def _give_up(self, call: PendingCall) -> None:
        """End a call whose time is up."""
        if call.in_doubt:
            call.fail(_unknown(call.operation, f"no answer within {call.timeout:g} s{self._because()}"))
        elif self._server is not None and not self._trouble:
            text = f"the daemon at {self.location} did not answer within {call.timeout:g} s"
            call.fail(DaemonUnavailableError(text))
        else:
            remedy = "" if self._misfit else f". To start one: {self.location.how_to_start}"
            text = f"no daemon answered at {self.location} within {call.timeout:g} s"
            text = f"{text}{self._because()}{remedy}"
            call.fail(DaemonUnavailableError(text))
        self._abandon(call)

    def _because(self) -> str:
        return f" ({self._trouble})" if self._trouble else ""

    def _fail_all(self, error: LastgoodError) -> None:
        """End every call that is under way."""
        for call in self._ledger.unanswered():
            call.fail(_unknown(call.operation, str(error)) if call.in_doubt else copy.copy(error))
            self._ledger.abandon(call)

    def _abandon(self, call: PendingCall) -> None:
        if self._ledger.abandon(call) and self._ledger.waiting:
            self._wake.set()  # there is room for another one


def _how_to_restart(endpoint: Endpoint) -> str:
    """Return what a person does to have a daemon of the version that is installed now."""
    if not endpoint.pid:
        return "restart the daemon where it was started"
    if endpoint.autostarted:
        return (
            f"end this daemon, which a client started, with: kill {endpoint.pid} (the next client starts one of its version)"
        )
    return f"restart the daemon, process {endpoint.pid}, where it was started (lastgood serve or its service)"


def _unknown(operation: Operation[Any, Any], why: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(f"{operation.name} was sent, and whether it was done cannot be told: {why}")


def check_timeout(timeout: float) -> float:
    """Give a time limit back, or raise InvalidArgumentError where it is not a positive number of seconds."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        text = f"timeout must be a positive number of seconds, got {timeout!r}"
        raise InvalidArgumentError(text, field="timeout")
    return timeout
