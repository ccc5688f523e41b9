"""What goes wrong, and what to do about it where the message of an error does not say that."""

from lastgood import errors

_HINTS: dict[type[Exception], str] = {
    errors.RevisionUnavailableError: "lastgood history lists the revisions",
    errors.SnapshotNotFoundError: "lastgood snapshots lists them",
    errors.CheckpointNotFoundError: "lastgood checkpoints lists them",
    errors.StateNotFoundError: "lastgood states lists what there is",
    errors.RevisionConflictError: "look at it again (lastgood history), and repeat the command if it still makes sense",
    errors.OutcomeUnknownError: "lastgood history shows whether it was done",
    errors.FencedError: "lastgood resume begins a new attempt",
    errors.WorkflowBusyError: "wait until its holder is done, or stop that",
    errors.OverloadedError: "try again later",
    errors.UnauthenticatedError: "set LASTGOOD_TOKEN to the daemon's token",
    errors.CorruptDataError: "the daemon's log says which record; restore the folder from a backup",
}


class FailedError(Exception):
    """The operation failed; the message says what to do."""


class WrongUsageError(Exception):
    """The command line makes no sense; the message says why."""


def hint(error: Exception) -> str:
    """Give what to add to the message of an error."""
    found = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), None)
    return f": {found}" if found and found not in str(error) else ""
