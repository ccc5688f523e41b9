"""The reads. Each is a plain function of a reader; whoever asks goes through ``Loader.ask``.

A question only finds what an answer is made of, which costs little however large that is. What is found is immutable, so
the answer may be made of it anywhere: at once where that is a little work, else in a thread.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from lastgood_daemon.authority.targets import Found, StateRef, Target, find, find_state
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.difference import Difference, differences
from lastgood_daemon.engine.edits import Edit
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, Node
from lastgood_daemon.engine.node import find as find_node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.restore import restored
from lastgood_daemon.engine.state import State, preview
from lastgood_daemon.engine.workflow import Workflow
from lastgood_proto.paths import Path


class Seen(NamedTuple):
    """A content that was found, of which state, and the path to look at; the edits are to be made to it first."""

    state: State
    found: Found
    path: Path
    pending: Sequence[Edit] = ()

    @property
    def revision(self) -> int:
        """The revision that is looked at; that of the state for a content that was brought along."""
        return self.state.revision if self.found.point is None else self.found.point.revision

    @property
    def node(self) -> Node | None:
        """What is there.

        Raises:
            LabourError: it takes long to find out.
        """
        if self.pending:
            spend(len(self.pending) * _EDIT)
            return preview(self.state.tree, self.pending).find(self.path)
        return find_node(self.found.root, self.path)


_EDIT = 20
"""What an edit that is not written counts for."""


def read(reader: Reader, ref: StateRef, path: Path, at: Target | None = None, pending: Sequence[Edit] = ()) -> Seen:
    """Return the content to look at: now or a target, after edits that are not written."""
    state = find_state(reader, ref)
    return Seen(state, find(reader, state, None if pending else at), path, pending)


def keys(node: Node | None, start: int = 0, limit: int = sys.maxsize) -> tuple[list[str], int | None]:
    """Return names of the children of a node in order, from an index on, and the index to go on from, if there are more.

    Raises:
        LabourError: it takes long.
    """
    names: Sequence[str] = ()
    match None if node is None else node.body():
        case MapBody() as body:
            names = body.names()
        case ListBody(items):
            end = min(start + limit, len(items))
            return [str(index) for index in range(start, end)], end if end < len(items) else None
    end = start + limit
    return list(names[start:end]), end if end < len(names) else None


class Ends(NamedTuple):
    """Two contents to compare. The header of the answer is about ``state``."""

    state: State
    old: Found
    new: Found

    def differences(self, start: Path = ()) -> Iterator[Difference]:
        """Return how they differ, from a difference on."""
        return differences(self.old.root, self.new.root, start=start)


def diff(reader: Reader, ref: StateRef, old: Target | None, new: Target | None) -> Ends:
    """Return two contents to compare."""
    state = find_state(reader, ref)
    return Ends(state, find(reader, state, old), find(reader, state, new))


class Preview(NamedTuple):
    """A state that would be restored, now or as it was when the first page was asked for, and what it is to be made like."""

    state: State
    found: Found
    paths: tuple[Path, ...]
    workflow: Workflow | None
    """Whose effects the restore could not undo."""

    def differences(self, start: Path = ()) -> Iterator[Difference]:
        """Return what the restore would change, from a difference on."""
        tree = self.state.tree
        spend(len(self.paths) * _EDIT)
        return differences(
            tree.root, restored(tree, self.found.root, self.paths) if self.paths else self.found.root, start=start
        )

    def effects(self) -> list[Effect]:
        """Return the effects that it could not undo."""
        if self.workflow is None or self.found.checkpoint is None:
            return []
        spend(len(self.workflow.effects))
        return self.workflow.effects_from(self.found.checkpoint.step + 1)


def preview_restore(
    reader: Reader, ref: StateRef, target: Target, paths: tuple[Path, ...], now: Point | None = None
) -> Preview:
    """Return what a restore would be made of; with ``now``, if the state were still at that revision."""
    state = find_state(reader, ref)
    if now is not None:
        state.require(now.incarnation)
        state.require_kept(now.revision)
        state = replace(state, tree=reader.tree(state.point(now.revision)))
    found = find(reader, state, target)
    workflow = None
    if found.checkpoint is not None and found.checkpoint.workflow_id == state.state_id and not paths:
        workflow = reader.workflow(state.state_id)
    return Preview(state, found, paths, workflow)
