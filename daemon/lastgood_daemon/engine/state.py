"""A state: its content, its place in the log, and its snapshots, all at one moment.

A state is immutable: every change gives another one. What is being committed and what is durable are two of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
from immutables import Map

from lastgood_daemon.engine.edits import Edit, evaluate
from lastgood_daemon.engine.errors import RevisionUnavailableError, SnapshotNotFoundError, StateNotFoundError
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.labour import let_go, spend
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit, Squash, chain, encode_entry
from lastgood_daemon.engine.order import values_from
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.trail import Mark, Trail
from lastgood_daemon.engine.tree import CHANGE_COST, EMPTY_TREE, Tree, TreeDraft

LEAST_BYTES = 256


def counted(size: int) -> int:
    """Return what an entry of so many bytes counts as part of a log."""
    return max(size, LEAST_BYTES)


class About(msgspec.Struct, frozen=True):
    """What there is to say about a state besides its content; one record in the store."""

    incarnation: int = 1
    """Which life of the id this is: one more after each deletion. Kept after a deletion, as its tombstone."""
    born: bool = False
    """Whether anything has been written in this life."""
    created_at: int = 0
    hidden: bool = False
    """Whether it is a copy that was made for a checkpoint."""
    origin: Point | None = None
    """Where a fork came from."""
    referred_at: int = 0
    """When a checkpoint was last made of it that its own workflow does not tell of: one of another workflow, or of a
    revision that was not the present one. Whoever deletes what no checkpoint refers to compares that with when it looked."""
    imported: str = ""
    """By which import it came, so that the last call of that can be repeated."""


class Snapshot(msgspec.Struct, frozen=True):
    """A named, pinned revision; one record in the store."""

    snapshot_id: str
    ordinal: int
    """Orders the snapshots of a state by when they were taken."""
    revision: int
    created_at: int
    label: str | None
    metadata: bytes | None


@dataclass(frozen=True, slots=True)
class State:
    """See the module."""

    state_id: str
    about: About = About()  # noqa: RUF009 - immutable
    tree: Tree = EMPTY_TREE
    chain: bytes = b""
    log_bytes: int = 0
    """How much log has led here; each entry counts as ``LEAST_BYTES`` at least, for what applying it again costs."""
    kept: Kept = Kept()  # noqa: RUF009 - immutable
    trail: Trail = Trail()  # noqa: RUF009 - immutable
    exact: bool = True
    """Whether its positions and last changes are known; after a squashed delta only its values are."""
    snapshots: Map[str, Snapshot] = Map()  # noqa: RUF009 - immutable
    last_ordinal: int = 0
    """Of the snapshots: no lower one is given again while the state is in memory."""

    @property
    def incarnation(self) -> int:
        """Which life of the id this is."""
        return self.about.incarnation

    @property
    def revision(self) -> int:
        """The present revision; 0 for a state that nobody has written."""
        return self.tree.revision

    def point(self, revision: int | None = None) -> Point:
        """Name a revision of this state, by default the present one."""
        return Point(self.state_id, self.incarnation, self.revision if revision is None else revision)

    def require(self, incarnation: int) -> None:
        """Raise ``StateNotFoundError`` unless this is the life that is meant (0: whichever is there)."""
        if incarnation not in {0, self.incarnation}:
            raise StateNotFoundError(self.state_id)

    def require_kept(self, revision: int) -> None:
        """Raise ``RevisionUnavailableError`` where a revision is not reached yet, or has been compacted."""
        if revision > self.revision:
            raise RevisionUnavailableError(self.state_id, revision, self.kept.oldest, self.revision, self.revision)
        if not self.kept.has(revision):
            nearest = self.kept.nearest(revision)
            raise RevisionUnavailableError(self.state_id, revision, self.kept.oldest, self.revision, nearest)

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Give a snapshot, or raise ``SnapshotNotFoundError``."""
        found = self.snapshots.get(snapshot_id)
        if found is None:
            raise SnapshotNotFoundError(self.state_id, snapshot_id)
        return found

    def with_snapshots(self, snapshots: Iterable[Snapshot]) -> "State":
        """Return the state with more snapshots, or with these in the place of those of the same ids."""
        last, there = self.last_ordinal, self.snapshots.mutate()
        for snapshot in snapshots:
            there[snapshot.snapshot_id] = snapshot
            last = max(last, snapshot.ordinal)
        return replace(self, snapshots=there.finish(), last_ordinal=last)

    def snapshots_in_order(self) -> list[Snapshot]:
        """Give the snapshots, oldest first."""
        return sorted(self.snapshots.values(), key=lambda snapshot: snapshot.ordinal)

    def snapshots_after(self, ordinal: int) -> Iterator[Snapshot]:
        """Return the snapshots taken after one, oldest first.

        Raises:
            LabourError: there are many, and their order is not known yet.
        """
        return values_from(self.snapshots, lambda snapshot: snapshot.ordinal, (ordinal + 1, ""))

    def advance(self, edits: Sequence[LoggedEdit], author: Author, now: int) -> tuple["State", Entry]:
        """Return the next revision, and the entry of the log that makes it."""
        entry = Entry(max(now, self.tree.timestamp), author, tuple(edits))
        return self.replay(entry, chain(self.chain, self.revision + 1, entry)), entry

    def replay(self, entry: Entry, entry_chain: bytes) -> "State":
        """Give the state after an entry of the log."""
        changes = entry.changes()
        tree = self.tree.apply(changes, self.revision + 1, entry.timestamp)
        return self.moved_on(Mark.of(tree, changes, entry.author), entry_chain)

    def moved_on(self, mark: Mark, entry_chain: bytes, logged: int = 0) -> "State":
        """Return the state at its next revision; ``logged``: what that counts as part of its log."""
        about = self.about
        if not about.born:
            about = msgspec.structs.replace(about, born=True, created_at=mark.tree.timestamp)
        # Not by replace(), which takes 5 µs: each write comes by here.
        return State(
            self.state_id,
            about,
            mark.tree,
            entry_chain,
            self.log_bytes + logged,
            self.kept,
            self.trail.extend(mark),
            self.exact,
            self.snapshots,
            self.last_ordinal,
        )

    def replay_squash(self, squash: Squash, revision: int, entry_chain: bytes) -> "State":
        """Give the state after a squashed delta of the log, which ends at a revision."""
        tree = self.tree.apply(squash.changes, revision, squash.timestamp)
        about = msgspec.structs.replace(self.about, born=True)
        return replace(self, about=about, tree=tree, chain=entry_chain, exact=False, trail=Trail(oldest=revision + 1))

    def logged(self, size: int) -> "State":
        """Give the state with an entry of so many bytes counted as part of its log."""
        return replace(self, log_bytes=self.log_bytes + counted(size))

    def buried(self) -> "State":
        """Give what is left after a deletion: the next life, with nothing in it."""
        return State(self.state_id, About(incarnation=self.incarnation + 1))


