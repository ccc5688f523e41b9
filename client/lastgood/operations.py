"""Every operation that travels on the session stream: its name there, its messages, and whether it writes.

Whether it writes decides what becomes of a call whose answer is lost: a read may simply be repeated by anyone, a write only
under its old identity.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

from lastgood_proto.v1 import checkpoints_pb2 as checkpoints
from lastgood_proto.v1 import common_pb2 as common
from lastgood_proto.v1 import history_pb2 as history
from lastgood_proto.v1 import maintenance_pb2 as maintenance
from lastgood_proto.v1 import redaction_pb2 as redaction
from lastgood_proto.v1 import retention_pb2 as retention
from lastgood_proto.v1 import server_pb2 as server
from lastgood_proto.v1 import state_pb2 as state
from lastgood_proto.v1 import transfer_pb2 as transfer
from lastgood_proto.v1 import workflows_pb2 as workflows


class Answer(Protocol):
    """What every answer has."""

    @property
    def header(self) -> common.ResponseHeader:
        """Who answered, and the revision."""


Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Answer)


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Request, Response]):
    """One operation.

    Attributes:
        name: of its field in ``Call`` and in ``Reply``.
        request: its message there.
        response: its message here.
        writes: whether it may change something.
    """

    name: str
    request: type[Request]
    response: type[Response]
    writes: bool = True


READ = Operation("read", state.ReadRequest, state.ReadResponse, writes=False)
LIST_KEYS = Operation("list_keys", state.ListKeysRequest, state.ListKeysResponse, writes=False)
SET = Operation("set", state.SetRequest, state.SetResponse)
UPDATE = Operation("update", state.UpdateRequest, state.UpdateResponse)
MERGE = Operation("merge", state.MergeRequest, state.MergeResponse)
APPEND = Operation("append", state.AppendRequest, state.AppendResponse)
INCREMENT = Operation("increment", state.IncrementRequest, state.IncrementResponse)
DELETE = Operation("delete", state.DeleteRequest, state.DeleteResponse)
TRANSACT = Operation("transact", state.TransactRequest, state.TransactResponse)
LIST_STATES = Operation("list_states", state.ListStatesRequest, state.ListStatesResponse, writes=False)
DELETE_STATE = Operation("delete_state", state.DeleteStateRequest, state.DeleteStateResponse)

CREATE_SNAPSHOT = Operation("create_snapshot", history.CreateSnapshotRequest, history.CreateSnapshotResponse)
GET_SNAPSHOT = Operation("get_snapshot", history.GetSnapshotRequest, history.GetSnapshotResponse, writes=False)
LIST_SNAPSHOTS = Operation("list_snapshots", history.ListSnapshotsRequest, history.ListSnapshotsResponse, writes=False)
DELETE_SNAPSHOT = Operation("delete_snapshot", history.DeleteSnapshotRequest, history.DeleteSnapshotResponse)
RESTORE = Operation("restore", history.RestoreRequest, history.RestoreResponse)
PREVIEW = Operation("preview", history.PreviewRequest, history.PreviewResponse, writes=False)
DIFF = Operation("diff", history.DiffRequest, history.DiffResponse, writes=False)
LIST_HISTORY = Operation("list_history", history.ListHistoryRequest, history.ListHistoryResponse, writes=False)
FORK = Operation("fork", history.ForkRequest, history.ForkResponse)
GET_LINEAGE = Operation("get_lineage", history.GetLineageRequest, history.GetLineageResponse, writes=False)

CREATE_CHECKPOINT = Operation("create_checkpoint", checkpoints.CreateCheckpointRequest, checkpoints.CreateCheckpointResponse)
GET_CHECKPOINT = Operation(
    "get_checkpoint", checkpoints.GetCheckpointRequest, checkpoints.GetCheckpointResponse, writes=False
)
LIST_CHECKPOINTS = Operation(
    "list_checkpoints", checkpoints.ListCheckpointsRequest, checkpoints.ListCheckpointsResponse, writes=False
)
DELETE_CHECKPOINTS = Operation(
    "delete_checkpoints", checkpoints.DeleteCheckpointsRequest, checkpoints.DeleteCheckpointsResponse
)

RESUME = Operation("resume", workflows.ResumeRequest, workflows.ResumeResponse)
CLAIM = Operation("claim", workflows.ClaimRequest, workflows.ClaimResponse)
RENEW = Operation("renew", workflows.RenewRequest, workflows.RenewResponse)
GIVE_UP = Operation("give_up", workflows.GiveUpRequest, workflows.GiveUpResponse)
BEGIN_STEP = Operation("begin_step", workflows.BeginStepRequest, workflows.BeginStepResponse)
COMPLETE_STEP = Operation("complete_step", workflows.CompleteStepRequest, workflows.CompleteStepResponse)
FAIL_STEP = Operation("fail_step", workflows.FailStepRequest, workflows.FailStepResponse)
CLAIM_EFFECT = Operation("claim_effect", workflows.ClaimEffectRequest, workflows.ClaimEffectResponse)
RECORD_EFFECT = Operation("record_effect", workflows.RecordEffectRequest, workflows.RecordEffectResponse)
RELEASE = Operation("release", workflows.ReleaseRequest, workflows.ReleaseResponse)
GET_WORKFLOW = Operation("get_workflow", workflows.GetWorkflowRequest, workflows.GetWorkflowResponse, writes=False)
LIST_WORKFLOWS = Operation("list_workflows", workflows.ListWorkflowsRequest, workflows.ListWorkflowsResponse, writes=False)
LIST_ATTEMPTS = Operation("list_attempts", workflows.ListAttemptsRequest, workflows.ListAttemptsResponse, writes=False)
DELETE_WORKFLOW = Operation("delete_workflow", workflows.DeleteWorkflowRequest, workflows.DeleteWorkflowResponse)
LIST_EFFECTS = Operation("list_effects", workflows.ListEffectsRequest, workflows.ListEffectsResponse, writes=False)

SET_RETENTION = Operation("set_retention", retention.SetRetentionRequest, retention.SetRetentionResponse)
GET_RETENTION = Operation("get_retention", retention.GetRetentionRequest, retention.GetRetentionResponse, writes=False)
COMPACT = Operation("compact", retention.CompactRequest, retention.CompactResponse)
BACKUP = Operation("backup", maintenance.BackupRequest, maintenance.BackupResponse)
VERIFY = Operation("verify", maintenance.VerifyRequest, maintenance.VerifyResponse, writes=False)

REDACT = Operation("redact", redaction.RedactRequest, redaction.RedactResponse)

EXPORT_STATE = Operation("export_state", transfer.ExportStateRequest, transfer.ExportStateResponse, writes=False)
IMPORT_STATE = Operation("import_state", transfer.ImportStateRequest, transfer.ImportStateResponse)

GET_SERVER_INFO = Operation("get_server_info", server.GetServerInfoRequest, server.GetServerInfoResponse, writes=False)
