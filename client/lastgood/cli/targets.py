"""How a content of the past is named on the command line."""

from datetime import datetime

from lastgood import Checkpoint, Client, Snapshot
from lastgood.cli.failures import FailedError
from lastgood.cli.jsonform import time_text
from lastgood.errors import InvalidArgumentError, SnapshotNotFoundError

Past = int | Snapshot | Checkpoint | datetime

TARGET_HELP = """\
TARGET is one of:
  12                    a revision
  before-review         a snapshot, by its label or its id
  label:12              a snapshot whose label looks like one of the others
  2026-11-23T05:50:12Z  a time, with its zone: the last revision up to then
  step:3                the checkpoint of step 3 of the workflow of that id
  step:3@wf-123         ... of another workflow\
"""

_STEP = "step:"
_LABEL = "label:"
_ENOUGH = 3


async def find(text: str, client: Client, state_id: str) -> Past:
    """Find what a text names: a revision, a checkpoint, a time, or else a snapshot of the state.

    Raises:
        InvalidArgumentError: it is a time without a zone, or no step.
        CheckpointNotFoundError: there is no such checkpoint.
        SnapshotNotFoundError: nothing has that name.
        FailedError: several snapshots have it.
    """
    if text.startswith(_LABEL):
        return await _labelled(text.removeprefix(_LABEL), client, state_id)
    if text.isascii() and text.isdigit():
        return int(text)
    if text.startswith(_STEP):
        return await _checkpoint(text, client, state_id)
    time = _time(text)
    if time is not None and time.utcoffset() is not None:
        return time
    snapshots = await client.state(state_id).list_snapshots()
    found = [each for each in snapshots if each.snapshot_id == text] or [each for each in snapshots if each.label == text]
    if len(found) == 1:
        return found[0]
    if time is not None and not found:
        message = f"{text!r} has no time zone: append Z, or one such as +02:00"
        raise InvalidArgumentError(message, field="target")
    raise _several(text, found) if found else _nothing(text, state_id, snapshots)


def describe(past: Past) -> str:
    """Say in words what was found."""
    match past:
        case Checkpoint():
            return f"the checkpoint of step {past.step} ({_revision(past.state_snapshot)})"
        case Snapshot():
            return f"snapshot {past.label or past.snapshot_id} ({_revision(past)})"
        case datetime():
            return f"what it was at {time_text(past)}"
        case _:
            return f"revision {past}"


def bound(past: Past) -> int | Snapshot | datetime:
    """Give what stands for it as an end of a stretch of history."""
    return past.state_snapshot if isinstance(past, Checkpoint) else past


async def _labelled(label: str, client: Client, state_id: str) -> Snapshot:
    snapshots = await client.state(state_id).list_snapshots()
    found = [each for each in snapshots if each.label == label]
    if len(found) != 1:
        raise _several(label, found) if found else _nothing(label, state_id, snapshots)
    return found[0]


async def _checkpoint(text: str, client: Client, state_id: str) -> Checkpoint:
    number, _, workflow_id = text.removeprefix(_STEP).partition("@")
    if not (number.isascii() and number.isdigit()):
        message = f"{text!r} names no step: step:3 does, and step:3@workflow"
        raise InvalidArgumentError(message, field="target")
    return await client.checkpoints.get_checkpoint(workflow_id or state_id, int(number))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _revision(snapshot: Snapshot) -> str:
    return f"revision {snapshot.revision} of {snapshot.state_id}"


def _several(text: str, found: list[Snapshot]) -> FailedError:
    names = ", ".join(f"{each.snapshot_id} (revision {each.revision})" for each in found[-_ENOUGH:])
    message = f"{len(found)} snapshots have the label {text!r}: name one by its id, such as {names}"
    return FailedError(message, reason=InvalidArgumentError.reason)


def _nothing(text: str, state_id: str, snapshots: list[Snapshot]) -> SnapshotNotFoundError:
    labels = [_typed(each.label) for each in snapshots if each.label]
    there = f"it has {', '.join(map(repr, labels[-_ENOUGH:]))}" if labels else "it has none with a label"
    message = (
        f"state {state_id!r} has no snapshot {text!r} ({there}), and that is no revision, time or step:NUMBER either: "
        "(lastgood history lists the revisions)"
    )
    return SnapshotNotFoundError(message)


def _typed(label: str) -> str:
    """Return a label as it has to be typed, so that it is taken for one."""
    looks = label.startswith((_LABEL, _STEP)) or (label.isascii() and label.isdigit()) or _time(label) is not None
    return f"{_LABEL}{label}" if looks else label
