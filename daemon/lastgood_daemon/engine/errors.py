"""How an operation is refused.

    RefusedError              reason                  metadata
    ├── PathError             PATH                    path
    ├── InvalidValueError     INVALID_VALUE           path, type
    ├── InvalidArgumentError  INVALID_ARGUMENT        field
    ├── StateNotFoundError    STATE_NOT_FOUND         state_id
    ├── SnapshotNotFoundError SNAPSHOT_NOT_FOUND      snapshot_id
    ├── CheckpointNotFoundError  CHECKPOINT_NOT_FOUND workflow_id, step
    ├── StateExistsError      STATE_EXISTS            state_id
    ├── ConflictError         REVISION_CONFLICT       path, expected, actual
    ├── RevisionUnavailableError REVISION_UNAVAILABLE revision, oldest, newest, nearest
    ├── FencedError           FENCED                  workflow_id, attempt, current
    ├── StoreReplacedError    STORE_REPLACED          met, found
    ├── WorkflowBusyError     WORKFLOW_BUSY           workflow_id, holder, remaining
    ├── LeaseLostError        LEASE_LOST              workflow_id, attempt
    ├── StepOrderError        STEP_ORDER              workflow_id, step, expected
    ├── InDoubtError          IN_DOUBT                workflow_id, step, key, idempotency_key
    ├── PoisonedStepError     POISONED_STEP           workflow_id, step, deaths
    ├── NotRedactableError    NOT_REDACTABLE          where, revision
    └── TooLargeError         TOO_LARGE               size, limit

A refusal is an answer like any other: it is recorded with the session, and a repeated request gets the same one. That is
why it can be rebuilt from its three parts. The reasons are those of errors.proto.
"""

from lastgood_proto.paths import Path, format_path


class RefusedError(Exception):
    """An operation that was refused: nothing has changed."""

    reason = "INTERNAL"

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {name: str(value) for name, value in metadata.items() if value is not None}

    @classmethod
    def rebuild(cls, reason: str, message: str, metadata: dict[str, str]) -> "RefusedError":
        """Give the refusal that was recorded with these parts."""
        kind = next((kind for kind in cls.__subclasses__() if vars(kind).get("reason") == reason), cls)
        refusal = kind.__new__(kind)
        RefusedError.__init__(refusal, message, **metadata)
        return refusal


class PathError(RefusedError):
    """A path is malformed, or what is there does not allow the operation."""

    reason = "PATH"

    def __init__(self, path: Path | str, problem: str) -> None:
        text = path if isinstance(path, str) else format_path(path)
        super().__init__(f"{problem} (path {text!r})", path=text)


class InvalidValueError(RefusedError):
    """A value is outside the value model, or not of the kind that the place takes."""

    reason = "INVALID_VALUE"

    def __init__(self, message: str, *, path: str = "", type_name: str = "") -> None:
        super().__init__(message, path=path, type=type_name)


