"""What a handler says is to be done for a request.

A handler is a short plain function: it checks and translates the request, and gives back one of these. It does nothing
itself; ``dispatch`` does.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.rpc.authorize import Subject, Verb
from lastgood_daemon.rpc.responses import Headers, timestamp
from lastgood_proto.v1.server_pb2 import ServerInfo

T = TypeVar("T")


class Ask(msgspec.Struct, Generic[T], frozen=True):
    """Ask the authority, and make the response from what it says: in a thread where that raises ``LabourError``."""

    question: Callable[[Reader], T]
    respond: Callable[[T], Message]
    is_long: bool = False
    """Whether that is known already: not even tried on the event loop."""


class Do(msgspec.Struct, frozen=True):
    """Hand a command to the authority, and make the response from its outcome, unless that is a refusal."""

    command: Command
    respond: Callable[[Any], Message]


class Run(msgspec.Struct, frozen=True):
    """Run something that needs more than one question."""

    work: Callable[[], Awaitable[Message]]


class Edge(msgspec.Struct, frozen=True):
    """What handlers work with."""

    authority: Authority
    headers: Headers
    server: ServerInfo
    backups: Path | None
    """The folder below which clients on the network may have backups made."""

    def time(self, moment: int) -> Timestamp:
        """Return a moment of the store as the time of the wall."""
        return timestamp(self.authority.shown(moment))


Handler = Callable[[Edge, Any], "Ask[Any] | Do | Run"]


def of_context(request: Any) -> tuple[str, str]:  # noqa: ANN401 - any request that writes into a state
    """Give the subject of a request with a WriteContext."""
    return request.context.state.state_id, getattr(request, "path", "")


def of_state(request: Any) -> tuple[str, str]:  # noqa: ANN401 - any request about a state
    """Give the subject of a request with a StateRef."""
    return request.state.state_id, getattr(request, "path", "")


def of_workflow(request: Any) -> tuple[str, str]:  # noqa: ANN401 - any request about a workflow
    """Give the subject of a request about a workflow."""
    return request.workflow_id, ""


def of_nothing(_: object) -> tuple[str, str]:
    """Give the subject of a request about no state in particular."""
    return "", ""


class Operation(msgspec.Struct, frozen=True):
    """An operation of the contract. Its name is that of its field in Call and Reply."""

    verb: Verb
    subject: Subject
    handle: Handler
