"""From the present content back to an earlier one, as changes.

``bridge`` is the reverse delta of all that happened between two contents. It is not stored: unchanged parts are the same
objects in both, so it is found by comparing the two ends, and only what differs is walked; ``within`` narrows that to the
paths that were touched in between, where they are known. Putting the old root back would be cheaper still, but would move
the last change of every node backwards, and compare-and-set would let through writes based on what was rolled back.

    now      {a: 1, b: {x: 1, y: 2}, d: 4}          c was removed, d added, b.y changed
    target   {a: 1, b: {x: 1, y: 7}, c: 3}
    bridge   Put(b.y, 7), Remove(d), Put(c, 3, position 2)

``bridge_paths`` does the same for single paths that a caller named.
"""

from collections.abc import Iterable, Iterator

from lastgood_daemon.engine.applying import apply_change, grafted
from lastgood_daemon.engine.change import Change, Put, Remove, Splice
from lastgood_daemon.engine.delta import MOST_ITEMS
from lastgood_daemon.engine.edits import Delete, Set, evaluate
from lastgood_daemon.engine.equality import same_value
from lastgood_daemon.engine.errors import PathError
from lastgood_daemon.engine.freeing import take_apart
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, Node, child_of, find, list_index
from lastgood_daemon.engine.order import sorted_in_runs
from lastgood_daemon.engine.sequence import Sequence, slid
from lastgood_daemon.engine.trail import Mark
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.paths import Path

LARGE_BYTES = 64 * 1024
"""Above this, values that are both still encoded are replaced as a whole where they differ."""
_FEW_ITEMS = 1_000
_SHARE = 4
"""Where more items than these of a list differ, and more than such a part of them, all of it is put."""
_PATH_COST = 20
"""Of restoring a path; see ``spend``."""
_ENTRIES_A_MICROSECOND = 2
"""So many are passed over where they are the same."""


def bridge(now: Node, target: Node, within: Iterable[Path] = ((),)) -> list[Change]:
    """Give the changes that turn what ``now`` has at these paths into what ``target`` has there."""
    changes: list[Change] = []
    paths = tuple(within)
    spend(len(paths) * _PATH_COST)
    # Shortened first: two paths may part at the same place, and what is there is bridged once.
    for path in minimal(_shortened(now, target, path) for path in paths):
        old, new = find(now, path[:-1]), find(target, path[:-1])
        if not path:
            _bridge(now, target, path, changes)
        elif old is not None and new is not None:
            _bridge_entry(old, new, path[:-1], path[-1], changes)
    return changes


def minimal(paths: Iterable[Path]) -> list[Path]:
    """Give the paths without those that lie at or below another of them, in order."""
    kept: list[Path] = []
    for path in sorted_in_runs(paths):
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return kept


def _shortened(now: Node, target: Node, path: Path) -> Path:
    """Give a path up to where it ends in one of the two, or a list comes in between."""
    old, new = now, target
    for depth, segment in enumerate(path):
        if old is new or not (old.is_map and new.is_map):
            return path[:depth]
        old_child, new_child = child_of(old, segment), child_of(new, segment)
        if old_child is None or new_child is None:
            return path[: depth + 1]
        old, new = old_child, new_child
    return path


def bridge_paths(now: Tree, target: Node, paths: Iterable[Path]) -> Iterator[tuple[Path, list[Change]]]:
    """Give, for each path, the changes that make it as it is in a target, given those of the paths before it.

    What is put goes by index, so that items can follow each other; what goes comes after it and backwards, so that no item
    moves before its turn.

    Raises:
        PathError: what is above a path now does not let it be put there; or nothing is there, now and in the target.
    """
    for path in _in_turn(now, target, paths):
        changes = _bridge_path(now, target, path) if path else bridge(now.root, target)
        yield path, changes
        now = now._replace(root=_applied(now, changes))
    gone: list[Mark | Tree | bytes] = [now]
    del now
    take_apart(gone)  # of 100,000 paths it would be freed in one call else


def _applied(now: Tree, changes: Iterable[Change]) -> Node:
    root = now.root
    for change in changes:
        root = apply_change(root, change, now.revision)
    return root


def restored(now: Tree, target: Node, paths: Iterable[Path]) -> Node:
    """Return the content that the changes of ``bridge_paths`` lead to.

    What the target has is taken over as it is, so it costs the paths, however large what is there may be.

    Raises:
        PathError: what is above a path now does not let it be put there; or nothing is there, now and in the target.
    """
    for path in _in_turn(now, target, paths):
        if not path:
            return target
        old, new, parent = now.find(path), find(target, path), now.find(path[:-1])
        position = _position(target, path) if old is None and parent is not None and parent.is_map else None
        root = now.root
        if new is not None and (old is not None or position is not None):
            root = grafted(root, path, new, position)
        else:
            for change in _bridge_path(now, target, path):
                root = apply_change(root, change, now.revision)
        now = now._replace(root=root)
    return now.root


def _position(target: Node, path: Path) -> int | None:
    """Return the position of a name in its map."""
    parent = find(target, path[:-1])
    body = None if parent is None else parent.body()
    entry = body.entries.get(path[-1]) if isinstance(body, MapBody) else None
    return None if entry is None else entry.position


