"""Durable shared state with rollback, for agents in separate processes: the async client of the lastgood daemon.

::

    import lastgood

    async with lastgood.connect() as client:  # the daemon of this user, started if none runs
        state = client.state("trip", agent_id="researcher")
        await state.set("research.findings", ["a", "b"])
        snapshot = await state.snapshot()
        await state.set("research.findings", ["bad data"])
        await state.restore(snapshot)

What is named here is the whole public surface; modules beneath it may change.
"""

from lastgood.arguments import join
from lastgood.checkpoints import CheckpointManager
from lastgood.client import Client, connect
from lastgood.errors import (
    CheckpointNotFoundError,
    ClientUnusableError,
    CorruptDataError,
    DaemonUnavailableError,
    FencedError,
    IncompatibleDaemonError,
    InDoubtError,
    InternalError,
    InvalidArgumentError,
    InvalidValueError,
    LastgoodError,
    LeaseLostError,
    NotFoundError,
    OutcomeUnknownError,
    OverloadedError,
    PathError,
    PermissionDeniedError,
    PoisonedStepError,
    RevisionConflictError,
    RevisionUnavailableError,
    SnapshotNotFoundError,
    StateExistsError,
    StateNotFoundError,
    StepOrderError,
    TooLargeError,
    UnauthenticatedError,
    WorkflowBusyError,
)
from lastgood.models import Difference, HistoryEntry, Lineage, Reading, ServerInfo, Snapshot
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood.state.shared import SharedState
from lastgood.state.transaction import Transaction
from lastgood.storage import FileCheckpointStorage
from lastgood.version import __version__
from lastgood.workflow import ResumableWorkflow

__all__ = [
    "AgentStatus",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "Client",
    "ClientUnusableError",
    "CorruptDataError",
    "DaemonUnavailableError",
    "Difference",
    "ExecutionMetrics",
    "FencedError",
    "FileCheckpointStorage",
    "HistoryEntry",
    "InDoubtError",
    "IncompatibleDaemonError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidValueError",
    "LastgoodError",
    "LeaseLostError",
    "Lineage",
    "NotFoundError",
    "OutcomeUnknownError",
    "OverloadedError",
    "PathError",
    "PermissionDeniedError",
    "PoisonedStepError",
    "Reading",
    "ResumableWorkflow",
    "RevisionConflictError",
    "RevisionUnavailableError",
    "ServerInfo",
    "SharedState",
    "Snapshot",
    "SnapshotNotFoundError",
    "StateExistsError",
    "StateNotFoundError",
    "StepOrderError",
    "TooLargeError",
    "Transaction",
    "UnauthenticatedError",
    "WorkflowBusyError",
    "__version__",
    "connect",
    "join",
]
