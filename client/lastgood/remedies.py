"""What to do about each error: the one table that the command and the page "Troubleshooting" are made from."""

import shlex
from typing import NamedTuple

from lastgood import errors
from lastgood.errors import LastgoodError


class Remedy(NamedTuple):
    """What to do about one class of errors.

    Attributes:
        text: for a reader of the documentation, in Markdown.
        hint: what the command adds to the message; "" where the message itself says what to do. ``{workflow}`` stands for
            the id of the workflow, quoted for a shell.
    """

    text: str
    hint: str = ""


REMEDIES: dict[type[LastgoodError], Remedy] = {
    errors.LastgoodError: Remedy(
        "Catch this class for everything that lastgood raises on purpose. An error of exactly this class has a `reason` "
        "that this version of the client does not know: install the version of the daemon.",
    ),
    errors.DaemonUnavailableError: Remedy(
        "Nothing was written, so it is safe to call again. `lastgood status` says whether a daemon runs and where; the "
        "message ends with the command that starts one. A daemon that did not start says why in `daemon.log` in its data "
        "folder. On the network, compare both ends: a daemon with `tls-certificate` needs `connect(…, tls=…)`, one "
        "without must not be called with it.",
    ),
    errors.IncompatibleDaemonError: Remedy(
        "Install the same version of lastgood for client and daemon. To replace a running daemon by that version: "
        "`lastgood serve` takes the folder over from a daemon that a client started; a service restarts its own. If the "
        "message says that no lastgood daemon answers, the address is another program's.",
    ),
    errors.OutcomeUnknownError: Remedy(
        "Read the state, or its history, to see whether the write was done. A write with `expected=` is safe to repeat: "
        "if the first one was done, the second one is refused.",
        "lastgood history shows whether it was done",
    ),
    errors.OverloadedError: Remedy(
        "Nothing was written. Make room on the disk if the message names it; otherwise call again after a pause, from "
        "fewer tasks at once. `lastgood retention` and `lastgood compact` make the store smaller.",
        "try again later",
    ),
    errors.PathError: Remedy(
        "Correct the path: segments are separated by dots, and a dot inside a key is written `\\.` (`lastgood.join` does "
        "that). Where the path leads through a scalar, delete or overwrite that first.",
    ),
    errors.InvalidValueError: Remedy(
        "Convert what stands at `path` of the value into one of the types of the [value model](guide/values.md).",
    ),
    errors.InvalidArgumentError: Remedy(
        "Correct the argument that `field` names. The message says what it must be.",
    ),
    errors.TooLargeError: Remedy(
        "Split the value into several paths, or the call into several calls. Keep large files outside, and their names in "
        "the state. Read a large tree path by path.",
    ),
    errors.NotFoundError: Remedy(
        "The base class of the three that follow. Check the id that the message names.",
    ),
    errors.StateNotFoundError: Remedy(
        "The state was deleted, perhaps by someone else. Make a new handle with `client.state(id)` to begin it anew; "
        "`lastgood states` lists what there is.",
        "lastgood states lists what there is",
    ),
    errors.SnapshotNotFoundError: Remedy(
        "List the snapshots with `state.list_snapshots()` or `lastgood snapshots`.",
        "lastgood snapshots lists them",
    ),
    errors.CheckpointNotFoundError: Remedy(
        "List the checkpoints with `client.checkpoints.list_checkpoints(id)` or `lastgood checkpoints`.",
        "lastgood checkpoints lists them",
    ),
    errors.StateExistsError: Remedy(
        "Choose another id for the fork or the import, or delete the state that has it.",
    ),
    errors.RevisionConflictError: Remedy(
        "Someone else has written meanwhile. Read again and repeat what still makes sense; `state.transact(function)` "
        "does that by itself.",
        "look at it again (lastgood history), and repeat the command if it still makes sense",
    ),
    errors.RevisionUnavailableError: Remedy(
        "Use a revision from `oldest` to `newest`; `nearest` is the closest one that is kept. Set a longer "
        "[retention](guide/retention.md), or take a snapshot, to keep revisions that you will need.",
        "lastgood history lists the revisions",
    ),
    errors.ValueNotCarriedError: Remedy(
        "List the history with values, or read the value itself with `state.get(path, at=revision)`.",
    ),
    errors.FencedError: Remedy(
        "Stop: a later attempt does the work now. To take the workflow back, claim it again with `async with workflow`, "
        "which begins a new attempt.",
        "lastgood resume {workflow} begins a new attempt",
    ),
    errors.StoreReplacedError: Remedy(
        "Connect again and begin with what is there: revisions, attempts and snapshots of the former store mean other "
        "things in this one. If you did not restore or move the store, check the address or the folder.",
    ),
    errors.WorkflowBusyError: Remedy(
        "Wait for the holder with `client.workflow(id, wait=True)`, or call again after `remaining` seconds. If the "
        "holder is you, write with the `state` of the step instead of `client.state(id)`. "
        "`workflow.try_resume(force=True)` takes the workflow from its holder.",
        "lastgood resume {workflow} --force takes it from its holder",
    ),
    errors.LeaseLostError: Remedy(
        "Stop writing and claim the workflow again: it goes on from the last good checkpoint. If this happens often, do "
        "not block the event loop, or choose a longer `lease=`.",
        "lastgood resume {workflow} begins a new attempt",
    ),
    errors.StepOrderError: Remedy(
        "Run the step that `expected` names (`workflow.current_step`), one at a time, within `async with`.",
        "lastgood workflow show {workflow} tells where it stands",
    ),
    errors.InDoubtError: Remedy(
        "Ask the outside service whether it knows `idempotency_key`, and pass a function that does so as `in_doubt=`. "
        "Where a second call does no harm, pass `in_doubt='run'`.",
        "ask the outside service for that key; lastgood workflow show {workflow} lists the effects",
    ),
    errors.EffectFailedError: Remedy(
        "The call failed in an earlier attempt, and that is its recorded result. Handle it like that failure; resume from "
        "an earlier step to make the call again.",
    ),
    errors.PoisonedStepError: Remedy(
        "Find out why the processes died (memory, a crash in native code), then let the step run again with `lastgood "
        "release WORKFLOW`.",
    ),
    errors.RequestMismatchError: Remedy(
        "Use a new idempotency key for each different request, and the same one only to repeat a request unchanged.",
    ),
    errors.NotRedactableError: Remedy(
        "The text is part of a path or an id. Compact the state past `revision`, or delete the state, and redact again.",
    ),
    errors.PermissionDeniedError: Remedy(
        "Do it where the daemon runs: some calls are for its own Unix socket only, and backups over the network go below "
        "the `backup_dir` of the daemon.",
    ),
    errors.UnauthenticatedError: Remedy(
        "Pass `token=` to `connect`, or set `LASTGOOD_TOKEN`, to the token that the daemon was started with.",
        "set LASTGOOD_TOKEN to the daemon's token",
    ),
    errors.CorruptDataError: Remedy(
        "`lastgood verify` lists what is damaged. Serve a [backup](guide/operations.md), or delete the damaged state; "
        "other states are not affected. Check the disk.",
        "lastgood verify lists what is damaged; serve a backup of the folder, or go on without that",
    ),
    errors.InternalError: Remedy(
        "This is a bug in lastgood. Report it with the traceback in the log of the daemon (`daemon.log` in the data "
        "folder, or the journal of its service).",
    ),
    errors.ClientUnusableError: Remedy(
        "Connect where you use the client: again after `aclose`, once in each process after a fork, once in each event "
        "loop. Inside an event loop use `lastgood.connect` in place of `lastgood.sync.connect`.",
    ),
}


def hint(error: Exception) -> str:
    """Return what the command adds to the message of an error."""
    remedy = next((REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES), None)
    if remedy is None or not remedy.hint:
        return ""
    text = remedy.hint.format(workflow=shlex.quote(getattr(error, "workflow_id", "")))
    return "" if text in str(error) else f": {text}"
