"""What a command comes to, in the form in which it is answered and recorded with the session."""

import msgspec

from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.log import Other
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot


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


class Rollback(msgspec.Struct, frozen=True, array_like=True):
    """What a rollback has undone, and what it could not."""

    from_revision: int
    effects: list[Effect]
    """Those that went out past the point gone back to, without their results."""
    undone: list[Other]
    """The revisions past that point which no attempt at the workflow has written."""


class Resumed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """An attempt at a workflow has begun."""

    point: Point
    attempt: int
    checkpoint: Checkpoint | None
    rollback: Rollback


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Nothing was done; see ``engine.errors``."""

    reason: str
    message: str
    metadata: dict[str, str] = {}

    @classmethod
    def because(cls, refusal: RefusedError) -> "Refused":
        """Give the outcome for a refusal."""
        return cls(refusal.reason, refusal.message, refusal.metadata)

    def error(self) -> RefusedError:
        """Give a refusal of this outcome, for whoever raises it again."""
        refusal = RefusedError.rebuild(self.reason, self.message, self.metadata)
        refusal.reason = self.reason
        return refusal


class StepBegun(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A step was opened."""

    point: Point
    line: int
    effects: list[Effect]
    """Those that it has had already, without their results."""


class StepEnded(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A step was completed, or failed and was rolled back."""

    point: Point
    checkpoint: Checkpoint
    rollback: Rollback | None = None


class EffectClaimed(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """An effect is about to happen."""

    effect: Effect


class EffectKnown(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """An effect has happened before. Nothing was changed by asking: not remembered, since asking again gives the same."""

    effect: Effect


class Done(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Something without an answer of its own was done; ``existed`` is False where there was nothing to do."""

    existed: bool = True


class Pruned(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Parts of a workflow were dropped by its policy: how many."""

    checkpoints: int
    effects: int


class Redacted(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """A text was taken out: of so many revisions that there were before, and of so many records."""

    point: Point
    revisions: int
    records: int


Outcome = (
    Written
    | SnapshotTaken
    | CheckpointMade
    | CheckpointsDeleted
    | Resumed
    | Refused
    | StepBegun
    | StepEnded
    | EffectClaimed
    | EffectKnown
    | Done
    | Pruned
    | Redacted
)

encode_outcome = msgspec.msgpack.Encoder().encode
decode_outcome = msgspec.msgpack.Decoder(Outcome).decode
