"""The one road of every operation: check who calls, translate, ask or do, answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from lastgood_daemon.authority.holding import FAULT
from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.authority.sessions import Identity, digest_of
from lastgood_daemon.authority.submission import PRESENT, Listener, Submission
from lastgood_daemon.authority.world import NotLoadedError
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.labour import LabourError, bounded, working
from lastgood_daemon.rpc import (
    attempts,
    checkpoints,
    effects,
    history,
    maintenance,
    redaction,
    retention,
    server_info,
    state,
    steps,
    transfer,
    workflows,
)
from lastgood_daemon.rpc.authorize import Principal, authorize
from lastgood_daemon.rpc.copies import Check, check_of
from lastgood_daemon.rpc.envelope import Envelope, Pieces, outside
from lastgood_daemon.rpc.formats import in_json, wants_json, write_json
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, Run
from lastgood_daemon.rpc.outbox import FULL_BYTES
from lastgood_daemon.store.protocol import CorruptRecordError, StoreBrokenError
from lastgood_proto.v1 import session_pb2

STORAGE_FAILED = Refused("UNAVAILABLE", "the daemon's storage failed, and it is about to end; nothing was written")

log = logging.getLogger(__name__)

LONG_REQUEST_BYTES = 16 * 1024
"""A request that is larger is translated in a thread: it may consist of a thousand parts, which take 4 ms."""

OPERATIONS: dict[str, Operation] = {
    **state.OPERATIONS,
    **history.OPERATIONS,
    **checkpoints.OPERATIONS,
    **attempts.OPERATIONS,
    **steps.OPERATIONS,
    **effects.OPERATIONS,
    **workflows.OPERATIONS,
    **retention.OPERATIONS,
    **maintenance.OPERATIONS,
    **redaction.OPERATIONS,
    **transfer.OPERATIONS,
    **server_info.OPERATIONS,
}


class Long(NamedTuple):
    """An answer that is so large that to make it, or to do anything with all of it, is work for a thread.

    It holds what it is made from, which for a value is the tree that the daemon has anyway.
    """

    make: Callable[[], Envelope]


class Slow(msgspec.Struct, frozen=True):
    """A read that cannot be answered at once. Nothing is done for it, and nothing held, until it is asked for."""

    find: Callable[[], Awaitable[Message | Long | Refused]]


A = TypeVar("A", bound=Message | Refused)
M = TypeVar("M", bound=Message | Envelope)
Answer = Callable[["Message | Slow | Refused"], None]
Work = Ask[Any] | Do | Run


class Translated(msgspec.Struct, frozen=True):
    """What is to be done for a request, and whether the answer is to have its values as JSON."""

    work: Work | Refused
    as_json: bool
    digest: bytes = b""
    """Of the request, if it is one that writes."""
    reads: bool = False
    """Whether it changes nothing, so that it need not be done when nobody waits for it any more."""


class Caller(msgspec.Struct, frozen=True):
    """How a call is known if it comes again. ``deadline`` is by the clock of the event loop."""

    identity: Identity | None
    deadline: float | None
    listener: Listener = PRESENT


class _Kind(NamedTuple):
    """What is known of all requests of an operation: to look for a field that is not there takes as long as to read ten."""

    check: Check
    has_format: bool
    has_pages: bool

    @classmethod
    def of(cls, request: Descriptor) -> "_Kind":
        return cls(check_of(request), "value_format" in request.fields_by_name, "page_token" in request.fields_by_name)


class Dispatcher:
    """See the module."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = {
            field.name: _Kind.of(field.message_type)
            for field in session_pb2.Call.DESCRIPTOR.oneofs_by_name["operation"].fields
            if field.message_type is not None
        }
        self.performed = 0
        """How many operations there have been."""

    def translate(
        self,
        name: str,
        request: Any,  # noqa: ANN401 - of that operation
        principal: Principal,
        digest: bytes | None = None,
    ) -> Translated:
        """Check a request and return what has to be done for it. Does nothing else, so a thread may do it.

        Args:
            name: of the operation.
            request: of that operation.
            principal: who asks.
            digest: of the request, where it is known.
        """
        operation, kind = OPERATIONS[name], self._requests[name]
        try:
            authorize(principal, operation.verb, operation.subject, request)
            kind.check(request, self._edge.headers.copy_id)
            work: Work | Refused = operation.handle(self._edge, request)
            if kind.has_pages and isinstance(work, Ask) and request.page_token:
                work = msgspec.structs.replace(work, is_long=True)  # the page before it was full
        except RefusedError as refusal:
            work = Refused.because(refusal)
        except Exception:
            log.exception("the handler of %s failed", name)
            work = FAULT
        writes = operation.verb == "write"
        if not writes:
            digest = b""
        elif digest is None:
            digest = digest_of(name, request.SerializeToString(deterministic=True))
        as_json = kind.has_format and wants_json(request)
        return Translated(work, as_json, digest, reads=operation.verb == "read")

    def look(self) -> None:
        """See that the storage is still there. To be called when calls have come, before they are performed."""
        self._edge.authority.look()

    def perform(self, translated: Translated, caller: Caller, answer: Answer) -> Submission | None:
        """Do what is to be done for a request, and return the command that it became, if any.

        The answer is given once, perhaps before this returns.
        """
        self.performed += 1
        if translated.as_json:
            answer = _as_json(answer)
        try:
            match translated.work:
                case Refused() as refused:
                    answer(refused)
                case _ if self._edge.authority.broken is not None:
                    answer(STORAGE_FAILED)
                case Do(command, respond):
                    submission = Submission(
                        command,
                        lambda outcome: answer(_answer_to(respond, outcome)),
                        caller.identity,
                        caller.deadline,
                        caller.listener,
                    )
                    self._edge.authority.submit(submission)
                    return submission
                case Ask() as ask:
                    self._ask(ask, answer)
                case Run(run) if translated.reads:
                    answer(Slow(partial(self._found, partial(_read, run))))
                case Run(run):
                    self._later(run, answer)
        except RefusedError as refusal:
            answer(Refused.because(refusal))
        except Exception:
            log.exception("performing an operation failed")
            answer(FAULT)
        return None

    def _ask(self, ask: Ask[Any], answer: Answer) -> None:
        found = self._edge.authority.ask_now(ask.question)
        is_loaded = not isinstance(found, NotLoadedError)
        if is_loaded and not ask.is_long and (response := _made_at_once(ask.respond, found)) is not None:
            answer(response)
            return

        async def run() -> Message | Long | Refused:
            known = await self._edge.authority.ask(ask.question)
            response = None if ask.is_long or is_loaded else _made_at_once(ask.respond, known)
            return _long(ask.respond, known) if response is None else _by_size(response)

        answer(Slow(partial(self._found, run)))

    async def encoded(self, answer: Long) -> Pieces | Refused:
        """Make a large answer, and encode it, in a thread."""
        try:
            return await asyncio.to_thread(encoded, answer)
        finally:
            self._edge.authority.weigh_again()

    async def _found(self, run: Callable[[], Awaitable[Message | Long | Refused]]) -> Message | Long | Refused:
        """Run something, and give what went wrong as what is answered then."""
        try:
            return await run()
        except RefusedError as refusal:
            return Refused.because(refusal)
        except CorruptRecordError as error:
            log.error("refusing what needs a damaged record: %s", error)  # noqa: TRY400 - expected, no traceback
            return Refused("CORRUPT", str(error))
        except StoreBrokenError as error:
            self._edge.authority.fail(error)
            return Refused("UNAVAILABLE", f"the daemon's storage failed: {error}")
        except Exception:
            log.exception("an operation failed")
            return FAULT

    def _later(self, run: Callable[[], Awaitable[Message]], answer: Answer) -> None:
        """Run something that goes on whatever becomes of the caller."""

        async def work() -> None:
            found = await self._found(run)
            answer(FAULT if isinstance(found, Long) else found)

        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _read(run: Callable[[], Awaitable[Message]]) -> Message | Long:
    with outside() as values:
        message = await run()
    return Long(lambda: Envelope(message, values)) if values else _by_size(message)


