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
from lastgood.attempts import (
    Attempt,
    Effect,
    LeaseStatus,
    Rollback,
    StepStatus,
    UndoneRevision,
    WorkflowStatus,
)
from lastgood.checkpoints import CheckpointManager
from lastgood.client import Client, connect
from lastgood.doubt import NOT_DONE
from lastgood.errors import (
    CheckpointNotFoundError,
    ClientUnusableError,
    CorruptDataError,
    DaemonUnavailableError,
    EffectFailedError,
    FencedError,
    IncompatibleDaemonError,
    InDoubtError,
    InternalError,
    InvalidArgumentError,
    InvalidValueError,
    LastgoodError,
    LeaseLostError,
    NotFoundError,
    NotRedactableError,
    OutcomeUnknownError,
    OverloadedError,
    PathError,
    PermissionDeniedError,
    PoisonedStepError,
    RequestMismatchError,
    RevisionConflictError,
    RevisionUnavailableError,
    SnapshotNotFoundError,
    StateExistsError,
    StateNotFoundError,
    StepOrderError,
    StoreReplacedError,
    TooLargeError,
    UnauthenticatedError,
    ValueNotCarriedError,
    WorkflowBusyError,
)
from lastgood.maintenance import Backup, Problem, Verification
from lastgood.models import Difference, HistoryEntry, Lineage, Preview, Reading, Redaction, ServerInfo, Snapshot
from lastgood.progress import AgentStatus, Checkpoint, ExecutionMetrics
from lastgood.retention import Compaction, Retention, RetentionInForce
from lastgood.retry import Retry
from lastgood.state.shared import SharedState
from lastgood.state.transaction import Transaction
from lastgood.storage import FileCheckpointStorage
from lastgood.version import __version__
from lastgood.workflow import ResumableWorkflow, Step

__all__ = [
    "NOT_DONE",
    "AgentStatus",
    "Attempt",
    "Backup",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "Client",
    "ClientUnusableError",
    "Compaction",
    "CorruptDataError",
    "DaemonUnavailableError",
    "Difference",
    "Effect",
    "EffectFailedError",
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
    "LeaseStatus",
    "Lineage",
    "NotFoundError",
    "NotRedactableError",
    "OutcomeUnknownError",
    "OverloadedError",
    "PathError",
    "PermissionDeniedError",
    "PoisonedStepError",
    "Preview",
    "Problem",
    "Reading",
    "Redaction",
    "RequestMismatchError",
    "ResumableWorkflow",
    "Retention",
    "RetentionInForce",
    "Retry",
    "RevisionConflictError",
    "RevisionUnavailableError",
    "Rollback",
    "ServerInfo",
    "SharedState",
    "Snapshot",
    "SnapshotNotFoundError",
    "StateExistsError",
    "StateNotFoundError",
    "Step",
    "StepOrderError",
    "StepStatus",
    "StoreReplacedError",
    "TooLargeError",
    "Transaction",
    "UnauthenticatedError",
    "UndoneRevision",
    "ValueNotCarriedError",
    "Verification",
    "WorkflowBusyError",
    "WorkflowStatus",
    "__version__",
    "connect",
    "join",
]
