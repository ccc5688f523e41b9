"""Unary calls that are refused: with which code and reason, and with what is wrong."""

import re
from typing import Any

import pytest
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into, of

ARGUMENT, VALUE = "INVALID_ARGUMENT", "INVALID_VALUE"
ONE = {"json": "1"}
MAP = {"json": "{}"}
INCARNATION = "snapshot.incarnation"
LONG = "x" * 1025
EFFECT = {"workflow_id": "w", "key": "k", "context": {"fence": {"workflow_id": "w", "attempt": 1}}}
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
        ("State.Set", {"context": into("s"), "path": "a", "value": {"json": "[" * 20_000 + "]" * 20_000}}, VALUE, {}),
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
        ("Checkpoint.CreateCheckpoint", {"workflow_id": "w", "status": 3}, ARGUMENT, {"field": "source"}),
        ("Checkpoint.CreateCheckpoint", {"workflow_id": "w", "status": 3, "step": 2**64 - 1}, ARGUMENT, {"field": "step"}),
        ("Checkpoint.CreateCheckpoint", {"status": 3, "content": MAP}, ARGUMENT, {"field": "workflow_id"}),
        ("Checkpoint.GetCheckpoint", {"workflow_id": "w"}, ARGUMENT, {"field": "choice"}),
        ("Workflow.Resume", {"workflow_id": "w", "initial_state": ONE}, VALUE, {}),
        ("State.Set", {"context": into("s"), "path": "x" * 16385, "value": ONE}, "PATH", {}),
        ("State.Set", {"context": into("s"), "path": ".".join(["x"] * 129), "value": ONE}, "PATH", {}),
        ("State.Read", {"state": of("s"), "path": "x" * 16385}, "PATH", {}),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_with_what_is_wrong(
    call: Grpcurl, method: str, request_: dict[str, Any], reason: str, metadata: dict[str, str]
) -> None:
    code, found, told = await call.refused(method, **request_)
    assert (code, found) == (StatusCode.INVALID_ARGUMENT, reason)
    assert told.items() >= metadata.items()


@pytest.mark.parametrize(
    ("method", "request_", "said"),
    [
        ("State.Set", {"path": "a", "value": ONE}, "state_id must not be empty"),
        ("State.Set", {"context": into("s"), "path": "a"}, "value must be set"),
        ("State.ListKeys", {"state": of("s"), "page_token": "x"}, "page_token must be a page token issued by this daemon"),
        (
            "Transfer.ExportState",
            {"state": of("s"), "page_token": "x"},
            "page_token must be a page token issued by this daemon",
        ),
        ("Maintenance.Verify", {"page_token": "x:y"}, "page_token must be a page token issued by this daemon"),
        ("State.Transact", {"context": into("s"), "edits": [{"path": "a"}]}, "edits must each have an action: "),
        ("History.Preview", {"state": of("s"), "target": {"snapshot": of("x")}}, f"{INCARNATION} must be positive, got 0"),
        (
            "Checkpoint.CreateCheckpoint",
            {"workflow_id": "w", "status": 99, "content": MAP},
            "status must be a value of .* 99",
        ),
        ("Retention.SetRetention", {"retention": {"revisions": "0"}}, "revisions must be between 1 and [0-9]+, got 0"),
        ("Retention.SetRetention", {"retention": {"age": "0s"}}, "age must be between .* got 0 s"),
        ("Redaction.Redact", {"context": into("s"), "text": "abc"}, "text must have at least 4 characters, got 3"),
        ("Workflow.Claim", {"workflow_id": "w", "claim_id": "c"}, "lease_ms must be between 1 and [0-9]+, got 0"),
        ("State.Read", {"state": of("unwritten"), "at": {"revision": 9}}, "state 'unwritten' has not been written, "),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(call: Grpcurl, method: str, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(aio.AioRpcError) as failure:
        await call(method, **request_)
    assert re.match(said, failure.value.details() or ""), failure.value.details()


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("State.Set", {"context": into("s", agent_id=LONG), "path": "a", "value": ONE}, "agent_id"),
        ("State.Set", {"context": into("s", idempotency_key=LONG), "path": "a", "value": ONE}, "idempotency_key"),
        ("State.Delete", {"context": into("s", fence={"workflow_id": LONG, "attempt": 1})}, "fence.workflow_id"),
        ("History.CreateSnapshot", {"state": of("s"), "label": LONG}, "label"),
        ("History.Fork", {"state": of("s"), "new_state_id": LONG}, "new_state_id"),
        ("Workflow.Claim", {"workflow_id": "w", "claim_id": LONG, "lease_ms": 1}, "claim_id"),
        ("Workflow.Claim", {"workflow_id": "w", "claim_id": "c", "lease_ms": 1, "holder": LONG}, "holder"),
        ("Workflow.RecordEffect", {**EFFECT, "key": LONG}, "key"),
        ("Workflow.RecordEffect", {**EFFECT, "failure": {"type": LONG}}, "failure.type"),
        ("Workflow.RecordEffect", {**EFFECT, "failure": {"type": "E", "message": "x" * 65537}}, "failure.message"),
        ("Redaction.Redact", {"context": into("s"), "text": "text", "replacement": LONG}, "replacement"),
    ],
)
async def test_a_text_that_is_too_long(call: Grpcurl, method: str, request_: dict[str, Any], field: str) -> None:
    refused = await call.refused(method, **request_)
    assert refused == (StatusCode.INVALID_ARGUMENT, ARGUMENT, {"field": field})


async def test_how_long_a_text_is_and_how_long_it_may_be(call: Grpcurl) -> None:
    with pytest.raises(aio.AioRpcError, match="agent_id has 2000000 bytes; the limit is 1024"):
        await call("State.Set", context=into("s", agent_id="é" * 1_000_000), path="a", value=ONE)
    with pytest.raises(aio.AioRpcError, match="has 2000000 bytes; the limit is 16384") as failure:
        await call("State.Set", context=into("s"), path="é" * 1_000_000, value=ONE)
    assert len(failure.value.details() or "") < 2000


async def test_metadata_is_bounded(call: Grpcurl, state_id: str) -> None:
    metadata = {"json": '{"k": "' + "x" * 1024 * 1024 + '"}'}
    checkpoint = {"workflow_id": state_id, "status": 3, "content": MAP, "metadata": metadata}
    for method, request in (
        ("History.CreateSnapshot", {"state": of(state_id), "metadata": metadata}),
        ("Checkpoint.CreateCheckpoint", checkpoint),
    ):
        code, reason, told = await call.refused(method, **request)
        assert (code, reason, told["limit"]) == (StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE", str(1024 * 1024))


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
