"""Checkpoints: what each step of a workflow had come to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lastgood import arguments, convert
from lastgood.errors import CheckpointNotFoundError, InvalidArgumentError
from lastgood.models import Snapshot
from lastgood.operations import CREATE_CHECKPOINT, DELETE_CHECKPOINTS, GET_CHECKPOINT, LIST_CHECKPOINTS
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood.state.handle import Source, source_of
from lastgood.state.shared import SharedState
from lastgood.state.target import content_of, is_at
from lastgood.storage import FileCheckpointStorage
from lastgood.transport.registry import shared_connection
from lastgood.unpicklable import Unpicklable
from lastgood_proto.v1.checkpoints_pb2 import (
    CreateCheckpointRequest,
    DeleteCheckpointsRequest,
    GetCheckpointRequest,
    LastGoodCheckpoint,
    LatestCheckpoint,
    ListCheckpointsRequest,
)
from lastgood_proto.v1.common_pb2 import ChangeContext, Fence

if TYPE_CHECKING:
    from lastgood.client import Client

Metrics = ExecutionMetrics | Mapping[str, float]


class CheckpointManager(Unpicklable):
    """The checkpoints of the workflows of a daemon. Making one does no I/O.

    All calls take ``timeout``: seconds; None is the client's.

    Args:
        storage: the daemon that owns a folder; None is the client's daemon.
        client: None is the default one of this process and event loop.

    Raises:
        InvalidArgumentError: both were given, or ``storage`` is something else.
    """

    def __init__(self, storage: FileCheckpointStorage | None = None, *, client: "Client | None" = None) -> None:
        self._source: Source = shared_connection
        self._agent_id = ""
        if client is not None:
            if storage is not None:
                text = "a CheckpointManager takes a storage or a client, not both: each names a daemon"
                raise InvalidArgumentError(text, field="storage")
            self._source = source_of(client)
            self._agent_id = client.agent_id
        elif isinstance(storage, FileCheckpointStorage):
            self._source = storage._connection  # noqa: SLF001 - that is all there is to a storage
        elif storage is not None:
            text = f"storage must be a FileCheckpointStorage, got {arguments.type_name(storage)}"
            raise InvalidArgumentError(text, field="storage")

    async def create_checkpoint(  # what a checkpoint consists of
        self,
        workflow_id: str,
        step: int,
        agent_id: str,
        status: AgentStatus | str,
        state: SharedState | Snapshot | dict[str, Any],
        metrics: Metrics | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Checkpoint:
        """Record what a step has come to. The same workflow, step and attempt again replaces the checkpoint.

        Args:
            workflow_id: any non-empty text.
            step: from 0.
            agent_id: who made it.
            status: an AgentStatus; only ``COMPLETED`` makes a good checkpoint.
            state: a SharedState (its present revision; nothing is copied), a Snapshot, or a dict. The content of one that
                another daemon has is copied here.
            metrics: what it has cost: ExecutionMetrics, or a dict.
            metadata: a dict, kept with it.
            timeout: seconds; None is the client's.
        """
        return await self._create(workflow_id, step, agent_id, status, state, metrics, metadata, None, timeout)

    async def get_latest_checkpoint(self, workflow_id: str, *, timeout: float | None = None) -> Checkpoint | None:
        """Give the checkpoint of the highest step, of one step that of the highest attempt; None where there is none."""
        return await self._get(GetCheckpointRequest(workflow_id=_name(workflow_id), latest=LatestCheckpoint()), timeout)

    async def get_last_good_checkpoint(self, workflow_id: str, *, timeout: float | None = None) -> Checkpoint | None:
        """Give the checkpoint of the highest step that is completed; None where there is none."""
        request = GetCheckpointRequest(workflow_id=_name(workflow_id), last_good=LastGoodCheckpoint())
        return await self._get(request, timeout)

    async def get_checkpoint(self, workflow_id: str, step: int, *, timeout: float | None = None) -> Checkpoint:
        """Give the checkpoint of a step, that of the highest attempt.

        Raises:
            CheckpointNotFoundError: there is none.
        """
        found = await self._get(_of_step(workflow_id, step), timeout)
        if found is None:  # the daemon may say it either way
            text = f"workflow {workflow_id!r} has no checkpoint of step {step}"
            raise CheckpointNotFoundError(text, workflow_id=workflow_id, step=step)
        return found

    async def has_checkpoint(self, workflow_id: str, step: int | None = None, *, timeout: float | None = None) -> bool:
        """Tell whether there is a checkpoint of a step; without one, of any."""
        if step is None:
            return await self.get_latest_checkpoint(workflow_id, timeout=timeout) is not None
        try:
            await self.get_checkpoint(workflow_id, step, timeout=timeout)
        except CheckpointNotFoundError:
            return False
        return True

    async def list_checkpoints(self, workflow_id: str, *, timeout: float | None = None) -> list[Checkpoint]:
        """List the checkpoints of a workflow, by step, then attempt, superseded ones included."""
        request = ListCheckpointsRequest(workflow_id=_name(workflow_id))
        connection = self._source()
        found: list[Checkpoint] = []
        while True:
            answer = await connection.call(LIST_CHECKPOINTS, request, timeout=timeout)
            where = answer.header, connection.location.target
            found.extend(convert.checkpoint_from(each, *where) for each in answer.checkpoints)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def delete_checkpoints(self, workflow_id: str, step: int | None = None, *, timeout: float | None = None) -> bool:
        """Delete the checkpoints of a step, without one those of all, and tell whether there were any."""
        return await self._delete(workflow_id, step, None, timeout, effects=False)

    async def _create(  # noqa: PLR0913, PLR0917 - what a checkpoint consists of
        self,
        workflow_id: str,
        step: int,
        agent_id: str,
        status: AgentStatus | str,
        state: SharedState | Snapshot | dict[str, Any],
        metrics: Metrics | None,
        metadata: dict[str, Any] | None,
        fence: Fence | None,
        timeout: float | None,
    ) -> Checkpoint:
        author = arguments.check_text(agent_id, "agent_id", empty=True)
        request = CreateCheckpointRequest(
            context=ChangeContext(agent_id=author, fence=fence),
            workflow_id=_name(workflow_id),
            step=arguments.check_count(step, "step"),
            status=convert.status_to(AgentStatus.of(status)),
            metrics=None if metrics is None else convert.metrics_to(ExecutionMetrics.of(metrics)),
            metadata=arguments.encode_metadata(metadata),
        )
        await self._fill_in(request, state, timeout)
        connection = self._source()
        answer = await connection.call(CREATE_CHECKPOINT, request, timeout=timeout)
        return convert.checkpoint_from(answer.checkpoint, answer.header, connection.location.target)

    async def _fill_in(
        self, request: CreateCheckpointRequest, state: SharedState | Snapshot | dict[str, Any], timeout: float | None
    ) -> None:
        """Say what the checkpoint is made of."""
        connection = self._source()
        if isinstance(state, SharedState):
            if await state._is_at(connection, timeout):  # noqa: SLF001 - a state knows where it is
                request.state.CopyFrom(state._reference)  # noqa: SLF001 - and how it is named
            else:
                request.content.CopyFrom(await state._content(timeout))  # noqa: SLF001 - and what it contains
        elif isinstance(state, Snapshot):
            if await is_at(state, connection, timeout):
                request.snapshot.CopyFrom(convert.reference_to(state))
            else:
                request.content.CopyFrom(await content_of(state, timeout))
        elif isinstance(state, dict):
            request.content.CopyFrom(arguments.encode_map(state, "state"))
        else:
            text = f"state must be a SharedState, a Snapshot or a dict, got {arguments.type_name(state)}"
            raise InvalidArgumentError(text, field="state")

    async def _get(self, request: GetCheckpointRequest, timeout: float | None) -> Checkpoint | None:
        connection = self._source()
        answer = await connection.call(GET_CHECKPOINT, request, timeout=timeout)
        if not answer.HasField("checkpoint"):
            return None
        return convert.checkpoint_from(answer.checkpoint, answer.header, connection.location.target)

    async def _delete(
        self, workflow_id: str, step: int | None, fence: Fence | None, timeout: float | None, *, effects: bool
    ) -> bool:
        request = DeleteCheckpointsRequest(
            context=ChangeContext(agent_id=self._agent_id, fence=fence),
            workflow_id=_name(workflow_id),
            step=None if step is None else arguments.check_count(step, "step"),
            effects=effects,
        )
        answer = await self._source().call(DELETE_CHECKPOINTS, request, timeout=timeout)
        return answer.existed


def _name(workflow_id: str) -> str:
    return arguments.check_text(workflow_id, "workflow_id")


def _of_step(workflow_id: str, step: int) -> GetCheckpointRequest:
    return GetCheckpointRequest(workflow_id=_name(workflow_id), step=arguments.check_count(step, "step"))
