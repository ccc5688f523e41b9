"""Unary calls, as grpcurl and clients in other languages make them: JSON values, idempotency keys, error details."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess
from tests.support.sessions import details_of

from lastgood_proto.v1 import (
    checkpoints_pb2,
    checkpoints_pb2_grpc,
    common_pb2,
    history_pb2,
    history_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    retention_pb2,
    retention_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    state_pb2,
    state_pb2_grpc,
    workflows_pb2,
    workflows_pb2_grpc,
)

MODULES = {
    "State": (state_pb2, state_pb2_grpc.StateServiceStub),
    "History": (history_pb2, history_pb2_grpc.HistoryServiceStub),
    "Checkpoint": (checkpoints_pb2, checkpoints_pb2_grpc.CheckpointServiceStub),
    "Workflow": (workflows_pb2, workflows_pb2_grpc.WorkflowServiceStub),
    "Retention": (retention_pb2, retention_pb2_grpc.RetentionServiceStub),
    "Maintenance": (maintenance_pb2, maintenance_pb2_grpc.MaintenanceServiceStub),
    "Server": (server_pb2, server_pb2_grpc.ServerServiceStub),
}
CALL_SECONDS = 20.0
COMPLETED = checkpoints_pb2.AGENT_STATUS_COMPLETED


class Grpcurl:
    """Calls with requests as JSON, as grpcurl does."""

    def __init__(self, address: str) -> None:
        self._channel = aio.insecure_channel(address)

    async def __call__(self, method: str, **request: object) -> Any:  # noqa: ANN401 - the response of the method
        service, name = method.split(".")
        module, stub = MODULES[service]
        message: Message = ParseDict(request, getattr(module, f"{name}Request")())
        return await getattr(stub(self._channel), name)(message, timeout=CALL_SECONDS)

    async def refused(self, method: str, **request: object) -> tuple[StatusCode, str, dict[str, str]]:
        """A call that fails: its code, and reason and metadata of the details."""
        with pytest.raises(aio.AioRpcError) as failure:
            await self(method, **request)
        trailing: dict[str, Any] = dict(iter(failure.value.trailing_metadata() or ()))
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        assert status.code == failure.value.code().value[0]
        assert status.message == failure.value.details()
        reason, metadata = details_of(status)
        return failure.value.code(), reason.removeprefix("ERROR_REASON_"), metadata

    async def close(self) -> None:
        await self._channel.close()


@pytest.fixture
async def call(daemon: DaemonProcess) -> AsyncIterator[Grpcurl]:
    grpcurl = Grpcurl(daemon.address)
    yield grpcurl
    await grpcurl.close()


def into(state_id: str, key: str = "", **context: object) -> dict[str, Any]:
    return {"state": {"state_id": state_id}, "idempotency_key": key and f"{state_id} {key}", **context}


def of(state_id: str) -> dict[str, str]:
    return {"state_id": state_id}


async def content(call: Grpcurl, state_id: str) -> object:
    answer = await call("State.Read", state=of(state_id))
    return msgspec.msgpack.decode(answer.value.msgpack)


# One test a service: everything twice under one key, and the second time nothing happens.


async def test_state_service(call: Grpcurl, state_id: str) -> None:
    writes: list[tuple[str, dict[str, Any]]] = [
        ("Set", {"path": "a", "value": {"json": '{"x": [1, 2.5, null, true, "ü"]}'}}),
        ("Update", {"assignments": [{"path": "b", "value": {"json": "1"}}, {"path": "c", "value": {"json": "2"}}]}),
        ("Merge", {"path": "", "data": {"json": '{"a": {"y": 1}}'}}),
        ("Append", {"path": "l", "items": [{"json": "1"}, {"json": '"two"'}]}),
        ("Increment", {"path": "n", "by": {"json": "5"}}),
        ("Delete", {"path": "c"}),
        ("Transact", {"edits": [{"path": "t", "set": {"json": "0"}}, {"path": "n", "increment": {"json": "1"}}]}),
    ]
    for revision, (name, request) in enumerate(writes, 1):
        first = await call(f"State.{name}", context=into(state_id, name), **request)
        again = await call(f"State.{name}", context=into(state_id, name), **request)
        assert again == first
        assert first.header.revision == revision
        if name == "Increment":
            assert msgspec.msgpack.decode(first.value.msgpack) == 5
    assert await content(call, state_id) == {
        "a": {"x": [1, 2.5, None, True, "ü"], "y": 1},
        "b": 1,
        "l": [1, "two"],
        "n": 6,
        "t": 0,
    }
    keys = await call("State.ListKeys", state=of(state_id))
    assert list(keys.keys) == ["a", "b", "l", "n", "t"]
    context = {"idempotency_key": f"{state_id} delete"}
    first = await call("State.DeleteState", state=of(state_id), context=context)
    assert first.existed
    assert await call("State.DeleteState", state=of(state_id), context=context) == first
    assert not (await call("State.DeleteState", state=of(state_id))).existed
    assert state_id not in (await call("State.ListStates")).state_ids


async def test_history_service(call: Grpcurl, state_id: str) -> None:
    for number in ("1", "2"):
        await call("State.Set", context=into(state_id), path="a", value={"json": number})

    def key(name: str) -> dict[str, str]:
        return {"idempotency_key": f"{state_id} {name}"}

    taken = await call("History.CreateSnapshot", state=of(state_id), context=key("snapshot"), label="here")
    assert await call("History.CreateSnapshot", state=of(state_id), context=key("snapshot"), label="here") == taken
    snapshot_id = taken.snapshot.snapshot_id
    assert len((await call("History.ListSnapshots", state=of(state_id))).snapshots) == 1
    restored = await call("History.Restore", context=into(state_id, "restore"), target={"revision": 1})
    assert await call("History.Restore", context=into(state_id, "restore"), target={"revision": 1}) == restored
    assert restored.header.revision == 3
    assert await content(call, state_id) == {"a": 1}
    forked = await call("History.Fork", state=of(state_id), context=key("fork"))
    assert await call("History.Fork", state=of(state_id), context=key("fork")) == forked
    assert forked.state_id
    assert await content(call, forked.state_id) == {"a": 1}
    lineage = await call("History.GetLineage", state=of(forked.state_id))
    assert lineage.origin.state_id == state_id
    assert (await call("History.GetSnapshot", state=of(state_id), snapshot_id=snapshot_id)).snapshot == taken.snapshot
    gone = await call("History.DeleteSnapshot", state=of(state_id), context=key("drop"), snapshot_id=snapshot_id)
    assert gone.existed
    again = await call("History.DeleteSnapshot", state=of(state_id), context=key("drop"), snapshot_id=snapshot_id)
    assert again.existed
    entries = (await call("History.ListHistory", state=of(state_id), path="a")).entries
    assert [entry.operation for entry in entries] == ["set", "set", "restore"]
    assert all(entry.HasField("value") for entry in entries)
    bare = (await call("History.ListHistory", state=of(state_id), path="a", omit_values=True)).entries
    for entry in entries:
        entry.ClearField("value")
    assert list(bare) == list(entries), "all but the values"
    assert all(entry.existed for entry in bare)
    difference = (await call("History.Diff", state=of(state_id), old={"revision": 2})).differences[0]
    assert (difference.path, difference.kind) == ("a", history_pb2.DIFFERENCE_KIND_CHANGED)
    preview = await call("History.Preview", state=of(state_id), target={"revision": 2})
    assert [each.path for each in preview.differences] == ["a"]


@pytest.mark.parametrize("path", [{"path": "k.a"}, {"path": ""}, {}])
@pytest.mark.parametrize("newest_first", [False, True])
async def test_the_pages_of_a_history_go_on_by_token(
    call: Grpcurl, state_id: str, path: dict[str, str], *, newest_first: bool
) -> None:
    for number in range(10):
        key = "a" if path.get("path") != "k.a" or number % 2 else "b"
        await call("State.Set", context=into(state_id), path=f"k.{key}", value={"json": str(number)})
    expected = [2, 4, 6, 8, 10] if path.get("path") == "k.a" else list(range(1, 11))
    found: list[list[int]] = []
    token = ""
    while token or not found:
        page = await call(
            "History.ListHistory",
            state=of(state_id),
            page_size=5 if len(expected) > 5 else 2,
            page_token=token,
            newest_first=newest_first,
            **path,
        )
        found.append([entry.revision for entry in page.entries])
        token = page.next_page_token
    assert [len(page) for page in found] == ([5, 5] if len(expected) > 5 else [2, 2, 1]), "and no empty page at the end"
    assert [each for page in found for each in page] == (expected[::-1] if newest_first else expected)


async def test_checkpoint_service(call: Grpcurl, state_id: str) -> None:
    def key(name: str) -> dict[str, str]:
        return {"idempotency_key": f"{state_id} {name}"}

    request: dict[str, Any] = {
        "workflow_id": state_id,
        "step": 1,
        "status": COMPLETED,
        "content": {"json": '{"a": 1}'},
        "metrics": {"total_cost": 0.5, "total_tokens": 7},
        "metadata": {"json": '{"m": 1}'},
    }
    made = await call("Checkpoint.CreateCheckpoint", context=key("make"), **request)
    assert await call("Checkpoint.CreateCheckpoint", context=key("make"), **request) == made
    assert made.checkpoint.metrics.total_tokens == 7
    resumed = await call("Workflow.Resume", context=key("resume"), workflow_id=state_id)
    assert await call("Workflow.Resume", context=key("resume"), workflow_id=state_id) == resumed
    assert (resumed.attempt, resumed.next_step) == (1, 2)
    assert (await call("Workflow.Resume", context=key("another"), workflow_id=state_id)).attempt == 2
    assert await content(call, state_id) == {"a": 1}
    choices: list[dict[str, object]] = [{"step": 1}, {"latest": {}}, {"last_good": {}}]
    for choice in choices:
        found = await call("Checkpoint.GetCheckpoint", workflow_id=state_id, **choice)
        assert found.checkpoint.ref == common_pb2.CheckpointRef(workflow_id=state_id, step=1)
    assert len((await call("Checkpoint.ListCheckpoints", workflow_id=state_id)).checkpoints) == 1
    gone = await call("Checkpoint.DeleteCheckpoints", context=key("delete"), workflow_id=state_id)
    assert gone.existed
    assert await call("Checkpoint.DeleteCheckpoints", context=key("delete"), workflow_id=state_id) == gone


async def test_retention_service(call: Grpcurl, state_id: str) -> None:
    policy = {"checkpoints": "2", "superseded": "0s", "ttl": "1.5s"}
    context = {"idempotency_key": f"{state_id} set"}
    made = await call("Retention.SetRetention", state_id=state_id, context=context, retention=policy)
    assert not made.existed
    assert await call("Retention.SetRetention", state_id=state_id, context=context, retention=policy) == made
    found = await call("Retention.GetRetention", state_id=state_id)
    assert found.own
    assert MessageToDict(found.retention) == {"checkpoints": "2", "superseded": "0s", "ttl": "1.500s"}
    assert (await call("Retention.Compact", state_id=state_id)).compaction.states == 0
    assert (await call("Retention.SetRetention", state_id=state_id)).existed
    assert not (await call("Retention.GetRetention", state_id=state_id)).own


@pytest.mark.parametrize(
    ("field", "bound"),
    [
        ("revisions", "0"),
        ("bytes", "0"),
        ("checkpoints", "18446744073709551615"),
        ("age", "0s"),
        ("ttl", "-1s"),
        ("superseded", "-0.5s"),
    ],
)
async def test_a_bound_that_makes_no_sense(call: Grpcurl, state_id: str, field: str, bound: str) -> None:
    refused = await call.refused("Retention.SetRetention", state_id=state_id, retention={field: bound})
    assert refused == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})
    assert not (await call("Retention.GetRetention", state_id=state_id)).own


async def test_server_service(call: Grpcurl, daemon: DaemonProcess) -> None:
    answer = await call("Server.GetServerInfo")
    assert (answer.server.address, answer.server.data_dir) == (daemon.address, str(daemon.folder))
    assert answer.header.daemon_id == answer.server.daemon_id == daemon.endpoint["daemon_id"]


# Identity.


async def test_without_a_key_each_call_is_another(call: Grpcurl, state_id: str) -> None:
    for number in (1, 2):
        answer = await call("State.Increment", context=into(state_id), path="n", by={"json": "1"})
        assert msgspec.msgpack.decode(answer.value.msgpack) == number


async def test_a_refusal_is_repeated_too(call: Grpcurl, state_id: str) -> None:
    expected = {"revision": 1}
    request: dict[str, Any] = {"context": into(state_id, "k", expected=expected), "path": "a", "value": {"json": "1"}}
    first = await call.refused("State.Set", **request)
    assert first[1] == "REVISION_CONFLICT"
    await call("State.Set", context=into(state_id), path="a", value={"json": "0"})  # now it would hold
    assert await call.refused("State.Set", **request) == first
    assert await content(call, state_id) == {"a": 0}


async def test_a_key_is_known_after_a_kill(own_daemon: DaemonProcess) -> None:
    request: dict[str, Any] = {"context": into("s", "k"), "path": "n", "by": {"json": "1"}}
    answers = []
    for _ in range(2):
        call = Grpcurl(own_daemon.address)
        answers.append(await call("State.Increment", **request))
        await call.close()
        own_daemon.kill()
        own_daemon.start()
    assert answers[0] == answers[1]


async def test_a_hundred_at_once_under_one_key_are_one(call: Grpcurl, state_id: str) -> None:
    request: dict[str, Any] = {"context": into(state_id, "k"), "path": "n", "by": {"json": "1"}}
    answers = await asyncio.gather(*(call("State.Increment", **request) for _ in range(100)))
    assert all(answer == answers[0] for answer in answers)
    assert await content(call, state_id) == {"n": 1}


# Errors.

ARGUMENT, VALUE = "INVALID_ARGUMENT", "INVALID_VALUE"
ONE = {"json": "1"}
MAP = {"json": "{}"}
INCARNATION = "snapshot.incarnation"
BAD_MSGPACK = "wQ=="  # 0xc1, which MessagePack never uses


@pytest.mark.parametrize(
    ("method", "request_", "reason", "metadata"),
    [
        ("State.Set", {"path": "a", "value": ONE}, ARGUMENT, {"field": "state_id"}),
        ("State.Set", {"context": into("s"), "path": "a"}, ARGUMENT, {"field": "value"}),
        ("State.Set", {"context": into("x" * 1025), "path": "a", "value": ONE}, ARGUMENT, {"field": "state_id"}),
        ("State.Set", {"context": into("s"), "path": "a..b", "value": ONE}, "PATH", {"path": "a..b"}),
        ("State.Set", {"context": into("s"), "path": "", "value": ONE}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "a", "value": {"json": "{"}}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "a", "value": {"json": '{"": 1}'}}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "a", "value": {"json": "9223372036854775808"}}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "a", "value": {"msgpack": BAD_MSGPACK}}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "a", "value": {"msgpack": "AQE="}}, VALUE, {}),
        ("State.Delete", {"context": into("s", fence={"attempt": 1})}, ARGUMENT, {"field": "fence.workflow_id"}),
        ("State.Transact", {"context": into("s"), "edits": [{"path": "a"}]}, ARGUMENT, {"field": "edits"}),
        ("State.Merge", {"context": into("s"), "data": {"json": "[1]"}}, VALUE, {}),
        ("State.Increment", {"context": into("s"), "path": "a", "by": {"json": '"x"'}}, VALUE, {}),
        ("State.ListKeys", {"state": of("s"), "page_token": "x"}, ARGUMENT, {"field": "page_token"}),
        ("State.Read", {"state": {}}, ARGUMENT, {"field": "state_id"}),
        ("History.Restore", {"context": into("s")}, ARGUMENT, {"field": "target"}),
        ("History.Diff", {"state": of("s")}, ARGUMENT, {"field": "target"}),
        ("History.Preview", {"state": of("s"), "target": {"snapshot": of("x")}}, ARGUMENT, {"field": INCARNATION}),
        ("History.ListHistory", {"state": of("s"), "page_token": "-1"}, ARGUMENT, {"field": "page_token"}),
        ("Checkpoint.CreateCheckpoint", {"workflow_id": "w", "content": MAP}, ARGUMENT, {"field": "status"}),
        ("Checkpoint.CreateCheckpoint", {"workflow_id": "w", "status": 99, "content": MAP}, ARGUMENT, {"field": "status"}),
        ("Checkpoint.CreateCheckpoint", {"workflow_id": "w", "status": COMPLETED}, ARGUMENT, {"field": "source"}),
        ("Checkpoint.CreateCheckpoint", {"status": COMPLETED, "content": MAP}, ARGUMENT, {"field": "workflow_id"}),
        ("Checkpoint.GetCheckpoint", {"workflow_id": "w"}, ARGUMENT, {"field": "choice"}),
        ("Workflow.Resume", {"workflow_id": "w", "initial_state": ONE}, VALUE, {}),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_with_what_is_wrong(
    call: Grpcurl, method: str, request_: dict[str, Any], reason: str, metadata: dict[str, str]
) -> None:
    code, found, told = await call.refused(method, **request_)
    assert (code, found) == (StatusCode.INVALID_ARGUMENT, reason)
    assert told.items() >= metadata.items()


async def test_details_of_what_the_state_refuses(call: Grpcurl, state_id: str) -> None:
    await call("State.Set", context=into(state_id), path="a", value={"json": "1"})
    conflict = await call.refused(
        "State.Set", context=into(state_id, expected={"paths": {"a": 0}}), path="a", value={"json": "2"}
    )
    assert conflict[:2] == (StatusCode.FAILED_PRECONDITION, "REVISION_CONFLICT")
    assert conflict[2] == {"path": "a", "expected": "0", "actual": "1"}
    through = await call.refused("State.Set", context=into(state_id), path="a.b", value={"json": "2"})
    assert through == (StatusCode.INVALID_ARGUMENT, "PATH", {"path": "a.b"})
    ahead = await call.refused("State.Read", state=of(state_id), at={"revision": 9})
    assert ahead[:2] == (StatusCode.OUT_OF_RANGE, "REVISION_UNAVAILABLE")
    assert (ahead[2]["revision"], ahead[2]["newest"]) == ("9", "1")
    taken = await call.refused("History.Fork", state=of(state_id), new_state_id=state_id)
    assert taken == (StatusCode.ALREADY_EXISTS, "STATE_EXISTS", {"state_id": state_id})
    snapshot = await call.refused("History.GetSnapshot", state=of(state_id), snapshot_id="none")
    assert snapshot == (StatusCode.NOT_FOUND, "SNAPSHOT_NOT_FOUND", {"snapshot_id": "none"})
    resume = await call.refused("Workflow.Resume", workflow_id=state_id, step=7)
    assert resume == (StatusCode.NOT_FOUND, "CHECKPOINT_NOT_FOUND", {"workflow_id": state_id, "step": "7"})
    await call("Workflow.Resume", workflow_id=f"{state_id} w")
    await call("Workflow.Resume", workflow_id=f"{state_id} w")
    fence = {"workflow_id": f"{state_id} w", "attempt": 1}
    fenced = await call.refused("State.Set", context=into(state_id, fence=fence), path="a", value={"json": "2"})
    assert fenced[:2] == (StatusCode.FAILED_PRECONDITION, "FENCED")
    assert fenced[2] == {"workflow_id": f"{state_id} w", "attempt": "1", "current": "2"}
    await call("State.DeleteState", state=of(state_id))
    gone = await call.refused("State.Read", state={"state_id": state_id, "incarnation": 1})
    assert gone == (StatusCode.NOT_FOUND, "STATE_NOT_FOUND", {"state_id": state_id})


async def test_what_no_message_can_carry_is_refused(call: Grpcurl, state_id: str) -> None:
    with pytest.raises(aio.AioRpcError) as failure:
        await call("State.Set", context=into(state_id), path="a", value={"json": '"' + "x" * (17 * 1024 * 1024) + '"'})
    assert failure.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert not (await call("State.Read", state=of(state_id), path="a")).existed


async def test_a_method_that_there_is_not(daemon: DaemonProcess) -> None:
    async with aio.insecure_channel(daemon.address) as channel:
        call: Any = channel.unary_unary("/lastgood.v1.StateService/Explode")
        with pytest.raises(aio.AioRpcError) as failure:
            await call(b"")
        assert failure.value.code() is StatusCode.UNIMPLEMENTED
