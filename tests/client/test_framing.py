"""How calls become messages: by hand for speed, so it has to be what protobuf itself would make of them."""

import asyncio
from typing import Any

import pytest

from lastgood import operations
from lastgood.operations import READ, SET, Operation
from lastgood.transport import framing
from lastgood.transport.ledger import Ledger, PendingCall
from lastgood_proto.v1.common_pb2 import StateRef, Value
from lastgood_proto.v1.session_pb2 import Call, Part, Reply, SessionRequest
from lastgood_proto.v1.state_pb2 import ReadRequest, SetRequest

_OPERATIONS = [each for each in vars(operations).values() if isinstance(each, Operation)]


def test_every_operation_of_the_stream_is_here() -> None:
    for message, attribute in ((Call, "request"), (Reply, "response")):
        named = {field.name: field.message_type for field in message.DESCRIPTOR.fields if field.number >= 10}
        fields = {name: kind.full_name for name, kind in named.items() if kind is not None}
        assert {each.name: getattr(each, attribute).DESCRIPTOR.full_name for each in _OPERATIONS} == fields


def test_what_writes_has_an_identity() -> None:
    reads = {each.name for each in _OPERATIONS if not each.writes}

    assert reads == {
        "read", "list_keys", "list_states", "get_snapshot", "list_snapshots", "preview", "diff", "list_history",
        "get_lineage", "get_checkpoint", "list_checkpoints", "get_server_info", "get_workflow", "list_workflows",
        "list_attempts", "list_effects", "get_retention", "verify", "export_state",
    }  # fmt: skip


@pytest.mark.parametrize("operation", _OPERATIONS, ids=lambda operation: operation.name)
def test_an_encoded_call_is_the_call(operation: Operation[Any, Any]) -> None:
    encoded = framing.envelope(300, 1.5) + framing.encode_call(operation.name, operation.request())

    call = Call.FromString(encoded)
    assert (call.sequence, call.timeout_ms, call.WhichOneof("operation")) == (300, 1500, operation.name)


@pytest.mark.parametrize(("seconds", "milliseconds"), [(float("inf"), 0), (1e9, 0), (-3.0, 1), (0.0001, 1), (2.5, 2500)])
def test_the_time_that_is_left(seconds: float, milliseconds: int) -> None:
    assert Call.FromString(framing.envelope(1, seconds)).timeout_ms == milliseconds


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 20_000, 3_000_000])
def test_joined_calls_are_one_message(size: int) -> None:
    requests = [SetRequest(path=f"p{n}", value=Value(msgpack=bytes(size))) for n in range(3)]
    calls = [framing.envelope(n, 1) + framing.encode_call("set", request) for n, request in enumerate(requests)]

    message = SessionRequest.FromString(framing.join_calls(7, calls))

    assert message.acknowledged == 7
    assert [call.sequence for call in message.calls] == [0, 1, 2]
    assert [call.set for call in message.calls] == requests


def test_a_large_call_goes_in_pieces() -> None:
    request = SetRequest(path="p", value=Value(msgpack=bytes(range(256)) * 2_500))
    call = framing.envelope(5, 1) + framing.encode_call("set", request)

    parts = [SessionRequest.FromString(message).part for message, _ in framing.split_call(4, call)]

    assert [part.last for part in parts] == [False, False, True]
    assert [last for _, last in framing.split_call(4, call)] == [False, False, True]
    assert max(len(part.data) for part in parts) == framing.MESSAGE_BYTES
    assert Call.FromString(b"".join(part.data for part in parts)).set == request


def test_pieces_of_an_answer_are_put_together() -> None:
    pieces = framing.ReplyPieces()
    for sequence in (1, 2):
        encoded = Reply(sequence=sequence).SerializeToString()
        assert pieces.add(Part(data=encoded[:1])) is None
        assert pieces.add(Part(data=encoded[1:], last=True)) == Reply(sequence=sequence)


async def test_the_ledger_acknowledges_what_is_settled_without_a_gap() -> None:
    ledger = Ledger()
    calls = [_pending(SET) for _ in range(4)]
    assert ledger.acknowledged == 0
    for call in calls:
        ledger.enter(call)
    assert [call.sequence for call in calls] == [1, 2, 3, 4]

    told = []
    for index in (1, 0, 3, 2):
        ledger.settle(calls[index])
        told.append(ledger.acknowledged)

    assert told == [0, 2, 2, 4]


async def test_a_new_stream_repeats_what_is_unanswered_in_the_old_order() -> None:
    ledger = Ledger()
    calls = [_pending(SET) for _ in range(3)]
    for call in calls:
        ledger.enter(call)
        ledger.sent(call)
    late = _pending(READ)
    ledger.enter(late)
    ledger.settle(calls[1])

    ledger.begin_stream()

    assert list(ledger.waiting) == [calls[0], calls[2], late]
    assert ledger.in_flight == 0


async def test_only_a_write_that_was_sent_is_in_doubt() -> None:
    ledger = Ledger()
    write, read, unsent = _pending(SET), _pending(READ), _pending(SET)
    for call in (write, read, unsent):
        ledger.enter(call)
    ledger.sent(write)
    ledger.sent(read)
    assert [call.in_doubt for call in (write, read, unsent)] == [True, False, False]

    ledger.refused(write)
    assert not write.in_doubt

    ledger.sent(write)  # and lost
    ledger.begin_stream()
    ledger.sent(write)
    ledger.refused(write)
    assert write.in_doubt, "the first delivery may have been done"


def _pending(operation: Operation[Any, Any]) -> PendingCall:
    request = ReadRequest(state=StateRef(state_id="s")) if operation is READ else SetRequest()
    payload = framing.encode_call(operation.name, request)
    return PendingCall(operation, payload, 1.0, 0.0, asyncio.get_running_loop().create_future())
