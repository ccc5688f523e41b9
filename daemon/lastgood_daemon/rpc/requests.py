"""From the contract to the engine. Whatever is malformed is refused here, with the name of the field."""

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from lastgood_daemon.authority.targets import CheckpointRef, Content, Revision, StateRef, Target, Time
from lastgood_daemon.engine.checkpoint import Metrics
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set
from lastgood_daemon.engine.encoded import is_map
from lastgood_daemon.engine.errors import InvalidArgumentError, InvalidValueError, PathError, TooLargeError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.rpc.canonical import canonical
from lastgood_daemon.rpc.large import entries_of, payload_of
from lastgood_proto import values
from lastgood_proto.paths import MAX_DEPTH, Path, parse_path
from lastgood_proto.texts import MAX_METADATA_BYTES, MAX_NAME_BYTES, cut, problem_with
from lastgood_proto.v1 import checkpoints_pb2, common_pb2, state_pb2, workflows_pb2

MAX_STEP = 2**63 - 1


def path_of(text: str) -> Path:
    """Read a path."""
    try:
        return parse_path(text)
    except ValueError as error:
        raise PathError(cut(text), str(error)) from error


def value_of(value: common_pb2.Value, field: str = "value") -> bytes:
    """Give a value in its shortest form."""
    try:
        match value.WhichOneof("kind"):
            case "msgpack":
                encoded = canonical(payload_of(value))
            case "json":
                encoded = values.encode(msgspec.json.decode(value.json))
            case _:
                raise InvalidArgumentError(field, "must be set")
    except values.InvalidValue as error:
        raise InvalidValueError(str(error), path=error.path, type_name=error.type_name) from error
    except RecursionError as error:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidValueError(message) from error
    except msgspec.DecodeError as error:
        message = f"not a JSON text: {error}"
        raise InvalidValueError(message) from error
    if len(encoded) > values.MAX_BYTES:
        raise TooLargeError(field, len(encoded), values.MAX_BYTES)
    return encoded


def map_of(value: common_pb2.Value, field: str) -> bytes:
    """Return a value that must be a map."""
    encoded = value_of(value, field)
    if not is_map(encoded):
        message = f"{field} takes a map"
        raise InvalidValueError(message, type_name=type(values.decode(encoded)).__name__)
    return encoded


def text_of(text: str, field: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return a text that is stored with a write; see ``lastgood_proto/texts.py``."""
    problem = problem_with(text, limit)
    if problem:
        raise InvalidArgumentError(field, problem)
    return text


def id_of(text: str, field: str) -> str:
    """Return an id or a key: a text that is not empty."""
    if not text:
        raise InvalidArgumentError(field, "must not be empty")
    return text_of(text, field)


def metadata_in(value: common_pb2.Value) -> bytes:
    """Return the map that is kept beside a snapshot or a checkpoint."""
    encoded = map_of(value, "metadata")
    if len(encoded) > MAX_METADATA_BYTES:
        what = "metadata"
        raise TooLargeError(what, len(encoded), MAX_METADATA_BYTES)
    return encoded


def step_of(step: int) -> int:
    """Return the number of a step. The one after it must be a number, too."""
    if step > MAX_STEP:
        field = "step"
        raise InvalidArgumentError(field, f"must be at most {MAX_STEP}, got {step}")
    return step


def state_of(ref: common_pb2.StateRef) -> StateRef:
    """Give the state that is meant."""
    return StateRef(id_of(ref.state_id, "state_id"), ref.incarnation)


def point_of(ref: common_pb2.SnapshotRef) -> Point:
    """Give the revision that is meant."""
    if not ref.incarnation:
        field = "snapshot.incarnation"
        raise InvalidArgumentError(field, "must be positive, got 0")
    return Point(id_of(ref.state_id, "snapshot.state_id"), ref.incarnation, ref.revision)


def target_of(target: common_pb2.Target) -> Target | None:
    """Give what is meant; nothing means the present content."""
    match target.WhichOneof("kind"):
        case "revision":
            return Revision(target.revision)
        case "time":
            return Time(microseconds_of(target.time))
        case "snapshot":
            return point_of(target.snapshot)
        case "checkpoint":
            ref = target.checkpoint
            return CheckpointRef(id_of(ref.workflow_id, "checkpoint.workflow_id"), ref.step, ref.attempt)
        case "content":
            return Content(map_of(target.content, "content"))
        case _:
            return None


def required_target(target: common_pb2.Target) -> Target:
    """Give what is meant, which must be said."""
    found = target_of(target)
    if found is None:
        field = "target"
        raise InvalidArgumentError(field, "must be set")
    return found


def microseconds_of(time: Timestamp) -> int:
    """Give a time in microseconds since 1970-01-01 UTC."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def author_of(context: common_pb2.WriteContext | common_pb2.ChangeContext) -> Author:
    """Give who writes."""
    agent_id = text_of(context.agent_id, "agent_id")
    if not context.HasField("fence"):
        return Author(agent_id)
    return Author(agent_id, id_of(context.fence.workflow_id, "fence.workflow_id"), context.fence.attempt)


def attempt_of(context: common_pb2.ChangeContext, workflow_id: str) -> Author:
    """Give who writes, who must belong to an attempt at that workflow."""
    author = author_of(context)
    if author.workflow_id != workflow_id:
        field = "context.fence"
        raise InvalidArgumentError(field, f"must name an attempt at workflow {workflow_id!r}")
    return author


_Ending = checkpoints_pb2.CreateCheckpointRequest | workflows_pb2.CompleteStepRequest | workflows_pb2.FailStepRequest
"""The requests that make a checkpoint."""


def metrics_of(request: _Ending) -> Metrics | None:
    """Give what the work has cost, if that is said."""
    metrics = request.metrics
    if not request.HasField("metrics"):
        return None
    return Metrics(
        metrics.total_cost,
        metrics.total_steps,
        metrics.total_tokens,
        metrics.input_tokens,
        metrics.output_tokens,
        metrics.elapsed_seconds,
    )


def metadata_of(request: _Ending) -> bytes | None:
    """Give the map that is kept with a checkpoint, if there is one."""
    return metadata_in(request.metadata) if request.HasField("metadata") else None


def precondition_of(context: common_pb2.WriteContext) -> Precondition:
    """Give what must hold."""
    if not context.HasField("expected"):
        return Precondition()
    expected = context.expected
    revision = expected.revision if expected.HasField("revision") else None
    paths = {path_of(path): since for path, since in entries_of(expected.paths)}
    return Precondition(revision, paths, expected.incarnation)


def edit_of(edit: state_pb2.Edit) -> tuple[str, Edit]:
    """Give an edit of a transaction, with the name that the history gives it."""
    path = path_of(edit.path)
    action = edit.WhichOneof("action")
    match action:
        case "set":
            return action, Set(path, value_of(edit.set))
        case "merge":
            return action, Merge(path, value_of(edit.merge))
        case "append":
            return action, Append(path, tuple(map(value_of, edit.append.items)))
        case "increment":
            return action, Increment(path, value_of(edit.increment))
        case "delete":
            return action, Delete(path)
        case _:
            field = "edits"
            raise InvalidArgumentError(field, "must each have an action: set, merge, append, increment or delete")
