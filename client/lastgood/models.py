"""What the calls return about a state and its past: plain objects that do no I/O, compare by content, and pickle."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from lastgood.attempts import Effect
from lastgood.errors import ValueNotCarriedError
from lastgood_proto import values

DifferenceKind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A revision of a state that can be restored, looked at and compared with.

    It is a reference and holds no content. It knows its daemon, so that restoring it into a state of another daemon works:
    the content is then fetched and written there.

    Attributes:
        state_id: the state.
        revision: the revision.
        created_at: when it was taken; where it only names a revision, when that was made. None where that is not known.
        label: as given to ``snapshot()``.
        metadata: as given to ``snapshot()``.
        snapshot_id: its own id; None where it only names a revision, as in history entries and checkpoints, which pins
            nothing.
        incarnation: which life of the state: 1 for a new id, one more after each deletion.
        daemon_id: the store that has it.
        copy_id: which copy of it: another one in a backup, a copied folder, and after a backup was put in place.
        address: where that was found: a folder (absolute path), ``unix:/path`` or ``host:port``.
    """

    state_id: str
    revision: int
    created_at: datetime | None = None
    label: str | None = None
    metadata: dict[str, Any] | None = field(default=None, hash=False)
    snapshot_id: str | None = None
    incarnation: int = field(default=0, repr=False)
    daemon_id: str = field(default="", repr=False)
    address: str = field(default="", repr=False, compare=False)
    copy_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """A value together with the revision of the state in which it was read.

    Attributes:
        value: the value; None where there is none.
        revision: of the state, as read.
        existed: whether there is a value. A value of None exists.
    """

    value: Any
    revision: int
    existed: bool


@dataclass(frozen=True, repr=False)
class HistoryEntry:
    """One revision, as it looks from a path.

    Attributes:
        path: the path asked for; without one, the path of the operation.
        revision: the revision.
        existed: whether there is a value at the path after it.
        operation: what was done: ``"set"``, ``"update"``, ``"merge"``, ``"append"``, ``"increment"``, ``"delete"``,
            ``"transact"``, ``"restore"``, ``"fork"``, …
        agent_id: who wrote it; ``""`` where that was not said.
        timestamp: when. Never goes backwards within a state.
        snapshot: the state as it was after it, to be restored or compared with.
        attempt: the attempt at a workflow that the writer belonged to, or None.
        step: the step of that attempt which was open, or None.
        source: where a restore went back to, or what a fork copied, or None.
    """

    path: str
    revision: int
    existed: bool
    operation: str
    agent_id: str
    timestamp: datetime
    snapshot: Snapshot
    attempt: int | None = None
    step: int | None = None
    source: "Lineage | None" = None
    encoded: bytes | None = None

    def __repr__(self) -> str:
        """For people: with the value, which it decodes."""
        value = "<none>" if not self.existed else repr(self.value) if self.carried else "<not carried>"
        return (
            f"HistoryEntry(path={self.path!r}, revision={self.revision}, value={value}, operation={self.operation!r}, "
            f"agent_id={self.agent_id!r}, timestamp={self.timestamp.isoformat()!r})"
        )

    @property
    def carried(self) -> bool:
        """Whether ``value`` can be asked for: not of a history listed without values, nor where this one is large."""
        return self.encoded is not None or not self.existed

    @cached_property
    def value(self) -> Any:  # noqa: ANN401 - any value of the model
        """The value at the path after this revision, decoded when first looked at; None where there is none.

        Raises:
            ValueNotCarriedError: there is one, and this entry does not carry it.
        """
        if self.encoded is not None:
            return values.decode(self.encoded)
        if self.existed:
            text = (
                f"the value at {self.path!r} in revision {self.revision} is not in the history that was listed; "
                f"await state.get({self.path!r}, at={self.revision}) fetches it"
            )
            raise ValueNotCarriedError(text, path=self.path, revision=self.revision)
        return None


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two contents.

    Maps are compared key by key; a list or a scalar is one difference, and so is a subtree that appears or disappears.

    Attributes:
        path: where.
        kind: ``"added"``, ``"removed"`` or ``"changed"``.
        old: the value before; None where it was added.
        new: the value after; None where it was removed.
    """

    path: str
    kind: DifferenceKind
    old: Any = None
    new: Any = None


class Preview(list[Difference]):
    """What a restore would change: a list of differences.

    Attributes:
        effects: where the target is a checkpoint of this workflow, the effects that went out past it, which no restore takes
            back.
    """

    effects: tuple[Effect, ...]

    def __init__(self, differences: Iterable[Difference] = (), effects: Iterable[Effect] = ()) -> None:
        super().__init__(differences)
        self.effects = tuple(effects)


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was redacted.

    Attributes:
        revision: the present one: a new one, unless no revision had the text in it.
        revisions: in how many revisions the text was replaced.
        records: in how many other records: snapshots, checkpoints, attempts, effects, and the workflow itself.
    """

    revision: int
    revisions: int
    records: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the content of a revision came from: of a fork its origin, of a restore what it went back to.

    Attributes:
        state_id: the state that it is of.
        revision: its revision there.
        incarnation: which life of that state.
    """

    state_id: str
    revision: int
    incarnation: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A daemon.

    Attributes:
        version: of its package.
        address: where it listens: ``unix:/path`` or ``host:port``.
        data_dir: the folder it owns.
        daemon_id: of its store: made once with the store, the same across restarts.
        copy_id: of its copy of the store: the same across restarts, another one in a backup, in a copied folder, and after a
            backup was put in place.
    """

    version: str
    address: str
    data_dir: str
    daemon_id: str
    copy_id: str = ""

    def is_copy(self, daemon_id: str, copy_id: str) -> bool:
        """Whether it has that store, and that copy of it; an empty ``copy_id`` means any."""
        return self.daemon_id == daemon_id and copy_id in {"", self.copy_id}