def _by_size(found: A) -> A | Long:
    return Long(lambda: Envelope(found, [])) if isinstance(found, Message) and found.ByteSize() > FULL_BYTES else found


def _answer_to(respond: Callable[[Any], Message], outcome: Outcome) -> Message | Slow | Refused:
    """Make the response to a command; what of it takes long is done like a slow read."""
    response = _made_at_once(respond, outcome)
    return Slow(partial(_made_slowly, respond, outcome)) if response is None else response


async def _made_slowly(respond: Callable[[Any], Message], outcome: Outcome) -> Long:
    return _long(respond, outcome)


def _made_at_once(respond: Callable[[Any], Message], found: object) -> Message | Refused | None:
    """Make a response on the event loop; nothing where that takes long."""
    try:
        return bounded(respond, partial(_responded, respond, found))
    except LabourError:
        return None


def _long(respond: Callable[[Any], Message], found: object) -> Long:
    return Long(partial(Envelope.around, partial(working, partial(respond, found))))


def _responded(respond: Callable[[Any], M], outcome: Outcome | object) -> M | Refused:
    if isinstance(outcome, Refused):
        return outcome
    try:
        return respond(outcome)
    except LabourError:
        raise
    except RefusedError as refusal:
        return Refused.because(refusal)
    except Exception:
        log.exception("making a response failed")
        return Refused("INTERNAL", "the daemon failed to make the answer; its log says more")


def encoded(answer: Long) -> Pieces | Refused:
    """Make a large answer, and encode it: work for a thread."""
    made = _responded(lambda _: answer.make(), None)
    return made if isinstance(made, Refused) else made.encoded()


def _as_json(answer: Answer) -> Answer:
    def written(result: Message | Slow | Refused) -> None:
        if isinstance(result, Slow):
            answer(Slow(partial(_found_as_json, result)))
        else:
            answer(result if isinstance(result, Refused) else _responded(write_json, result))

    return written


async def _found_as_json(slow: Slow) -> Message | Long | Refused:
    found = await slow.find()
    match found:
        case Long(make):
            return Long(lambda: in_json(make()))
        case Refused():
            return found
    return _responded(write_json, found)
