"""Every reason of the contract has a code in the daemon and a class in the client, and they agree with what it says."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from tests.support.sessions import details_of

import lastgood
import lastgood_proto
from lastgood.errors import ERROR_OF_REASON
from lastgood.transport.status import error_from
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.rpc import authorize
from lastgood_daemon.rpc.errors import CODES, DOMAIN, status_of
from lastgood_proto.v1 import errors_pb2

REASONS = [name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name][1:]


def documented() -> dict[str, str]:
    """What the contract says beside each reason."""
    text = (Path(lastgood_proto.__file__).parent / "v1" / "errors.proto").read_text()
    found = re.findall(r"((?:  //.*\n)+)  ERROR_REASON_(\w+) = \d+;", text)
    return {reason: re.sub(r"\s*//\s*", " ", comment) for comment, reason in found}


def kinds_of(kind: type[RefusedError]) -> Iterator[type[RefusedError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds_of(each)


def test_the_tables_are_complete() -> None:
    assert set(CODES) == set(REASONS)
    assert set(REASONS) <= set(ERROR_OF_REASON)
    assert set(documented()) == {"UNSPECIFIED", *REASONS}


def test_everything_that_the_daemon_refuses_with_is_a_reason() -> None:
    assert authorize.UnauthenticatedError in kinds_of(RefusedError)
    kinds = [kind for kind in kinds_of(RefusedError) if kind is not RefusedError]
    assert {kind.reason for kind in kinds} <= set(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_has_the_code_that_the_contract_says(reason: str) -> None:
    named = [code for code in grpc.StatusCode if re.search(rf"\b{code.name}\b", documented()[reason])]
    assert named == [CODES[reason]]


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_arrives_as_its_class_with_what_was_said(reason: str) -> None:
    status = status_of(Refused(reason, "the text", {"path": "a.b"}))
    assert details_of(status) == (f"ERROR_REASON_{reason}", {"path": "a.b"})
    assert (status.code, status.message) == (CODES[reason].value[0], "the text")
    error = error_from(status_pb2.Status.FromString(serialized(status)))
    assert type(error) is ERROR_OF_REASON[reason]
    assert (error.reason, str(error)) == (reason, "the text")
    assert isinstance(error, lastgood.LastgoodError)
    assert DOMAIN == "lastgood"


def serialized(message: Message) -> bytes:
    return message.SerializeToString()


def test_a_reason_of_a_later_daemon_is_still_an_error_of_ours() -> None:
    error = error_from(status_of(Refused("NEVER_HEARD_OF", "the text")))
    assert type(error) is lastgood.LastgoodError
    assert error.reason == "NEVER_HEARD_OF"
