"""In which revisions the value at a path changed.

The question is put to one revision after the other while a state is rebuilt from its log: the revision, the tree before it
and the tree after it. A revision whose changes lie elsewhere is passed over by comparing paths; for the others the two trees
are compared at the path itself, because a write may put back what was there.
"""

from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.change import Change, Patch, Splice, simple
from lastgood_daemon.engine.equality import same_value
from lastgood_daemon.engine.log import Entry, LoggedEdit
from lastgood_daemon.engine.node import ListBody, MapBody, Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.paths import Path


class Step(NamedTuple):
    """One revision on the way from the first to the last."""

    entry: Entry
    before: Tree
    after: Tree


class HistoryItem(NamedTuple):
    """A revision as it looks from a path.

    ``node`` is what is there after it. Where that is not wanted, or is longer than wanted, it is left out, and ``omitted``
    says so: a history may go past many large values, and is not to hold them.
    """

    path: Path
    revision: int
    operation: str
    entry: Entry
    node: Node | None
    omitted: bool = False

    @property
    def existed(self) -> bool:
        """Whether there is a value."""
        return self.omitted or self.node is not None

    @property
    def source(self) -> Point | None:
        """Where a restore went back to, or what a fork copied."""
        return self.entry.edits[0].source if self.entry.edits else None

    def trimmed(self, limit: int) -> tuple["HistoryItem", int]:
        """Return it as it is listed, without a value of more than so many bytes; and how many the value in it has.

        Of what the revision did only the source is listed. May take long.
        """
        first = tuple(msgspec.structs.replace(edit, changes=()) for edit in self.entry.edits[:1])
        item = self._replace(entry=msgspec.structs.replace(self.entry, edits=first))
        size = 0 if self.node is None else self.node.size_up_to(limit)
        return (item._replace(node=None, omitted=True), 0) if size > limit else (item, size)


def seen_from(step: Step, path: Path | None) -> HistoryItem | None:
    """Give the revision as it looks from a path; nothing where the value there did not change.

    Without a path every revision is given: at the path of its operation, or where it has several at the one they share.
    """
    entry, _, after = step
    if path is None:
        path, operation = _as_one(entry)
    else:
        touching = [edit for edit in entry.edits if any(_changed(step, path, change) for change in edit.changes)]
        if not touching:
            return None
        operation = touching[-1].operation
    return HistoryItem(path, after.revision, operation, entry, after.find(path))


def in_short(entry: Entry) -> Entry:
    """Return an entry of which no more is known than what a history lists without a path: not what it changed."""
    path, operation = _as_one(entry)
    source = entry.edits[0].source if entry.edits else None
    return msgspec.structs.replace(entry, edits=(LoggedEdit(operation, path, (), source),))


def _as_one(entry: Entry) -> tuple[Path, str]:
    """Return the path that all edits of an entry lie at or below, and what they are called together."""
    operations = {edit.operation for edit in entry.edits}
    return _shared([edit.path for edit in entry.edits]), operations.pop() if len(operations) == 1 else "transact"


def _shared(paths: list[Path]) -> Path:
    """Give the longest path that all lie at or below."""
    low, high = min(paths, default=()), max(paths, default=())
    depth = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:depth]


def _changed(step: Step, path: Path, change: Change) -> bool:
    """Whether a change, as part of its revision, made a difference at a path."""
    entry, before, after = step
    if isinstance(change, Patch) and len(entry.edits) == 1:
        return any(_changed(step, path, inner) for inner in simple(change))
    # Beside other edits, what a whole value put there is not only where it differs from the value before it.
    if path[: len(change.path)] == change.path:
        return _differ(before.find(path), after.find(path), change if change.path == path else None)
    if change.path[: len(path)] != path:
        return False
    # The change lies below. It may also have made, or left behind, something between the path and itself.
    for depth in range(len(path), len(change.path)):
        above = change.path[:depth]
        if (before.find(above) is None) != (after.find(above) is None):
            return True
    if _differ(before.find(change.path), after.find(change.path), change):
        return True
    parent = change.path[:-1]
    return not isinstance(change, Splice) and _names(before.find(parent)) != _names(after.find(parent))


def _differ(old: Node | None, new: Node | None, change: Change | None) -> bool:
    if old is None or new is None:
        return old is not new
    if isinstance(change, Splice) and _length(old) != _length(new):
        # Comparing the bytes of a list of a million items to learn that one was appended is not worth it.
        return True
    return not same_value(old, new)


def _length(node: Node) -> int | None:
    body = node.body()
    return len(body.items) if isinstance(body, ListBody) else None


def _names(node: Node | None) -> list[str]:
    """Give the names of a map in order: another order is another value."""
    body = None if node is None else node.body()
    return body.names() if isinstance(body, MapBody) else []
