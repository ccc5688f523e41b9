"""What goes wrong, and what to do about it where the message of an error does not say that."""

import shlex

from lastgood import errors

_HINTS: dict[type[Exception], str] = {
    errors.RevisionUnavailableError: "lastgood history lists the revisions",
    errors.SnapshotNotFoundError: "lastgood snapshots lists them",
    errors.CheckpointNotFoundError: "lastgood checkpoints lists them",
    errors.StateNotFoundError: "lastgood states lists what there is",
    errors.RevisionConflictError: "look at it again (lastgood history), and repeat the command if it still makes sense",
    errors.OutcomeUnknownError: "lastgood history shows whether it was done",
    errors.FencedError: "lastgood resume {workflow} begins a new attempt",
    errors.WorkflowBusyError: "lastgood resume {workflow} --force takes it from its holder",
    errors.LeaseLostError: "lastgood resume {workflow} begins a new attempt",
    errors.StepOrderError: "lastgood workflow show {workflow} tells where it stands",
    errors.InDoubtError: "ask the outside service for that key; lastgood workflow show {workflow} lists the effects",
    errors.OverloadedError: "try again later",
    errors.UnauthenticatedError: "set LASTGOOD_TOKEN to the daemon's token",
    errors.CorruptDataError: "lastgood verify lists what is damaged; serve a backup of the folder, or go on without that",
}


class FailedError(Exception):
    """The operation failed; the message says what to do."""


class WrongUsageError(Exception):
    """The command line makes no sense; the message says why."""


def hint(error: Exception) -> str:
    """Give what to add to the message of an error."""
    text = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), "")
    found = text.format(workflow=shlex.quote(getattr(error, "workflow_id", "")))
    return f": {found}" if found and found not in str(error) else ""
