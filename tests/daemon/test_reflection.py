"""A client in another language: it knows the daemon's address and JSON, and learns everything else by reflection."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tests.support.daemons import DaemonProcess

SERVICES = (
    "StateService",
    "HistoryService",
    "CheckpointService",
    "WorkflowService",
    "RetentionService",
    "MaintenanceService",
    "RedactionService",
    "ServerService",
)


class ForeignClient:
    """Calls any method by name, with requests and answers as JSON."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def methods(self) -> Iterator[MethodDescriptor]:
        for service in SERVICES:
            yield from self.pool.FindServiceByName(f"lastgood.v1.{service}").methods

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        service, _, method = name.partition(".")
        descriptor = self.pool.FindServiceByName(f"lastgood.v1.{service}").FindMethodByName(method)
        message = json_format.ParseDict(request, message_factory.GetMessageClass(descriptor.input_type)())
        method_call: Any = self._channel.unary_unary(
            f"/lastgood.v1.{service}/{method}",
            request_serializer=lambda outgoing: outgoing.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        answer = method_call(message, timeout=20)
        decoded: dict[str, Any] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
        return decoded


@pytest.fixture
def foreign(daemon: DaemonProcess) -> Iterator[ForeignClient]:
    with grpc.insecure_channel(daemon.address) as channel:
        yield ForeignClient(channel)


def value(content: object) -> dict[str, str]:
    return {"json": json.dumps(content)}


def test_the_main_job_by_reflection_alone(foreign: ForeignClient, state_id: str) -> None:
    context = {"state": {"state_id": state_id}, "agent_id": "go-agent"}
    state = {"state_id": state_id}
    assert "lastgood.v1.StateService" in foreign.database.get_services()
    first = foreign.call("StateService.Set", {"context": context, "path": "findings", "value": value(["a", "b"])})
    assert first["header"]["revision"] == "1"
    snapshot = foreign.call("HistoryService.CreateSnapshot", {"state": state, "label": "good"})["snapshot"]
    foreign.call("StateService.Set", {"context": context, "path": "findings", "value": value("garbage")})
    foreign.call(
        "CheckpointService.CreateCheckpoint",
        {"workflow_id": state_id, "step": 1, "status": "AGENT_STATUS_COMPLETED", "snapshot": snapshot["ref"]},
    )
    foreign.call("HistoryService.Restore", {"context": context, "target": {"snapshot": snapshot["ref"]}})
    assert read(foreign, state_id, "findings") == ["a", "b"]
    history = foreign.call("HistoryService.ListHistory", {"state": state, "path": "findings"})["entries"]
    assert [entry["operation"] for entry in history] == ["set", "set", "restore"]
    foreign.call("StateService.Set", {"context": context, "path": "findings", "value": value("garbage again")})
    resumed = foreign.call("WorkflowService.Resume", {"workflow_id": state_id})
    assert resumed["next_step"] == "2"
    assert read(foreign, state_id, "findings") == ["a", "b"]


def read(foreign: ForeignClient, state_id: str, path: str) -> object:
    answer = foreign.call(
        "StateService.Read", {"state": {"state_id": state_id}, "path": path, "value_format": "VALUE_FORMAT_JSON"}
    )
    decoded: object = json.loads(answer["value"]["json"])
    return decoded


def test_each_unary_method_answers(foreign: ForeignClient, state_id: str, tmp_path: Path) -> None:
    """Each is called once, on a state with a little of everything in it; none may be missing from the table."""
    state = {"state_id": state_id}
    context = {"state": state, "agent_id": "tester"}
    foreign.call("StateService.Set", {"context": context, "path": "list", "value": value([1])})
    snapshot_id = foreign.call("HistoryService.CreateSnapshot", {"state": state})["snapshot"]["snapshot_id"]
    workflow = {"workflow_id": state_id}
    first, second = ({"context": {"fence": {"workflow_id": state_id, "attempt": n}}} for n in (1, 2))
    requests: dict[str, dict[str, Any]] = {
        "StateService.Read": {"state": state, "path": "list"},
        "StateService.ListKeys": {"state": state},
        "StateService.Set": {"context": context, "path": "a", "value": value(1)},
        "StateService.Update": {"context": context, "assignments": [{"path": "b", "value": value(1)}]},
        "StateService.Merge": {"context": context, "path": "", "data": value({"c": {"d": None}})},
        "StateService.Append": {"context": context, "path": "list", "items": [value("x")]},
        "StateService.Increment": {"context": context, "path": "n", "by": value(2)},
        "StateService.Delete": {"context": context, "path": "b"},
        "StateService.Transact": {"context": context, "edits": [{"path": "t", "set": value("x")}]},
        "StateService.ListStates": {},
        "HistoryService.CreateSnapshot": {"state": state},
        "HistoryService.GetSnapshot": {"state": state, "snapshot_id": snapshot_id},
        "HistoryService.ListSnapshots": {"state": state},
        "HistoryService.Restore": {"context": context, "target": {"revision": 1}},
        "HistoryService.Preview": {"state": state, "target": {"revision": 2}},
        "HistoryService.Diff": {"state": state, "old": {"revision": 2}},
        "HistoryService.ListHistory": {"state": state},
        "HistoryService.Fork": {"state": state},
        "HistoryService.GetLineage": {"state": state},
        "HistoryService.DeleteSnapshot": {"state": state, "snapshot_id": snapshot_id},
        "CheckpointService.CreateCheckpoint": {**workflow, "step": 1, "status": "AGENT_STATUS_COMPLETED", "state": state},
        "CheckpointService.GetCheckpoint": {**workflow, "latest": {}},
        "CheckpointService.ListCheckpoints": workflow,
        "CheckpointService.DeleteCheckpoints": workflow,
        "WorkflowService.Claim": {**workflow, "claim_id": "c", "lease_ms": 60_000},
        "WorkflowService.Renew": {**workflow, **first},
        "WorkflowService.BeginStep": {**workflow, **first},
        "WorkflowService.ClaimEffect": {**workflow, **first, "key": "mail"},
        "WorkflowService.RecordEffect": {**workflow, **first, "key": "mail", "result": value({"sent": True})},
        "WorkflowService.CompleteStep": {**workflow, **first},
        "WorkflowService.GetWorkflow": workflow,
        "WorkflowService.ListWorkflows": {},
        "WorkflowService.ListAttempts": workflow,
        "WorkflowService.ListEffects": workflow,
        "WorkflowService.GiveUp": {**workflow, "claim_id": "c"},
        "WorkflowService.Resume": workflow,
        "WorkflowService.FailStep": {**workflow, **second, "step": 1},
        "WorkflowService.Release": workflow,
        "WorkflowService.DeleteWorkflow": workflow,
        "RetentionService.SetRetention": {"state_id": "reflected", "retention": {"revisions": 10, "age": "60s"}},
        "RetentionService.GetRetention": {"state_id": "reflected"},
        "RetentionService.Compact": {"state_id": "reflected"},
        "MaintenanceService.Backup": {"path": str(tmp_path / "backup")},
        "MaintenanceService.Verify": {},
        "RedactionService.Redact": {"context": {"state": state}, "text": "not there"},
        "ServerService.GetServerInfo": {},
        "StateService.DeleteState": {"state": state},
    }
    assert set(requests) == {f"{method.containing_service.name}.{method.name}" for method in foreign.methods()}
    for name, request in requests.items():
        if name == "WorkflowService.FailStep":
            foreign.call("WorkflowService.BeginStep", request)
        assert foreign.call(name, request)["header"]["daemon_id"], name
