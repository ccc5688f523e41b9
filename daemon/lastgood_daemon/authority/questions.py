"""The reads. Each is a plain function of a reader; whoever asks goes through ``Loader.ask``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lastgood_daemon.authority.commands.restore import restoring
from lastgood_daemon.authority.targets import Found, StateRef, Target, find, find_state
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.difference import Difference, differences
from lastgood_daemon.engine.edits import Edit
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.node import ListBody, MapBody, Node
from lastgood_daemon.engine.node import find as find_node
from lastgood_daemon.engine.state import State, preview
from lastgood_proto.paths import Path


class Seen(NamedTuple):
    """What was found, in which state, and the revision that was looked at."""

    state: State
    revision: int
    node: Node | None


def read(reader: Reader, ref: StateRef, path: Path, at: Target | None = None, pending: Sequence[Edit] = ()) -> Seen:
    """Give what is at a path, now or in a target, after edits that are not written."""
    state = find_state(reader, ref)
    if pending:
        return Seen(state, state.revision, preview(state.tree, pending).find(path))
    found = find(reader, state, at)
    return Seen(state, _revision(state, found), find_node(found.root, path))


def look_into(reader: Reader, ref: StateRef, path: Path, at: Target | None = None) -> Seen:
    """Give what is at a path, opened."""
    seen = read(reader, ref, path, at)
    if seen.node is not None:
        seen.node.body()
    return seen


def keys(seen: Seen) -> list[str]:
    """Give the names of the children of what was opened, in order. O(n log n): of a large one, work for a thread."""
    match None if seen.node is None else seen.node.open():
        case MapBody() as body:
            return [name for name, _ in body.ordered()]
        case ListBody(items):
            return [str(index) for index in range(len(items))]
    return []


def diff(reader: Reader, ref: StateRef, old: Target | None, new: Target | None) -> tuple[State, list[Difference]]:
    """Give the differences between two contents."""
    state = find_state(reader, ref)
    before, after = find(reader, state, old), find(reader, state, new)
    return state, list(differences(before.root, after.root))


class Preview(NamedTuple):
    """What a restore would change in a state, and the effects that it could not undo."""

    state: State
    differences: list[Difference]
    effects: list[Effect]


def preview_restore(
    reader: Reader, ref: StateRef, target: Target, paths: tuple[Path, ...], now: int | None = None
) -> Preview:
    """Give what a restore would change; with ``now``, if the state were still at that revision."""
    state = find_state(reader, ref)
    if now is not None:
        state.require_kept(now)
        state = replace(state, tree=reader.tree(state.point(now)))
    found = find(reader, state, target)
    edits = restoring(state, found, paths)
    after = state.tree.apply([change for edit in edits for change in edit.changes], state.revision)
    effects: list[Effect] = []
    if found.checkpoint is not None and found.checkpoint.workflow_id == state.state_id and not paths:
        effects = reader.workflow(state.state_id).effects_from(found.checkpoint.step + 1)
    return Preview(state, list(differences(state.tree.root, after.root)), effects)


def _revision(state: State, found: Found) -> int:
    return state.revision if found.point is None else found.point.revision
