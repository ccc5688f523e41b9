"""What a command comes to, in the form in which it is answered and recorded with the session."""

import msgspec

from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot
from lastgood_daemon.engine.workflow import Checkpoint


class Written(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """A state was written, deleted or forked, or there was nothing to write."""

    point: Point
    existed: bool = True
    """False where there was nothing to delete."""
    number: bytes = b""
    """The number after an increment."""


class SnapshotTaken(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A snapshot was taken."""

    point: Point
    snapshot: Snapshot


class CheckpointMade(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A checkpoint was made."""

    checkpoint: Checkpoint


class CheckpointsDeleted(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Checkpoints were deleted, or there were none."""

    existed: bool


class Resumed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """An attempt at a workflow has begun."""

    point: Point
    attempt: int
    checkpoint: Checkpoint | None


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Nothing was done; see ``engine.errors``."""

    reason: str
    message: str
    metadata: dict[str, str] = {}

    @classmethod
    def because(cls, refusal: RefusedError) -> "Refused":
        """Give the outcome for a refusal."""
        return cls(refusal.reason, refusal.message, refusal.metadata)


Outcome = Written | SnapshotTaken | CheckpointMade | CheckpointsDeleted | Resumed | Refused

encode_outcome = msgspec.msgpack.Encoder().encode
decode_outcome = msgspec.msgpack.Decoder(Outcome).decode