class Plan(NamedTuple):
    """What several edits, one after the other, come to; ``number`` is the one after the last increment."""

    edits: list[LoggedEdit]
    writes: bool
    number: bytes
    tree: Tree
    """The content after them, but for its time."""


def plan(tree: Tree, edits: Sequence[tuple[str, Edit]]) -> Plan:
    """Evaluate edits, each with the name under which the history lists it, against a tree.

    Raises:
        RefusedError: one of them cannot be done; then none is.
    """
    spend(CHANGE_COST * len(edits))
    draft = TreeDraft(tree, tree.revision + 1)
    logged: list[LoggedEdit] = []
    writes, number = False, b""
    for operation, edit in edits:
        evaluation = evaluate(draft, edit)
        if not evaluation.writes:
            continue
        writes, number = True, evaluation.number or number
        logged.append(LoggedEdit(operation, edit.path, evaluation.changes))
        for change in evaluation.changes:
            draft.apply(change)
    return Plan(logged, writes, number, draft.tree())


class Made(NamedTuple):
    """The next revision of a state, worked out: what is left is to put it there."""

    mark: Mark
    entry: bytes
    chain: bytes
    number: bytes = b""
    """After an increment."""

    @property
    def revision(self) -> int:
        """Which one it is."""
        return self.mark.tree.revision


def made(
    state: State, edits: Sequence[LoggedEdit], author: Author, now: int, tree: Tree | None = None, number: bytes = b""
) -> Made:
    """Work out the next revision of a state; with ``tree``, what the edits make of it is known but for its time."""
    timestamp, revision = max(now, state.tree.timestamp), state.revision + 1
    entry = Entry(timestamp, author, tuple(edits))
    changes = [change for edit in edits for change in edit.changes]
    if tree is None:
        tree = state.tree.apply(changes, revision, timestamp)
    else:
        tree = Tree(revision, timestamp, tree.root, tree.graves)
    found = Made(Mark.of(tree, changes, author), encode_entry(entry), chain(state.chain, revision, entry), number)
    let_go(changes)
    return found


def preview(tree: Tree, edits: Sequence[Edit]) -> Tree:
    """Give the tree as it would be after edits that are not written."""
    draft = TreeDraft(tree, tree.revision)
    for edit in edits:
        for change in evaluate(draft, edit).changes:
            draft.apply(change)
    return draft.tree()
