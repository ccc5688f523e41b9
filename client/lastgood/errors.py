"""Everything that lastgood raises on purpose.

```text
LastgoodError
├── DaemonUnavailableError (TimeoutError)
│   └── IncompatibleDaemonError
├── OutcomeUnknownError (TimeoutError)
├── OverloadedError
├── PathError (ValueError)
├── InvalidValueError (ValueError)
├── InvalidArgumentError (ValueError)
├── TooLargeError (ValueError)
├── NotFoundError (LookupError)
│   ├── StateNotFoundError
│   ├── SnapshotNotFoundError
│   └── CheckpointNotFoundError
├── StateExistsError (ValueError)
├── RevisionConflictError
├── RevisionUnavailableError (LookupError)
├── ValueNotCarriedError (LookupError)
├── FencedError
├── StoreReplacedError
├── WorkflowBusyError
├── LeaseLostError
├── StepOrderError
├── InDoubtError
├── EffectFailedError
├── PoisonedStepError
├── RequestMismatchError (ValueError)
├── NotRedactableError
├── PermissionDeniedError (PermissionError)
├── UnauthenticatedError (PermissionError)
├── CorruptDataError
├── InternalError
└── ClientUnusableError (RuntimeError)
```

In brackets: what each of them also is, so that a plain `except TimeoutError` works. Every one has a `reason`, a text
that never changes its meaning (the names of `ErrorReason` in the protocol), and pickles.
"""

import inspect
from collections.abc import Callable
from typing import ClassVar


