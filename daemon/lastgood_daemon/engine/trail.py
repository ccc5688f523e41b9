"""The last revisions of a state, kept at hand.

Versions of a tree share what they have in common, so keeping the recent ones costs about as much as what they changed.
They make near restores, reads and differences cheap: the earlier tree is here, and so are the paths touched since, and who
touched them. The trail is bounded in revisions and in the memory that these take, which is far more than the bytes that were
written where those are many small parts; what is not in it is rebuilt from the log.
"""

from collections.abc import Iterable
from typing import NamedTuple

from immutables import Map

from lastgood_daemon.engine.change import Change, Put, SimpleChange, Splice, simple
from lastgood_daemon.engine.labour import is_elsewhere, let_go
from lastgood_daemon.engine.log import Author, Other
from lastgood_daemon.engine.node import opened_bytes
from lastgood_daemon.engine.stored_value import content_of
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.paths import Path

MAX_REVISIONS = 256
MAX_BYTES = 4 * 1024 * 1024
MOST_TOUCHED = 10_000
"""Paths above which comparing whole contents is no more work."""
CHANGE_BYTES = 500
"""What a change keeps in memory besides the value that it put: the node that it replaced, with its entry, and its path."""


class Mark(NamedTuple):
    """One revision of a trail."""

    tree: Tree
    touched: tuple[Path, ...] | None
    """None where they are very many."""
    author: Author
    size: int
    """About how much memory it takes."""
    long: bool
    """Whether it was long work to make it: then it may have replaced, and may consist of, very many parts."""

    @classmethod
    def of(cls, tree: Tree, changes: Iterable[Change], author: Author) -> "Mark":
        """Return the mark of a revision that these changes have made."""
        made = [inner for change in changes for inner in simple(change)]
        touched = tuple(change.path for change in made) if len(made) <= MOST_TOUCHED else None
        size = CHANGE_BYTES * len(made) + sum(map(_size, made))
        let_go(made)
        return cls(tree, touched, author, size, is_elsewhere())

    def over(self, before: "Mark") -> "Mark":
        """Return the mark with what the revision before it has opened, and this one replaced, counted as well."""
        if not self.long:
            return self
        replaced = opened_bytes(before.tree.root) - opened_bytes(self.tree.root)
        return self._replace(size=self.size + replaced) if replaced > 0 else self


class Trail(NamedTuple):
    """An immutable trail; every revision gives another one."""

    marks: Map[int, Mark] = Map()
    oldest: int = 0
    size: int = 0

    def extend(self, mark: Mark) -> "Trail":
        """Return the trail with another revision."""
        revision = mark.tree.revision
        before = self.marks.get(revision - 1)
        mark = mark if before is None else mark.over(before)
        marks = self.marks.set(revision, mark)
        oldest, size = self.oldest or revision, self.size + mark.size
        while len(marks) > 1 and (len(marks) > MAX_REVISIONS or size > MAX_BYTES):
            size -= marks[oldest].size
            marks = marks.delete(oldest)
            oldest += 1
        return Trail(marks, oldest, size)

    def left_behind(self, later: "Trail") -> list[Mark]:
        """Return the revisions that a later trail has not at hand any more, where it takes long to let go of them.

        What a revision has replaced goes with the one before it.
        """
        end = self.oldest + len(self.marks)
        gone = [self.marks[revision] for revision in range(self.oldest, min(later.oldest, end) if later.oldest else end)]
        following = self.marks.get(later.oldest) or later.marks.get(later.oldest)
        is_long = any(mark.long for mark in gone) or (following is not None and following.long)
        return gone if is_long else []

    def tree(self, revision: int) -> Tree | None:
        """Give the content at a revision; nothing where it is not at hand."""
        mark = self.marks.get(revision)
        return None if mark is None else mark.tree

    def touched_since(self, revision: int, newest: int) -> list[Path] | None:
        """Give the paths touched after a revision; nothing where not all of them are at hand, or they are very many."""
        if revision + 1 < self.oldest:
            return None
        found: list[Path] = []
        for later in range(revision + 1, newest + 1):
            touched = self.marks[later].touched
            if touched is None or len(found) + len(touched) > MOST_TOUCHED:
                return None
            found += touched
        return found

    def others(self, workflow_id: str, after: int, until: int) -> list[Other]:
        """Give the revisions at hand, after one, up to another, that no attempt at a workflow has written."""
        at_hand = ((revision, self.marks.get(revision)) for revision in range(max(after + 1, self.oldest), until + 1))
        return [
            Other(revision, mark.author.agent_id, mark.tree.timestamp)
            for revision, mark in at_hand
            if mark is not None and mark.author.workflow_id != workflow_id
        ]


def _size(change: SimpleChange) -> int:
    match change:
        case Put(_, value):
            return len(content_of(value))
        case Splice(_, _, _, items):
            return sum(len(content_of(item)) for item in items)
        case _:
            return 0
