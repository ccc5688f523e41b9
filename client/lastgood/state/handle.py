"""What every part of a state's handle needs: who it is, what it sends along, and how it calls."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lastgood import arguments
from lastgood.errors import InvalidArgumentError, RevisionConflictError, WorkflowBusyError
from lastgood.operations import READ, SET, TRANSACT, Operation, Request, Response
from lastgood.transport.connection import Connection
from lastgood.transport.primitives import AsyncLock
from lastgood.unpicklable import Unpicklable
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence, Precondition, StateRef, Value, WriteContext
from lastgood_proto.v1.state_pb2 import Edit, ReadRequest, ReadResponse, SetRequest, TransactRequest

if TYPE_CHECKING:
    from lastgood.client import Client

Source = Callable[[], Connection]
"""Gives the connection to use, at the time of a call: that of a client, or the one that the event loop shares."""

Expected = int | Mapping[str, int] | None
"""A condition of a write: the revision of the state; or path to revision, unchanged since; or none."""


def source_of(client: "Client") -> Source:
    """Give the source of a client, whose objects go where it goes.

    Raises:
        InvalidArgumentError: it is no client, or one of the twin of this package.
    """
    source: Source | None = getattr(client, "_connected", None)
    if source is None or not isinstance(source(), Connection):
        text = f"client must be a lastgood.Client, got {client!r}"
        raise InvalidArgumentError(text, field="client")
    return source


class StateHandle(Unpicklable):
    """A state by its id. Making one does no I/O."""

    def __init__(
        self,
        state_id: str,
        source: Source,
        *,
        agent_id: str | None = None,
        fence: Fence | None = None,
        initial_data: dict[str, Any] | None = None,
    ) -> None:
        self._state_id = arguments.check_text(state_id, "state_id")
        self._agent_id = arguments.check_text(agent_id or "", "agent_id", empty=True)
        self._source = source
        self._fence = fence
        self._initial = None if initial_data is None else arguments.encode_map(initial_data, "initial_data")
        self._initial_lock = AsyncLock()
        self._mean(0)

    @property
    def state_id(self) -> str:
        """Which state."""
        return self._state_id

    @property
    def agent_id(self) -> str:
        """Who is recorded as the author of what is written through this handle; ``""`` where that was not said."""
        return self._agent_id

    def __repr__(self) -> str:
        """For people."""
        return f"SharedState({self._state_id!r})"

    def _mean(self, incarnation: int) -> None:
        """Mean that life of the state from now on; 0: whichever is there."""
        self._reference = StateRef(state_id=self._state_id, incarnation=incarnation)
        self._writer = WriteContext(state=self._reference, agent_id=self._agent_id, fence=self._fence)
        self._changer = ChangeContext(agent_id=self._agent_id, fence=self._fence)

    def _writing(self, expected: Expected) -> WriteContext:
        if expected is None:
            return self._writer
        condition = arguments.precondition(expected)
        named = condition.revision or max(condition.paths.values(), default=0)
        if named:  # 0 names no revision: it says that nothing has ever been there
            condition.incarnation = self._source().incarnations.of(self._state_id, named)
        return WriteContext(state=self._reference, agent_id=self._agent_id, fence=self._fence, expected=condition)

    async def _call(self, operation: Operation[Request, Response], request: Request, timeout: float | None) -> Response:
        """Make a call about this state, and learn from its answer which life of the state it is about."""
        await self._begin(timeout)
        connection = self._source()
        try:
            response = await connection.call(operation, request, timeout=timeout)
        except WorkflowBusyError as error:
            if self._state_id in connection.claimed:
                text = (
                    f"{self._state_id!r} is the state of a workflow that this client has claimed, and this handle does not "
                    "belong to the claim: write through workflow.state, or step.state"
                )
                raise WorkflowBusyError(
                    text, workflow_id=error.workflow_id, holder=error.holder, remaining=error.remaining
                ) from None
            raise
        header = response.header
        self._source().incarnations.note(self._state_id, header.incarnation, header.revision)
        if not self._reference.incarnation:
            self._mean(header.incarnation)
        return response

    async def _begin(self, timeout: float | None) -> None:
        """Write the initial data, if nobody has written anything yet."""
        if self._initial is None:
            return
        async with self._initial_lock:
            if self._initial is None:
                return
            connection = self._source()
            reading = ReadRequest(state=self._reference, omit_value=True)
            present = await connection.call(READ, reading, timeout=timeout)
            if present.header.revision == 0:
                writer = WriteContext(
                    state=self._reference,
                    agent_id=self._agent_id,
                    fence=self._fence,
                    expected=Precondition(revision=0),
                )
                with suppress(RevisionConflictError):  # somebody else was first
                    await connection.call(SET, SetRequest(context=writer, value=self._initial), timeout=timeout)
            self._initial = None

    async def _read_with(self, path: str, pending: list[Edit], timeout: float | None, *, omit_value: bool) -> ReadResponse:
        """Read for a transaction, which sees its own edits."""
        request = ReadRequest(state=self._reference, path=path, pending=pending, omit_value=omit_value)
        return await self._call(READ, request, timeout)

    async def _commit(self, edits: list[Edit], read_at: dict[str, int], timeout: float | None) -> int:
        """Write the edits of a transaction, if nothing that it has read has changed since."""
        request = TransactRequest(context=self._writing(read_at or None), edits=edits)
        answer = await self._call(TRANSACT, request, timeout)
        return answer.header.revision

    async def _is_at(self, connection: Connection, timeout: float | None) -> bool:
        """Whether the daemon at that connection has this state; then its initial data are written."""
        await self._begin(timeout)
        own = self._source()
        if own is connection:
            return True
        server = await own.server(timeout)
        return (await connection.server(timeout)).is_copy(server.daemon_id, server.copy_id)

    async def _content(self, timeout: float | None) -> Value:
        """The whole tree, encoded."""
        answer = await self._call(READ, ReadRequest(state=self._reference), timeout)
        return answer.value
