"""Which copy of the store a request means.

A copy of a store goes on with the same numbers for other things: attempt 2, revision 17. So whatever names such a number may
say which copy told it, and is refused where that is not the one that answers.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from lastgood_daemon.engine.errors import FencedError, StoreReplacedError
from lastgood_proto.v1.common_pb2 import ChangeContext, CheckpointRef, Fence, SnapshotRef, Target, WriteContext

Check = Callable[[Any, str], None]


def check_of(request: Descriptor) -> Check:
    """Return what checks requests of a type: it raises FencedError or StoreReplacedError, given the copy that answers."""
    checks = [
        (field.name, _CHECKS[field.message_type.full_name])
        for field in request.fields
        if field.message_type is not None and field.message_type.full_name in _CHECKS
    ]

    def check(message: Message, copy_id: str) -> None:
        for name, check_field in checks:
            if message.HasField(name):
                check_field(getattr(message, name), copy_id)

    return check


def _check_reference(reference: SnapshotRef | CheckpointRef | WriteContext | ChangeContext, copy_id: str) -> None:
    if reference.copy_id and reference.copy_id != copy_id:
        raise StoreReplacedError(reference.copy_id, copy_id)


def _check_target(target: Target, copy_id: str) -> None:
    kind = target.WhichOneof("kind")
    if kind == "snapshot":
        _check_reference(target.snapshot, copy_id)
    elif kind == "checkpoint":
        _check_reference(target.checkpoint, copy_id)


def _check_fence(fence: Fence, copy_id: str) -> None:
    if fence.copy_id and fence.copy_id != copy_id:
        raise FencedError.of_another_copy(fence.workflow_id, fence.attempt, fence.copy_id, copy_id)


def _check_context(context: WriteContext | ChangeContext, copy_id: str) -> None:
    if context.HasField("fence"):
        _check_fence(context.fence, copy_id)
    _check_reference(context, copy_id)


_CHECKS: dict[str, Check] = {
    WriteContext.DESCRIPTOR.full_name: _check_context,
    ChangeContext.DESCRIPTOR.full_name: _check_context,
    Fence.DESCRIPTOR.full_name: _check_fence,
    Target.DESCRIPTOR.full_name: _check_target,
    SnapshotRef.DESCRIPTOR.full_name: _check_reference,
    CheckpointRef.DESCRIPTOR.full_name: _check_reference,
}
