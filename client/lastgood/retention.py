"""How long the past is kept, and what went when that was applied."""

from dataclasses import dataclass
from datetime import timedelta

from lastgood import arguments
from lastgood.errors import InvalidArgumentError

_COUNTS = ("revisions", "bytes", "checkpoints")
_LENGTHS = ("age", "ttl", "superseded")
_LONGEST = timedelta(days=3_652_500)  # ten thousand years, which is what the protocol can say


@dataclass(frozen=True, slots=True)
class Retention:
    """A policy: what is kept. What is left out is no bound, so that ``Retention()`` keeps everything.

    Of the revisions, what exceeds any one of the bounds may go; never the present one, nor what a snapshot or a checkpoint
    refers to, nor where a workflow began.

    Attributes:
        revisions: the newest so many revisions.
        age: the revisions that are younger.
        bytes: the newest revisions that take at most so many bytes.
        ttl: a state, with the workflow of its id, that nobody has written for so long is deleted as a whole. Never while
            somebody holds the workflow, nor while a checkpoint of another workflow refers to the state.
        checkpoints: of a workflow, the last so many checkpoints; and always the last good one.
        superseded: checkpoints and effects that have been superseded for so long are dropped; ``timedelta(0)``: at once.

    Raises:
        InvalidArgumentError: one of them makes no sense.
    """

    revisions: int | None = None
    age: timedelta | None = None
    bytes: int | None = None
    ttl: timedelta | None = None
    checkpoints: int | None = None
    superseded: timedelta | None = None

    def __post_init__(self) -> None:
        """Check it."""
        for name in _COUNTS:
            number = getattr(self, name)
            if number is not None and not 1 <= arguments.check_count(number, name) < 2**63:
                text = f"{name} must be between 1 and {2**63 - 1}, got {number}"
                raise InvalidArgumentError(text, field=name)
        for name in _LENGTHS:
            length = getattr(self, name)
            if length is None:
                continue
            if not isinstance(length, timedelta):
                text = f"{name} must be a timedelta such as timedelta(days=7), got {length!r}"
                raise InvalidArgumentError(text, field=name)
            least = timedelta(0) if name == "superseded" else timedelta.resolution
            if not least <= length <= _LONGEST:
                text = f"{name} must be between {least} and {_LONGEST}, got {length}"
                raise InvalidArgumentError(text, field=name)


@dataclass(frozen=True, slots=True)
class RetentionInForce:
    """The policy that is in force for an id.

    Attributes:
        retention: the policy; None: there is none, so that everything is kept.
        own: whether it was set for that id itself; otherwise it is the default.
    """

    retention: Retention | None
    own: bool


@dataclass(frozen=True, slots=True)
class Compaction:
    """What went when the policies were applied.

    Attributes:
        states: how many states and workflows something went of.
        revisions: revisions removed.
        checkpoints: checkpoints removed.
        effects: superseded effects removed.
        deleted: states and workflows deleted as a whole.
        copies: copies deleted that had been made for checkpoints which are gone.
        damaged: what was passed over because a record of it is damaged; the daemon's log says which.
        bytes: by how much the daemon's file has become smaller. A file shrinks by whole pages: what went may have been less,
            or more.
    """

    states: int = 0
    revisions: int = 0
    checkpoints: int = 0
    effects: int = 0
    deleted: int = 0
    copies: int = 0
    damaged: int = 0
    bytes: int = 0
