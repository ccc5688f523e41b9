"""Unary calls, as grpcurl and clients in other languages make them: JSON values, idempotency keys."""

import asyncio
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into, of

from lastgood_proto.v1 import (
    checkpoints_pb2,
    common_pb2,
    history_pb2,
)

COMPLETED = checkpoints_pb2.AGENT_STATUS_COMPLETED


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
    assert all(entry.value_omitted for entry in bare)
    for entry, other in zip(entries, bare, strict=True):
        entry.ClearField("value")
        other.ClearField("value_omitted")
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


OTHER_REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "another value": ("State.Set", {"path": "a", "value": {"json": "2"}}),
    "another path": ("State.Set", {"path": "b", "value": {"json": "1"}}),
    "another operation": ("State.Delete", {"path": "a"}),
    "another condition": ("State.Set", {"path": "a", "value": {"json": "1"}, "expected": {"revision": 1}}),
    "another state": ("State.Set", {"path": "a", "value": {"json": "1"}, "state": {"state_id": "another"}}),
}


@pytest.mark.parametrize("other", OTHER_REQUESTS)
async def test_a_key_is_for_one_request(call: Grpcurl, state_id: str, other: str) -> None:
    context = {**into(state_id), "idempotency_key": f"{state_id} key"}
    first = await call("State.Set", context=context, path="a", value={"json": "1"})
    method, request = OTHER_REQUESTS[other]
    changed: dict[str, Any] = {name: value for name, value in request.items() if name in {"expected", "state"}}
    fields: dict[str, Any] = {name: value for name, value in request.items() if name not in changed}
    for _ in range(2):
        refused = await call.refused(method, context={**context, **changed}, **fields)
        assert refused == (StatusCode.INVALID_ARGUMENT, "REQUEST_MISMATCH", {"key": f"{state_id} key"})
    assert await call("State.Set", context=context, path="a", value={"json": "1"}) == first
    assert await content(call, state_id) == {"a": 1}


async def test_a_key_is_bound_after_a_kill_and_after_a_refusal(own_daemon: DaemonProcess) -> None:
    context = {**into("s"), "expected": {"revision": 5}, "idempotency_key": "key"}
    call = Grpcurl(own_daemon.address)
    refused = await call.refused("State.Set", context=context, path="a", value={"json": "1"})
    assert refused[1] == "REVISION_CONFLICT"
    own_daemon.kill()
    own_daemon.start()
    call = Grpcurl(own_daemon.address)
    assert await call.refused("State.Set", context=context, path="a", value={"json": "1"}) == refused
    other = await call.refused("State.Set", context=context, path="a", value={"json": "2"})
    assert other[1] == "REQUEST_MISMATCH"
