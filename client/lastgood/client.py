"""The client: a connection to one daemon, and what is made on it."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from lastgood import arguments, convert
from lastgood.attempts import WorkflowStatus
from lastgood.checkpoints import CheckpointManager
from lastgood.convert_retention import compaction_from, in_force_from, retention_to
from lastgood.convert_workflows import workflow_from
from lastgood.credentials import TLS
from lastgood.errors import InvalidArgumentError
from lastgood.locate import locate, may_autostart
from lastgood.maintenance import Backup, Problem, Verification
from lastgood.models import ServerInfo
from lastgood.operations import (
    BACKUP,
    COMPACT,
    DELETE_STATE,
    DELETE_WORKFLOW,
    EXPORT_STATE,
    GET_RETENTION,
    GET_SERVER_INFO,
    IMPORT_STATE,
    LIST_STATES,
    LIST_WORKFLOWS,
    SET_RETENTION,
    VERIFY,
)
from lastgood.retention import Compaction, Retention, RetentionInForce
from lastgood.state.shared import SharedState
from lastgood.transfer import Text, pieces_of
from lastgood.transport.connection import DEFAULT_TIMEOUT, Connection
from lastgood.transport.registry import register
from lastgood.unpicklable import Unpicklable
from lastgood.workflow import ResumableWorkflow
from lastgood_proto.texts import MAX_PATH_BYTES
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence, StateRef
from lastgood_proto.v1.maintenance_pb2 import BackupRequest, VerifyRequest
from lastgood_proto.v1.retention_pb2 import CompactRequest, GetRetentionRequest, SetRetentionRequest
from lastgood_proto.v1.server_pb2 import GetServerInfoRequest
from lastgood_proto.v1.state_pb2 import DeleteStateRequest, ListStatesRequest
from lastgood_proto.v1.transfer_pb2 import ExportStateRequest, ImportStateRequest
from lastgood_proto.v1.workflows_pb2 import DeleteWorkflowRequest, ListWorkflowsRequest


class Client(Unpicklable):
    """A connection to one daemon. Made by ``lastgood.connect``.

    It connects at ``async with`` or ``await``, otherwise with its first call; a daemon that restarts is found again.
    It belongs to the event loop of its first call, and does not survive a fork.
    """

    def __init__(self, connection: Connection, *, agent_id: str | None = None) -> None:
        self._connection = connection
        self._agent_id = arguments.check_text(agent_id or "", "agent_id", empty=True)
        self._checkpoints: CheckpointManager | None = None

    @property
    def agent_id(self) -> str:
        """Who is recorded as the author, where a state's handle says nothing else; ``""`` for nobody."""
        return self._agent_id

    @property
    def checkpoints(self) -> CheckpointManager:
        """The checkpoints of this daemon."""
        if self._checkpoints is None:
            self._checkpoints = CheckpointManager(client=self)
        return self._checkpoints

    def __repr__(self) -> str:
        """For people."""
        return f"<lastgood.Client of {self._connection.location}>"

    def __await__(self) -> Generator[Any, None, Self]:
        """Connect now: ``client = await lastgood.connect()``. Then ``aclose`` ends it."""
        return self._connect().__await__()

    async def __aenter__(self) -> Self:
        """Connect now."""
        return await self._connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; calls that are under way fail. Closing again does nothing."""
        await self._connection.aclose()

    def state(
        self, state_id: str, *, agent_id: str | None = None, initial_data: dict[str, Any] | None = None
    ) -> SharedState:
        """Make a handle of a state, without I/O.

        Args:
            state_id: any non-empty text.
            agent_id: recorded as the author of what is written through it; None is the client's.
            initial_data: written before the handle's first call, if nobody has written anything by then.
        """
        return SharedState(
            arguments.check_text(state_id, "state_id"), agent_id=agent_id, initial_data=initial_data, client=self
        )

    def workflow(
        self,
        workflow_id: str,
        *,
        initial_state: dict[str, Any] | None = None,
        lease: float = 30.0,
        wait: bool = False,
        poison_after: int | None = 3,
    ) -> ResumableWorkflow:
        """Make a workflow's object, without I/O. See ``ResumableWorkflow``."""
        return ResumableWorkflow(
            workflow_id,
            self.checkpoints,
            initial_state=initial_state,
            lease=lease,
            wait=wait,
            poison_after=poison_after,
        )

    def join(self, token: str, *, agent_id: str | None = None) -> SharedState:
        """Make a handle of a workflow's state that belongs to the attempt of another process, without I/O.

        Args:
            token: that workflow's ``join_token``. Once its attempt is over, what is written is refused with FencedError.
            agent_id: recorded as the author of what is written through it; None is the client's.
        """
        begun, separator, workflow_id = arguments.check_text(token, "token", limit=MAX_PATH_BYTES).partition("@")
        attempt, _, copy_id = begun.partition("-")
        if not (separator and workflow_id and attempt.isascii() and attempt.isdigit() and 0 < int(attempt) < 2**64):
            text = f"token must be the join_token of a workflow, such as '3@wf-123', got {token!r}"
            raise InvalidArgumentError(text, field="token")
        arguments.check_text(workflow_id, "token")
        author = self._agent_id if agent_id is None else arguments.check_text(agent_id, "agent_id", empty=True)
        fence = Fence(workflow_id=workflow_id, attempt=int(attempt), copy_id=copy_id)
        return SharedState._of(workflow_id, self._connected, agent_id=author, fence=fence)  # noqa: SLF001 - as the workflow itself does

    async def list_states(self, *, timeout: float | None = None) -> list[str]:
        """List the ids of the states there are, in their order. Copies made for checkpoints are left out.

        One whose record is damaged is listed; what is asked of it is refused with CorruptDataError.
        """
        request = ListStatesRequest()
        found: list[str] = []
        while True:
            answer = await self._connection.call(LIST_STATES, request, timeout=timeout)
            found.extend(answer.state_ids)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def list_workflows(self, *, timeout: float | None = None) -> list[WorkflowStatus]:
        """Tell how each workflow stands at this moment, in the order of their ids."""
        request = ListWorkflowsRequest()
        found: list[WorkflowStatus] = []
        while True:
            answer = await self._connection.call(LIST_WORKFLOWS, request, timeout=timeout)
            found.extend(map(workflow_from, answer.workflows))
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def delete_state(self, state_id: str, *, timeout: float | None = None) -> bool:
        """Delete a state with its history and snapshots, and the workflow of its id; tell whether there was one.

        Handles that have been used are refused from then on (StateNotFoundError); new ones begin at revision 0.
        """
        request = DeleteStateRequest(
            state=StateRef(state_id=arguments.check_text(state_id, "state_id")),
            context=ChangeContext(agent_id=self._agent_id),
        )
        answer = await self._connection.call(DELETE_STATE, request, timeout=timeout)
        return answer.existed

    async def delete_workflow(self, workflow_id: str, *, timeout: float | None = None) -> bool:
        """Delete a workflow with its attempts, checkpoints and effects; tell whether there was one.

        The state of its id stays; ``delete_state`` deletes both. Attempts that are at work are refused from then on
        (FencedError), and effects get new idempotency keys.

        Raises:
            WorkflowBusyError: it is claimed.
        """
        request = DeleteWorkflowRequest(
            workflow_id=arguments.check_text(workflow_id, "workflow_id"), context=ChangeContext(agent_id=self._agent_id)
        )
        return (await self._connection.call(DELETE_WORKFLOW, request, timeout=timeout)).existed

    async def export_state(self, state_id: str, *, timeout: float | None = None) -> AsyncIterator[str]:
        """Give a state with its history and its snapshots as JSON lines, each with the end of the line.

        It is the state as it is when the first line is asked for. What belongs to a workflow (attempts, checkpoints,
        effects) is not part of it. ``timeout`` is that of each piece.
        """
        request = ExportStateRequest(state=StateRef(state_id=arguments.check_text(state_id, "state_id")))
        text = Text()
        while True:
            answer = await self._connection.call(EXPORT_STATE, request, timeout=timeout)
            lines = text.lines_with(answer.data)
            while lines:
                yield lines.popleft()
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token
            request.state.incarnation = answer.header.incarnation

    async def import_state(
        self, state_id: str, lines: Iterable[str] | AsyncIterable[str], *, timeout: float | None = None
    ) -> int:
        """Make a state, with its history and its snapshots, of the lines of an export; gives its revision.

        Nobody sees anything of it before the last line has come, and nothing is left of it where a line does not fit
        (InvalidArgumentError says which, and why). ``timeout`` is that of each piece.

        Args:
            state_id: what it is to be called: the id that it had, or another. StateExistsError where somebody has written
                that already.
            lines: those that ``export_state`` gives; an open file, say.
            timeout: seconds; None is the client's.
        """
        context = ChangeContext(agent_id=self._agent_id)
        checked, import_id = arguments.check_text(state_id, "state_id"), uuid4().hex
        offset = 0
        async for data, last in pieces_of(lines):
            request = ImportStateRequest(
                context=context, state_id=checked, import_id=import_id, offset=offset, data=data, last=last
            )
            answer = await self._connection.call(IMPORT_STATE, request, timeout=timeout)
            offset += len(data)
        return answer.header.revision

    async def set_retention(
        self, retention: Retention | None, state_id: str | None = None, *, timeout: float | None = None
    ) -> None:
        """Say how long the past is kept. The daemon applies that by itself every now and then, or at once by ``compact``.

        Args:
            retention: the policy; None removes it.
            state_id: of which state or workflow. One of its own replaces the default as a whole, and stays when that is
                deleted. None: the default, for all that have none of their own.
            timeout: seconds; None is the client's.
        """
        _check_retention(retention)
        request = SetRetentionRequest(
            context=ChangeContext(agent_id=self._agent_id),
            state_id=_id_or_all(state_id),
            retention=None if retention is None else retention_to(retention),
        )
        await self._connection.call(SET_RETENTION, request, timeout=timeout)

    async def get_retention(self, state_id: str | None = None, *, timeout: float | None = None) -> RetentionInForce:
        """Tell which policy is in force for a state or workflow; without one, the default."""
        request = GetRetentionRequest(state_id=_id_or_all(state_id))
        return in_force_from(await self._connection.call(GET_RETENTION, request, timeout=timeout))

    async def compact(
        self,
        state_id: str | None = None,
        *,
        dry_run: bool = False,
        retention: Retention | None = None,
        timeout: float | None = None,
    ) -> Compaction:
        """Apply the policies now: to a state and the workflow of its id, or to all. Tells what went.

        Where there is much to do, give it time. If that runs out (OutcomeUnknownError), the daemon goes on with it all the
        same; asking again does no harm.

        Args:
            state_id: of which state; None: of all.
            dry_run: only tell what would go. Checkpoints that would go still pin their revisions in that.
            retention: with ``dry_run``, what would go under this policy, as if it were set.
            timeout: seconds; None is the client's.
        """
        _check_retention(retention)
        request = CompactRequest(
            context=ChangeContext(agent_id=self._agent_id),
            state_id=_id_or_all(state_id),
            dry_run=dry_run,
            retention=None if retention is None else retention_to(retention),
        )
        return compaction_from((await self._connection.call(COMPACT, request, timeout=timeout)).compaction)

    async def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """Tell about the daemon: its version, its address, its folder, its id."""
        answer = await self._connection.call(GET_SERVER_INFO, GetServerInfoRequest(), timeout=timeout)
        return convert.server_from(answer.server)

    async def backup(self, path: str | os.PathLike[str], *, timeout: float | None = None) -> Backup:
        """Make a folder that holds a copy of the whole store, while everybody works on.

        Everything that was acknowledged before the call is in it. To restore it is to serve it: ``connect(data_dir=path)``.

        Args:
            path: the folder to make, on the machine of the daemon. It appears whole or not at all.
            timeout: seconds; None: an hour, since a large store takes its time, unless the daemon answers nothing any more.

        Raises:
            InvalidArgumentError: it cannot be made there.
            OverloadedError: there is no room for it there.
        """
        folder = arguments.absolute_path(path, "path")
        await self._connection.server(timeout)
        answer = await self._connection.call_patiently(BACKUP, BackupRequest(path=folder), timeout=timeout)
        return Backup(path=answer.path, size=answer.bytes)

    async def verify(self, *, timeout: float | None = None) -> Verification:
        """Read all that is stored, and tell what of it is not what was written. Changes nothing, and keeps nobody waiting.

        Args:
            timeout: seconds for a part of it that should take one; None: an hour, since it may be one large state,
                unless the daemon answers nothing any more.
        """
        await self._connection.server(timeout)
        request = VerifyRequest()
        states = revisions = records = 0
        problems: list[Problem] = []
        while True:
            answer = await self._connection.call_patiently(VERIFY, request, timeout=timeout)
            states, revisions, records = states + answer.states, revisions + answer.revisions, records + answer.records
            problems.extend(Problem(each.where, each.what) for each in answer.problems)
            if not answer.next_page_token:
                return Verification(states, revisions, records, tuple(problems))
            request.page_token = answer.next_page_token

    async def _connect(self) -> Self:
        try:
            await self._connection.server()
        except BaseException:
            await self.aclose()
            raise
        return self

    def _connected(self) -> Connection:
        return self._connection