class LastgoodError(Exception):
    """The base of all of them.

    Attributes:
        reason: a stable name of what went wrong, such as ``"REVISION_CONFLICT"``.
    """

    reason: str = "UNSPECIFIED"

    _details: ClassVar[frozenset[str]] = frozenset()
    """The attributes that the class adds, which its constructor takes by name."""

    def __init_subclass__(cls) -> None:
        """Learn which attributes the class declares."""
        super().__init_subclass__()
        own = (name for name in inspect.get_annotations(cls) if not name.startswith("_"))
        cls._details = cls._details.union(own)

    def __init__(self, message: str = "", *, reason: str | None = None, **details: object) -> None:
        super().__init__(message)
        unknown = details.keys() - self._details
        if unknown:
            text = f"{type(self).__name__} has no attributes {sorted(unknown)}"
            raise TypeError(text)
        if reason is not None:
            self.reason = reason
        self.__dict__.update(details)

    def __reduce__(self) -> tuple[Callable[..., "LastgoodError"], tuple[object, ...]]:
        """Pickle by class, message and attributes (OSError, which some also are, has a way of its own)."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(kind: type[LastgoodError], args: tuple[object, ...], attributes: dict[str, object]) -> LastgoodError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class DaemonUnavailableError(LastgoodError, TimeoutError):
    """No daemon answered in time, or none could be started. Nothing of this call was written."""

    reason = "UNAVAILABLE"


class IncompatibleDaemonError(DaemonUnavailableError):
    """A daemon answered, but its version does not fit this client's.

    Attributes:
        client_version: ours.
        daemon_version: its.
    """

    reason = "INCOMPATIBLE_DAEMON"
    client_version: str = ""
    daemon_version: str = ""


class OutcomeUnknownError(LastgoodError, TimeoutError):
    """A write was sent and its answer never came: it may have happened, or not. Read the state to find out."""

    reason = "OUTCOME_UNKNOWN"


class OverloadedError(LastgoodError):
    """The daemon has no room: its queue or its disk is full. Nothing was written; later it may work."""

    reason = "OVERLOADED"


class PathError(LastgoodError, ValueError):
    """A path is malformed, or what is there does not allow the operation. Nothing was written.

    Attributes:
        path: the path.
    """

    reason = "PATH"
    path: str = ""


class InvalidValueError(LastgoodError, ValueError):
    """A value outside the value model. Nothing was written.

    Attributes:
        path: where it is inside the value that was given; ``""`` is that value itself.
        type_name: the type of what is there.
    """

    reason = "INVALID_VALUE"
    path: str = ""
    type_name: str = ""


class InvalidArgumentError(LastgoodError, ValueError):
    """An argument of the wrong type or out of range. Nothing was written.

    Attributes:
        field: its name.
    """

    reason = "INVALID_ARGUMENT"
    field: str = ""


class TooLargeError(LastgoodError, ValueError):
    """A value, a call or an answer is over the limit. Nothing was written.

    Attributes:
        size: in bytes, where it is known.
        limit: in bytes, where it is known.
    """

    reason = "TOO_LARGE"
    size: int | None = None
    limit: int | None = None


class NotFoundError(LastgoodError, LookupError):
    """The thing that a call is about does not exist."""

    reason = "NOT_FOUND"


class StateNotFoundError(NotFoundError):
    """The state, or the life of it that this handle meant, has been deleted. One never written reads as empty.

    Attributes:
        state_id: its id.
    """

    reason = "STATE_NOT_FOUND"
    state_id: str = ""


class SnapshotNotFoundError(NotFoundError):
    """No snapshot of that id.

    Attributes:
        snapshot_id: the id.
    """

    reason = "SNAPSHOT_NOT_FOUND"
    snapshot_id: str = ""


class CheckpointNotFoundError(NotFoundError):
    """No checkpoint of that step.

    Attributes:
        workflow_id: the workflow.
        step: the step.
    """

    reason = "CHECKPOINT_NOT_FOUND"
    workflow_id: str = ""
    step: int | None = None


class StateExistsError(LastgoodError, ValueError):
    """The id of a fork or an import is in use.

    Attributes:
        state_id: the id.
    """

    reason = "STATE_EXISTS"
    state_id: str = ""


class RevisionConflictError(LastgoodError):
    """Something has changed since the revision that ``expected=`` (or a transaction's read) named. Nothing was written.

    Attributes:
        path: what has changed; None: the state as a whole was expected at a revision.
        expected: the revision named.
        actual: the revision of its last change.
    """

    reason = "REVISION_CONFLICT"
    path: str | None = None
    expected: int | None = None
    actual: int | None = None


class RevisionUnavailableError(LastgoodError, LookupError):
    """A revision that has been compacted, or is not reached yet.

    Attributes:
        revision: the one asked for.
        oldest: the oldest there is.
        newest: the newest there is.
        nearest: the one nearest to what was asked for.
    """

    reason = "REVISION_UNAVAILABLE"
    revision: int | None = None
    oldest: int | None = None
    newest: int | None = None
    nearest: int | None = None


class ValueNotCarriedError(LastgoodError, LookupError):
    """An entry of a history does not carry its value, because it was listed without values, or the value is large.

    Attributes:
        path: where the value is.
        revision: in which revision.
    """

    reason = "VALUE_NOT_CARRIED"
    path: str = ""
    revision: int | None = None


class FencedError(LastgoodError):
    """The writer belongs to an attempt at a workflow that a later attempt has replaced. Nothing was written.

    Attributes:
        workflow_id: the workflow.
        attempt: the writer's.
        current: the present one.
    """

    reason = "FENCED"
    workflow_id: str = ""
    attempt: int | None = None
    current: int | None = None


class StoreReplacedError(LastgoodError):
    """Another store, or another copy of the store, answers than the one that was meant. Nothing was written.

    The store was restored from a backup, copied, or moved, or the address is another daemon's by now. What is known of the
    former one (revisions, attempts, conditions, snapshots) means other things here. A client that has met the former one is
    refused from then on; connect again, and begin with what is there.

    Attributes:
        met: the copy that was meant.
        found: the one that answers.
    """

    reason = "STORE_REPLACED"
    met: str = ""
    found: str = ""


class WorkflowBusyError(LastgoodError):
    """Someone else holds a live claim on the workflow.

    Attributes:
        workflow_id: the workflow.
        holder: who, for people.
        remaining: seconds that its lease had left, unless it is renewed; None where that is not known.
    """

    reason = "WORKFLOW_BUSY"
    workflow_id: str = ""
    holder: str = ""
    remaining: float | None = None


class LeaseLostError(LastgoodError):
    """This holder of the workflow did not renew its claim in time, or another has taken over: it may no longer write.

    Attributes:
        workflow_id: the workflow.
        attempt: the holder's.
    """

    reason = "LEASE_LOST"
    workflow_id: str = ""
    attempt: int | None = None


class StepOrderError(LastgoodError):
    """A step was begun out of turn or while another one is open, or was used before it was begun or after it had ended.

    Attributes:
        workflow_id: the workflow.
        step: the step; None where it is about none.
        expected: the step to do next, where that is known.
    """

    reason = "STEP_ORDER"
    workflow_id: str = ""
    step: int | None = None
    expected: int | None = None


class InDoubtError(LastgoodError):
    """An effect was begun and its result never recorded: it may have happened, or not.

    Attributes:
        workflow_id: the workflow.
        step: the step.
        key: the effect's key.
        idempotency_key: what the outside service was given: ask it whether it knows that.
    """

    reason = "IN_DOUBT"
    workflow_id: str = ""
    step: int | None = None
    key: str = ""
    idempotency_key: str = ""


class EffectFailedError(LastgoodError):
    """The recorded result of an effect is a failure whose class is not there to be raised again.

    Attributes:
        workflow_id: the workflow.
        step: the step.
        key: the effect's key.
        type_name: the qualified name of that class.
    """

    reason = "EFFECT_FAILED"
    workflow_id: str = ""
    step: int | None = None
    key: str = ""
    type_name: str = ""


class PoisonedStepError(LastgoodError):
    """Too many processes have died under a step for it to be tried again by itself.

    Attributes:
        workflow_id: the workflow.
        step: the step.
        deaths: how many.
    """

    reason = "POISONED_STEP"
    workflow_id: str = ""
    step: int | None = None
    deaths: int | None = None


class RequestMismatchError(LastgoodError, ValueError):
    """An idempotency key, or a number on a session, was used for another request before. Nothing was done.

    Attributes:
        key: the idempotency key of a unary call.
        sequence: the number on a session.
    """

    reason = "REQUEST_MISMATCH"
    key: str = ""
    sequence: int | None = None


class NotRedactableError(LastgoodError):
    """A text that is to be redacted stands where it cannot be replaced, as in a path. Nothing was redacted.

    Attributes:
        where: where it is, with the replacement in its place.
        revision: the revision that has it there, if it is one.
    """

    reason = "NOT_REDACTABLE"
    where: str = ""
    revision: int | None = None


class PermissionDeniedError(LastgoodError, PermissionError):
    """The daemon knows who is calling, and does not allow this."""

    reason = "PERMISSION_DENIED"


class UnauthenticatedError(LastgoodError, PermissionError):
    """The daemon does not know who is calling: a token is missing, wrong or expired."""

    reason = "UNAUTHENTICATED"


class CorruptDataError(LastgoodError):
    """A stored record does not match its checksum. The state that it belongs to is refused, others are served."""

    reason = "CORRUPT"


class InternalError(LastgoodError):
    """A fault of lastgood itself: of the daemon, which has logged it, or of the client."""

    reason = "INTERNAL"


class ClientUnusableError(LastgoodError, RuntimeError):
    """The client cannot be used here, or no more.

    ``reason`` is ``"CLIENT_CLOSED"``, ``"CLIENT_FORKED"`` (it was made before a fork), ``"CLIENT_OTHER_LOOP"`` (it
    belongs to another event loop), ``"CLIENT_IN_EVENT_LOOP"`` (it is one of lastgood.sync, whose calls would block the
    event loop of this thread), ``"CLIENT_WITHOUT_ASYNCIO"`` (it is an async one, and no event loop of asyncio runs here),
    ``"CLIENT_GREEN_THREADS"`` (gevent or eventlet has replaced the threads that it needs) or ``"CLIENT_NOT_PICKLABLE"``
    (it, or a handle of it, was to be pickled or copied).
    """

    reason = "CLIENT_CLOSED"


ERROR_OF_REASON: dict[str, type[LastgoodError]] = {
    **{
        kind.reason: kind
        for kind in (
            PathError,
            InvalidValueError,
            InvalidArgumentError,
            StateNotFoundError,
            SnapshotNotFoundError,
            CheckpointNotFoundError,
            StateExistsError,
            RevisionConflictError,
            RevisionUnavailableError,
            FencedError,
            StoreReplacedError,
            WorkflowBusyError,
            LeaseLostError,
            StepOrderError,
            InDoubtError,
            PoisonedStepError,
            RequestMismatchError,
            NotRedactableError,
            TooLargeError,
            OverloadedError,
            PermissionDeniedError,
            UnauthenticatedError,
            OutcomeUnknownError,
            DaemonUnavailableError,
            CorruptDataError,
            InternalError,
        )
    },
    "DEADLINE_EXCEEDED": DaemonUnavailableError,
}
"""The class of each reason that a daemon may give."""
