"""How callers name a content: a revision, a snapshot, a checkpoint, a moment."""

from datetime import datetime

from lastgood import arguments, convert
from lastgood.errors import DaemonUnavailableError, InvalidArgumentError, StoreReplacedError
from lastgood.models import Snapshot
from lastgood.operations import READ
from lastgood.progress import Checkpoint
from lastgood.transport.connection import Connection
from lastgood.transport.registry import connection_to
from lastgood_proto.v1.common_pb2 import StateRef, Target, Value
from lastgood_proto.v1.state_pb2 import ReadRequest

Past = int | Snapshot | Checkpoint | datetime
"""A content to look at or to go back to: a revision, a snapshot, a checkpoint, or an aware datetime."""


async def target_of(past: Past, connection: Connection, *, field: str, timeout: float | None) -> Target:
    """Name a content to the daemon at that connection; one that another daemon has is brought along.

    Raises:
        InvalidArgumentError: it names none.
    """
    if isinstance(past, datetime):
        return Target(time=convert.time_to(arguments.check_time(past, field)))
    if isinstance(past, Snapshot | Checkpoint):
        snapshot = past if isinstance(past, Snapshot) else past.state_snapshot
        if not await is_at(snapshot, connection, timeout):
            return Target(content=await content_of(snapshot, timeout))
        if isinstance(past, Checkpoint):
            return Target(checkpoint=convert.checkpoint_ref_to(past))
        return Target(snapshot=convert.reference_to(past))
    if isinstance(past, bool) or not isinstance(past, int):
        text = f"{field} must be a revision, a Snapshot, a Checkpoint or an aware datetime, got {past!r}"
        raise InvalidArgumentError(text, field=field)
    return Target(revision=arguments.check_count(past, field))


async def bound_of(
    bound: int | Snapshot | datetime, state_id: str, connection: Connection, *, field: str, timeout: float | None
) -> Target:
    """Name an end of a stretch of a state's history.

    Raises:
        InvalidArgumentError: it names none, or a revision of another state.
    """
    if isinstance(bound, datetime):
        return Target(time=convert.time_to(arguments.check_time(bound, field)))
    if isinstance(bound, Snapshot):
        is_of_another = bool(bound.daemon_id) and (await connection.server(timeout)).daemon_id != bound.daemon_id
        if bound.state_id != state_id or is_of_another:
            where = " of another daemon" if is_of_another else ""
            text = f"{field} must be a snapshot of this state, got one of state {bound.state_id!r}{where}"
            raise InvalidArgumentError(text, field=field)
        return Target(snapshot=convert.reference_to(bound)) if bound.incarnation else Target(revision=bound.revision)
    if isinstance(bound, bool) or not isinstance(bound, int):
        text = f"{field} must be a revision, a Snapshot or an aware datetime, got {bound!r}"
        raise InvalidArgumentError(text, field=field)
    return Target(revision=arguments.check_count(bound, field))


async def is_at(snapshot: Snapshot, connection: Connection, timeout: float | None) -> bool:
    """Whether the daemon at that connection has the snapshot."""
    if not snapshot.daemon_id:
        return True
    server = await connection.server(timeout)
    return server.is_copy(snapshot.daemon_id, snapshot.copy_id)


async def content_of(snapshot: Snapshot, timeout: float | None) -> Value:
    """Fetch the content of a snapshot from the daemon that has it.

    Raises:
        DaemonUnavailableError: that daemon cannot be reached.
        StoreReplacedError: where it was, there is another copy of its store now.
    """
    connection = connection_to(snapshot.daemon_id, snapshot.copy_id, snapshot.address)
    server = await connection.server(timeout)
    if server.daemon_id != snapshot.daemon_id:
        text = (
            f"the snapshot is of daemon {snapshot.daemon_id}, but the one at {snapshot.address} is {server.daemon_id} now: "
            "connect to the right one first"
        )
        raise DaemonUnavailableError(text)
    if not server.is_copy(snapshot.daemon_id, snapshot.copy_id):
        text = (
            f"the snapshot is of copy {snapshot.copy_id} of the store, and at {snapshot.address} is copy {server.copy_id} "
            f"now: the store was restored or copied since, and revision {snapshot.revision} is something else there. Look "
            "up what you mean (list_snapshots, get_snapshot, list_checkpoints), and restore that"
        )
        raise StoreReplacedError(text, met=snapshot.copy_id, found=server.copy_id)
    request = ReadRequest(
        state=StateRef(state_id=snapshot.state_id, incarnation=snapshot.incarnation),
        at=Target(snapshot=convert.reference_to(snapshot)),
    )
    answer = await connection.call(READ, request, timeout=timeout)
    return answer.value
