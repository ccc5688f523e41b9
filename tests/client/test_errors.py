"""The errors: complete, stable, picklable, and caught by plain except clauses."""

import copy
import pickle

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

import lastgood
from lastgood.errors import ERROR_OF_REASON
from lastgood.transport.status import error_from, reason_of
from lastgood_proto.v1.errors_pb2 import ErrorReason

_ALL = [
    kind
    for kind in (getattr(lastgood, name) for name in lastgood.__all__)
    if isinstance(kind, type) and issubclass(kind, lastgood.LastgoodError)
]


def _status(reason: str, message: str = "no", domain: str = "lastgood", **metadata: str) -> Status:
    detail = Any()
    detail.Pack(ErrorInfo(reason=f"ERROR_REASON_{reason}", domain=domain, metadata=metadata))
    return Status(code=9, message=message, details=[detail])


def test_every_reason_of_the_contract_has_an_error() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118

    assert reasons - ERROR_OF_REASON.keys() == set()


@pytest.mark.parametrize("reason", [name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:]])
def test_a_reply_becomes_the_error_of_its_reason(reason: str) -> None:
    error = error_from(_status(reason, "what happened"))

    assert type(error) is ERROR_OF_REASON[reason]
    assert error.reason == reason
    assert str(error) == "what happened"


def test_each_class_has_a_reason_of_its_own() -> None:
    reasons = [kind.reason for kind in _ALL]

    assert len(set(reasons)) == len(reasons)
    assert all(reason.isupper() for reason in reasons)


def test_details_become_attributes() -> None:
    conflict = error_from(_status("REVISION_CONFLICT", path="a.b", expected="3", actual="5"))
    assert isinstance(conflict, lastgood.RevisionConflictError)
    assert (conflict.path, conflict.expected, conflict.actual) == ("a.b", 3, 5)

    value = error_from(_status("INVALID_VALUE", path="x.1", type="tuple"))
    assert isinstance(value, lastgood.InvalidValueError)
    assert (value.path, value.type_name) == ("x.1", "tuple")


def test_details_of_workflows_become_attributes() -> None:
    busy = error_from(_status("WORKFLOW_BUSY", workflow_id="w", holder="process 1 on host", remaining="12.5"))
    assert isinstance(busy, lastgood.WorkflowBusyError)
    assert (busy.workflow_id, busy.holder, busy.remaining) == ("w", "process 1 on host", 12.5)

    lost = error_from(_status("LEASE_LOST", workflow_id="w", attempt="3"))
    assert isinstance(lost, lastgood.LeaseLostError)
    assert (lost.workflow_id, lost.attempt) == ("w", 3)

    order = error_from(_status("STEP_ORDER", workflow_id="w", step="3", expected="2"))
    assert isinstance(order, lastgood.StepOrderError)
    assert (order.workflow_id, order.step, order.expected) == ("w", 3, 2)

    doubt = error_from(_status("IN_DOUBT", workflow_id="w", step="3", key="mail", idempotency_key="0a"))
    assert isinstance(doubt, lastgood.InDoubtError)
    assert (doubt.workflow_id, doubt.step, doubt.key, doubt.idempotency_key) == ("w", 3, "mail", "0a")

    poisoned = error_from(_status("POISONED_STEP", workflow_id="w", step="3", deaths="4"))
    assert isinstance(poisoned, lastgood.PoisonedStepError)
    assert (poisoned.workflow_id, poisoned.step, poisoned.deaths) == ("w", 3, 4)


def test_a_number_of_seconds_that_is_none_is_left_out() -> None:
    busy = error_from(_status("WORKFLOW_BUSY", remaining="soon"))

    assert isinstance(busy, lastgood.WorkflowBusyError)
    assert busy.remaining is None


def test_a_conflict_about_the_whole_state_has_no_path() -> None:
    conflict = error_from(_status("REVISION_CONFLICT", expected="3", actual="5"))

    assert isinstance(conflict, lastgood.RevisionConflictError)
    assert conflict.path is None


def test_what_a_newer_daemon_adds_is_still_an_error() -> None:
    error = error_from(_status("SOMETHING_NEW", "hm", colour="blue"))

    assert type(error) is lastgood.LastgoodError
    assert error.reason == "SOMETHING_NEW"


def test_details_of_others_are_passed_over() -> None:
    status = _status("PATH", domain="elsewhere")

    assert reason_of(status) == "UNSPECIFIED"
    assert type(error_from(status)) is lastgood.LastgoodError


@pytest.mark.parametrize("kind", _ALL)
def test_errors_pickle_and_copy(kind: type[lastgood.LastgoodError]) -> None:
    details = {name: f"some {name}" for name in kind._details if name != "reason"}  # noqa: SLF001 - which differ by class
    error = kind("what happened", reason="A_REASON", **details)

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(again) is kind
        assert str(again) == "what happened"
        assert again.reason == "A_REASON"
        assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (lastgood.DaemonUnavailableError, TimeoutError),
        (lastgood.OutcomeUnknownError, TimeoutError),
        (lastgood.PathError, ValueError),
        (lastgood.InvalidValueError, ValueError),
        (lastgood.InvalidArgumentError, ValueError),
        (lastgood.TooLargeError, ValueError),
        (lastgood.StateExistsError, ValueError),
        (lastgood.StateNotFoundError, LookupError),
        (lastgood.SnapshotNotFoundError, LookupError),
        (lastgood.CheckpointNotFoundError, LookupError),
        (lastgood.RevisionUnavailableError, LookupError),
        (lastgood.ValueNotCarriedError, LookupError),
        (lastgood.PermissionDeniedError, PermissionError),
        (lastgood.UnauthenticatedError, PermissionError),
        (lastgood.ClientUnusableError, RuntimeError),
    ],
)
def test_plain_except_clauses_work(kind: type[lastgood.LastgoodError], also: type[Exception]) -> None:
    with pytest.raises(also, match="what happened"):
        raise kind("what happened")  # noqa: EM101, TRY003 - as short as can be


def test_an_attribute_that_a_class_does_not_have_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="colour"):
        lastgood.PathError("no", colour="blue")