def _check_retention(retention: Retention | None) -> None:
    if retention is not None and not isinstance(retention, Retention):
        text = f"retention must be a Retention or None, got {arguments.type_name(retention)}"
        raise InvalidArgumentError(text, field="retention")


def _id_or_all(state_id: str | None) -> str:
    return "" if state_id is None else arguments.check_text(state_id, "state_id")


def connect(  # all but the first by name
    address: str | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    agent_id: str | None = None,
    token: str | None = None,
    tls: TLS | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    autostart: bool | None = None,
) -> Client:
    """Give a client of a daemon: ``async with lastgood.connect() as client``, or ``client = await lastgood.connect()``.

    Args:
        address: ``unix:/path`` or ``host:port``.
        data_dir: the folder whose daemon it is to be, where no address is given. Neither: ``LASTGOOD_ADDRESS``,
            ``LASTGOOD_DATA_DIR``, or the default folder: ``$XDG_STATE_HOME/lastgood``, normally
            ``~/.local/state/lastgood``.
        agent_id: recorded as the author of what is written.
        token: proves who is calling, where the daemon asks for it; without one, ``LASTGOOD_TOKEN``.
        tls: True (the system's authorities), the path of a PEM file of authorities, or ``grpc.ChannelCredentials``. None
            does as ``LASTGOOD_TLS`` says: ``1``, or such a path. A socket of this machine has no need of it.
        timeout: seconds for connecting, and for each call.
        autostart: whether a folder's daemon that is not running is started, as a process of its own; None does as
            ``LASTGOOD_AUTOSTART`` says, and without that starts it. One at an address is never started.

    Raises:
        InvalidArgumentError: an argument makes no sense.
        DaemonUnavailableError: when it connects: no daemon answered in time, or none could be started.
    """
    connection = Connection(
        locate(address, data_dir),
        token=token,
        tls=tls,
        timeout=timeout,
        autostart=may_autostart(autostart=autostart),
    )
    return Client(register(connection), agent_id=agent_id)
