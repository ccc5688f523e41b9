"""Requests with extreme numbers, with empty, huge, malformed and missing fields: each is done or refused by name."""

import random
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl

from lastgood_daemon.rpc.unary import SERVICES
from lastgood_proto.v1 import common_pb2, state_pb2, state_pb2_grpc

METHODS = [method for service in SERVICES for method in service.methods]
REQUESTS = 40  # of each method
SECONDS = 10.0
NESTED = 20_000

NUMBERS: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_UINT64: [0, 1, 2, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1],
    FieldDescriptor.TYPE_INT64: [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)],
    FieldDescriptor.TYPE_UINT32: [0, 1, 2, 1000, 2**31, 2**32 - 1],
    FieldDescriptor.TYPE_INT32: [0, 1, -1, 2**31 - 1, -(2**31)],
    FieldDescriptor.TYPE_DOUBLE: [0.0, 1.0, -1.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")],
    FieldDescriptor.TYPE_BOOL: [False, True],
    FieldDescriptor.TYPE_ENUM: [0, 1, 2, 3, 99, -1],
}
TEXTS = ["", "s", "s", "a", "a.b", "a..b", "0", "-1", "\0", "ü\U0001f600", "x" * 1024, "x" * 5000, ".".join("a" * 300), "\\"]
JSON = [
    "1", "{}", '{"a": [1, {"b": 2}]}', "[]", "", "{", "1e999", "-0",
    "9223372036854775808", "1" * 400, '"\\ud800"', '{"": 1}',
    "[" * NESTED + "]" * NESTED, '{"a":' * NESTED + "1" + "}" * NESTED, "NaN",
]  # fmt: skip
USUAL = {
    "state_id": "s", "workflow_id": "s", "incarnation": 1, "attempt": 1, "status": 3, "claim_id": "c", "lease_ms": 1000,
    "wait_ms": 0, "key": "k", "path": "a", "msgpack": b"\x80", "page_token": "", "idempotency_key": "", "poison_after": 3,
}  # fmt: skip
"""What gets most requests past the first thing that could be wrong with them."""
BYTES = [b"", b"\x01", b"\x80", b"\x81\xa1a\x01", b"\xc1", b"\xff" * 9, b"\x91" * NESTED + b"\x01", b"\x00" * 70]


def made(descriptor: Descriptor, choose: random.Random, depth: int = 0) -> Message:
    """Make a message with some of its fields set, each to something extreme."""
    message: Any = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if choose.random() < (0.15 if depth < 4 else 1.0):
            continue
        values = [one(field, choose, depth) for _ in range(choose.randrange(3) if field.is_repeated else 1)]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name
            for _ in values:
                key, value = (one(entry[name], choose, depth + 1) for name in ("key", "value"))
                target = getattr(message, field.name)
                target[key].CopyFrom(value) if isinstance(value, Message) else target.__setitem__(key, value)
        elif field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return cast("Message", message)


def one(field: FieldDescriptor, choose: random.Random, depth: int) -> Any:  # noqa: ANN401 - whatever the field takes
    if field.name in USUAL and not field.is_repeated and choose.random() < 0.85:
        return USUAL[field.name]
    if field.message_type is not None:
        return made(field.message_type, choose, depth + 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return choose.choice(JSON if field.name == "json" else TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return choose.choice(BYTES)
    return choose.choice(NUMBERS[field.type])


def requests(method: MethodDescriptor) -> Iterator[bytes]:
    """Encoded requests, the same each time: the empty one, random ones, and some that are no message."""
    choose = random.Random(method.full_name)
    yield b""
    for _ in range(REQUESTS):
        yield made(method.input_type, choose).SerializeToString()
    yield from (b"\xff", b"\x0a\x05abc", b"\x07", b"\x0b" * 200, bytes(choose.randrange(256) for _ in range(100)))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name.removeprefix("lastgood.v1."))
async def test_no_request_is_an_internal_error(daemon: DaemonProcess, method: MethodDescriptor) -> None:
    async with aio.insecure_channel(daemon.address) as channel:
        call: Callable[..., Any] = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
        for name in ("a", "b"):
            state = common_pb2.WriteContext(state=common_pb2.StateRef(state_id="s"))
            request = state_pb2.SetRequest(context=state, path=name, value=common_pb2.Value(json="[1, 2]"))
            await state_pb2_grpc.StateServiceStub(channel).Set(request)
        for encoded in requests(method):
            try:
                await call(encoded, timeout=SECONDS)
            except aio.AioRpcError as error:
                refused = error
            else:
                continue
            shown = f"{encoded[:200]!r}: {refused.code()} {refused.details()}"
            assert refused.code() not in {StatusCode.INTERNAL, StatusCode.UNKNOWN}, shown
            if refused.code() is not StatusCode.DEADLINE_EXCEEDED:  # which grpc's own clock may say
                assert reason_of(refused), shown


def reason_of(error: aio.AioRpcError) -> str:
    trailing: dict[str, Any] = dict(iter(error.trailing_metadata() or ()))
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return info.reason


async def test_a_workflow_goes_on_from_the_highest_step(call: Grpcurl, state_id: str) -> None:
    highest = 2**63 - 1
    await call("Checkpoint.CreateCheckpoint", workflow_id=state_id, step=highest, status=3, content={"json": "{}"})
    resumed = await call("Workflow.Resume", workflow_id=state_id)
    assert resumed.next_step == highest + 1
    context = {"fence": {"workflow_id": state_id, "attempt": resumed.attempt}}
    code, _, told = await call.refused("Workflow.BeginStep", workflow_id=state_id, step=highest + 1, context=context)
    assert (code, told["field"]) == (StatusCode.INVALID_ARGUMENT, "step")


@pytest.mark.parametrize("encoded", [b"\xff", b"\xff" * 100_000, b"\x0a\xff\xff\x7f" + b"\x0a\x00" * 50_000])
@pytest.mark.parametrize("method", ["State.Set", "State.Read", "Server.GetServerInfo"])
async def test_what_is_no_message_is_refused_as_such(daemon: DaemonProcess, method: str, encoded: bytes) -> None:
    service, name = method.split(".")
    async with aio.insecure_channel(daemon.address) as channel:
        call: Callable[..., Any] = channel.unary_unary(f"/lastgood.v1.{service}Service/{name}")
        with pytest.raises(aio.AioRpcError) as refused:
            await call(encoded, timeout=SECONDS)
    assert refused.value.code() is StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "ERROR_REASON_INVALID_ARGUMENT"