class InvalidArgumentError(RefusedError):
    """A field of a request is missing or out of range."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, problem: str) -> None:
        """Say what is wrong with a field: ``problem`` goes on from its name, such as "must be positive, got -1"."""
        super().__init__(f"{field} {problem}", field=field)


class StateNotFoundError(RefusedError):
    """The state, or the life of it that was meant, has been deleted."""

    reason = "STATE_NOT_FOUND"

    def __init__(self, state_id: str, remedy: str = "a new handle starts it anew") -> None:
        super().__init__(f"state {state_id!r} has been deleted; {remedy}", state_id=state_id)


class SnapshotNotFoundError(RefusedError):
    """No snapshot of that id."""

    reason = "SNAPSHOT_NOT_FOUND"

    def __init__(self, state_id: str, snapshot_id: str) -> None:
        super().__init__(f"state {state_id!r} has no snapshot {snapshot_id!r}", snapshot_id=snapshot_id)


class CheckpointNotFoundError(RefusedError):
    """No checkpoint of that step."""

    reason = "CHECKPOINT_NOT_FOUND"

    def __init__(self, workflow_id: str, step: int) -> None:
        super().__init__(f"workflow {workflow_id!r} has no checkpoint of step {step}", workflow_id=workflow_id, step=step)


class StateExistsError(RefusedError):
    """The id that a fork or an import is to have is in use."""

    reason = "STATE_EXISTS"

    def __init__(self, state_id: str) -> None:
        super().__init__(f"state {state_id!r} exists already; choose another id for the new state", state_id=state_id)


class ConflictError(RefusedError):
    """A precondition does not hold."""

    reason = "REVISION_CONFLICT"

    def __init__(self, path: Path | None, expected: int, actual: int, *, reached: int, former: bool = False) -> None:
        """Name what does not hold.

        Args:
            path: of what; None: of the state.
            expected: the revision that was named.
            actual: the one that it last changed in.
            reached: the one that the state is at.
            former: whether the one that was named is of a former life of the state.
        """
        text = None if path is None else format_path(path)
        if former:
            message = f"expected revision {expected} of a state that has been deleted since; what is there was made anew"
        elif expected > reached:
            message = f"expected revision {expected}, which the state has not reached yet: it is at {reached}"
        elif text is None:
            message = f"expected the state at revision {expected}, but it is at {actual}"
        elif expected == 0:
            message = f"expected nothing to have existed at {text!r}, but it last changed in revision {actual}"
        else:
            message = f"expected {text!r} unchanged since revision {expected}, but it changed in revision {actual}"
        super().__init__(message, path=text, expected=expected, actual=actual)


class RevisionUnavailableError(RefusedError):
    """A revision has been compacted or is not reached yet."""

    reason = "REVISION_UNAVAILABLE"

    def __init__(self, state_id: str, revision: int, oldest: int, newest: int, nearest: int) -> None:
        if newest == 0:
            message = f"state {state_id!r} has not been written, so it has no revision {revision} yet"
        elif revision > newest:
            message = f"state {state_id!r} has no revision {revision}; its revisions are {oldest} to {newest}"
        else:
            message = (
                f"revision {revision} of state {state_id!r} has been compacted; "
                f"the oldest there is is {oldest}, the nearest {nearest}"
            )
        super().__init__(message, revision=revision, oldest=oldest, newest=newest, nearest=nearest)


class TimeUnavailableError(RevisionUnavailableError):
    """What a state was at a time has been compacted."""

    def __init__(self, state_id: str, oldest: int, newest: int, nearest: int) -> None:
        message = (
            f"what state {state_id!r} was at that time has been compacted; "
            f"the oldest revision there is is {oldest}, the nearest {nearest}"
        )
        RefusedError.__init__(self, message, oldest=oldest, newest=newest, nearest=nearest)


class FencedError(RefusedError):
    """The writer belongs to an attempt that a later one has replaced."""

    reason = "FENCED"

    def __init__(self, workflow_id: str, attempt: int, current: int) -> None:
        super().__init__(
            f"attempt {attempt} at workflow {workflow_id!r} has been replaced by attempt {current}; it may write no more",
            workflow_id=workflow_id,
            attempt=attempt,
            current=current,
        )

    @classmethod
    def of_another_copy(cls, workflow_id: str, attempt: int, met: str, found: str) -> "FencedError":
        """Return that of a writer whose attempt was begun in another copy of the store."""
        refusal = cls.__new__(cls)
        text = (
            f"attempt {attempt} at workflow {workflow_id!r} was begun in copy {met} of the store, and this is copy {found}: "
            "the store was restored or copied since; claim or resume the workflow anew"
        )
        RefusedError.__init__(refusal, text, workflow_id=workflow_id, attempt=attempt)
        return refusal


class StoreReplacedError(RefusedError):
    """What is named was told by another copy of the store."""

    reason = "STORE_REPLACED"

    def __init__(self, met: str, found: str) -> None:
        super().__init__(
            f"this was told by copy {met} of the store, and copy {found} answers: the store was restored or copied since, "
            "and its numbers mean other things; look up here what you mean",
            met=met,
            found=found,
        )


class WorkflowBusyError(RefusedError):
    """Somebody else holds the workflow. ``until``: by the store's clock, unless the lease is renewed."""

    reason = "WORKFLOW_BUSY"
    until = 0

    def __init__(self, workflow_id: str, holder: str, until: int, now: int) -> None:
        remaining = f"{(until - now) / 1_000_000:.1f}"
        super().__init__(
            f"workflow {workflow_id!r} is held by {holder or 'someone else'}, for another {remaining} s unless renewed",
            workflow_id=workflow_id,
            holder=holder,
            remaining=remaining,
        )
        self.until = until


class LeaseLostError(RefusedError):
    """The lease of the attempt has expired."""

    reason = "LEASE_LOST"

    def __init__(self, workflow_id: str, attempt: int) -> None:
        super().__init__(
            f"the lease of attempt {attempt} at workflow {workflow_id!r} has expired; it may write no more, claim it again",
            workflow_id=workflow_id,
            attempt=attempt,
        )


class StepOrderError(RefusedError):
    """A step out of turn."""

    reason = "STEP_ORDER"

    def __init__(self, workflow_id: str, step: int, expected: int, problem: str) -> None:
        message = f"step {step} of workflow {workflow_id!r}: {problem}"
        super().__init__(message, workflow_id=workflow_id, step=step, expected=expected)


class InDoubtError(RefusedError):
    """An effect was claimed, and what came of it was never recorded."""

    reason = "IN_DOUBT"

    def __init__(self, workflow_id: str, step: int, key: str, idempotency_key: str) -> None:
        super().__init__(
            f"effect {key!r} of step {step} of workflow {workflow_id!r} was begun and its result never recorded: "
            f"it may have happened (idempotency key {idempotency_key})",
            workflow_id=workflow_id,
            step=step,
            key=key,
            idempotency_key=idempotency_key,
        )


class PoisonedStepError(RefusedError):
    """Too many processes have died under a step."""

    reason = "POISONED_STEP"

    def __init__(self, workflow_id: str, step: int, deaths: int) -> None:
        super().__init__(
            f"{deaths} processes have died under step {step} of workflow {workflow_id!r}; "
            f"when the cause is gone, release it: lastgood release {workflow_id}",
            workflow_id=workflow_id,
            step=step,
            deaths=deaths,
        )


class NotRedactableError(RefusedError):
    """A text that is to be redacted stands where it cannot be replaced."""

    reason = "NOT_REDACTABLE"

    def __init__(self, where: str, *, revision: int | None = None, remedy: str = "") -> None:
        if not remedy:
            remedy = "delete the state" if revision is None else f"compact it past revision {revision}, or delete the state"
        super().__init__(
            f"nothing was redacted: the text is in {where}, which cannot be replaced; {remedy}",
            where=where,
            revision=revision,
        )


class TooLargeError(RefusedError):
    """A value, a call or an answer is over the limit."""

    reason = "TOO_LARGE"

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"{what} has {size} bytes; the limit is {limit}", size=size, limit=limit)


class EndedError(RefusedError):
    """Work of many steps could not be brought to its end, for a reason that is told; what it has done stays done."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