def _in_turn(now: Tree, target: Node, paths: Iterable[Path]) -> list[Path]:
    """Return the paths in the order in which they are restored.

    Raises:
        PathError: neither content has one of them. It is mistyped: restoring it would be a revision that does nothing.
    """
    paths = tuple(paths)
    spend(len(paths) * _PATH_COST)
    by_index = [*sorted_in_runs(minimal(paths), key=_index_key)]
    gone = {path for path in by_index if find(target, path) is None}
    for path in gone:
        if now.find(path) is None:
            problem = "nothing is there to be restored: neither now nor in the target"
            raise PathError(path, problem)
    return [*(path for path in by_index if path not in gone), *(path for path in reversed(by_index) if path in gone)]


def _index_key(path: Path) -> list[tuple[bool, int, str]]:
    indexes = [list_index(segment) for segment in path]
    return [(index is None, index or 0, segment) for index, segment in zip(indexes, path, strict=True)]


def _bridge_path(now: Tree, target: Node, path: Path) -> list[Change]:
    parent, old = now.find(path[:-1]), now.find(path)
    place, new = find(target, path[:-1]), find(target, path)
    changes: list[Change] = []
    if new is None:
        changes.extend(evaluate(now, Delete(path)).changes)
    elif old is not None:
        # Its place among the others is not part of it, and stays.
        _bridge(old, new, path, changes)
    elif parent is not None and parent.is_map and place is not None and place.is_map:
        _bridge_entry(parent, place, path[:-1], path[-1], changes)
    elif parent is not None and parent.is_list and _is_end(parent, path[-1]):
        changes.append(Splice(path[:-1], int(path[-1]), 0, [new.encoded()]))
    else:
        changes.extend(evaluate(now, Set(path, new.encoded())).changes)
    return changes


def _is_end(node: Node, segment: str) -> bool:
    body = node.body()
    return isinstance(body, ListBody) and list_index(segment) == len(body.items)


def _bridge_entry(old: Node, new: Node, path: Path, name: str, changes: list[Change]) -> None:
    """Bridge one name of two maps, its place among the others included."""
    old_body, new_body = old.body(), new.body()
    if not isinstance(old_body, MapBody) or not isinstance(new_body, MapBody):
        return
    before, after = old_body.entries.get(name), new_body.entries.get(name)
    if after is None:
        if before is not None:
            changes.append(Remove((*path, name)))
    elif before is None or before.position != after.position:
        changes.append(Put((*path, name), after.node.encoded(), after.position))
    else:
        _bridge(before.node, after.node, (*path, name), changes)


def _bridge(old: Node, new: Node, path: Path, changes: list[Change]) -> None:
    if old is new:
        return
    spend(1)
    if min(old.sealed_bytes, new.sealed_bytes) > LARGE_BYTES:
        # Nobody has looked into either. Doing so to find what they share would take seconds for a value of some MiB.
        changes.extend(() if same_value(old, new) else (Put(path, new.encoded()),))
        return
    old_body, new_body = old.body(), new.body()
    if isinstance(old_body, MapBody) and isinstance(new_body, MapBody):
        spend(len(old_body.entries) // _ENTRIES_A_MICROSECOND)
        if _same_names(old_body, new_body):
            for name, (_, child) in old_body.entries.items():
                _bridge(child, new_body.entries[name].node, (*path, name), changes)
            return
        for name in [*old_body.entries, *(name for name in new_body.entries if name not in old_body.entries)]:
            _bridge_entry(old, new, path, name, changes)
    elif isinstance(old_body, ListBody) and isinstance(new_body, ListBody):
        bridged = _bridge_lists(old_body.items, new_body.items, path)
        changes.extend([Put(path, new.encoded())] if bridged is None else bridged)
    elif not same_value(old, new):
        changes.append(Put(path, new.encoded()))


def _same_names(old: MapBody, new: MapBody) -> bool:
    """Whether the names are the same, in the same order, even if their places are counted differently, as in a fork."""
    if len(old.entries) != len(new.entries):
        return False
    if all(name in new.entries and new.entries[name].position == entry.position for name, entry in old.entries.items()):
        return True
    return all(one == other for one, other in zip(old.names(), new.names(), strict=True))


def _bridge_lists(old: Sequence[Node], new: Sequence[Node], path: Path) -> list[Change] | None:
    """Keep the common front and back; move back what has slid, bridge item by item what is as long, replace the rest.

    Gives None where nearly all of a long list differs: then it is less to put all of it.
    """
    front, back = old.common_ends(new, _same_item)
    most = max(len(new) // _SHARE, _FEW_ITEMS)
    if max(len(old), len(new)) - front - back > MOST_ITEMS:
        return None
    removed, added = old.part(front, len(old) - back), new.part(front, len(new) - back)
    back_by = slid(added, removed, _same_item)
    if back_by:
        stay = len(added) - back_by
        back_again = [node.encoded() for node in added[:back_by]]
        return [Splice(path, front + stay, len(removed) - stay, []), Splice(path, front, 0, back_again)]
    if len(removed) != len(added):
        return None if len(added) > most else [Splice(path, front, len(removed), [node.encoded() for node in added])]
    changes: list[Change] = []
    for index, (before, after) in enumerate(zip(removed, added, strict=True), start=front):
        _bridge(before, after, (*path, str(index)), changes)
        if len(changes) > most:
            return None
    return changes


def _same_item(one: Node, other: Node) -> bool:
    spend(1)
    return same_value(one, other)
