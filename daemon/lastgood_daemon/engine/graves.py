"""What a tree remembers of what is gone: the names, and when they went.

A precondition may be about a path where nothing is: "has never existed", or "is still gone". The tree cannot answer that,
because what was removed is no longer in it, so the names of what was removed are kept beside it:

    revision 3   set("a", {"x": 1, "y": {"z": 2}})
    revision 4   set("a", {"x": 5})             graves: a.y: 4, a.y.z: 4
    revision 5   set("a.new", 1)                as before; a.new has no grave, so before 5 it had never existed
    revision 6   delete("a")                    graves: a: 6, a.x: 6, a.new: 6, a.y: 4, a.y.z: 4

Lists have no names to keep. Where items of a list have gone or moved, or it was replaced by another value, it is marked as a
whole (``items``) with the most items that it has had (``most``): every index below that and not there counts as gone since
then, and one above has never existed. A map that is set anew with the same list in it leaves the list as it was.
"""

from collections.abc import Mapping
from typing import NamedTuple

from immutables import Map
from msgspec import Raw

from lastgood_daemon.engine.labour import empty, spend
from lastgood_daemon.engine.level import is_list, is_map, length_of, names_in, names_of, same, same_bytes
from lastgood_daemon.engine.node import Node, list_index
from lastgood_proto.paths import Path


class Grave(NamedTuple):
    """One name in the tree of what is gone."""

    revision: int
    """Revision that removed what was here; 0: nothing was removed here itself."""
    items: int
    """Last revision in which items of a list here went or moved; 0: none did."""
    below: Map[str, "Grave"]
    most: int = 0
    """The most items that a list here has had when some went or moved; ``UNKNOWN`` where that was not recorded."""


UNKNOWN = 2**53
_NAME_COST = 3

NO_GRAVES = Grave(0, 0, Map())


def gone_since(graves: Grave, path: Path) -> int:
    """Give the revision that last removed what was at a path; 0 if nothing has ever been there.

    Only for paths where nothing is now.
    """
    last = 0
    grave = graves
    for segment in path:
        if grave.items:
            index = list_index(segment)
            if index is not None and index < grave.most:
                last = max(last, grave.items)
        below = grave.below.get(segment)
        if below is None:
            return last
        grave = below
    return max(last, grave.revision)


def bury(graves: Grave, path: Path, old: Node | None, new: bytes | None, revision: int) -> Grave:
    """Remember what goes when ``old`` (if anything) is replaced by ``new``, or removed, at a path."""
    if old is None or (new is not None and not old.is_map and not old.is_list):
        return graves
    dead = _dead(old, None if new is None else Raw(new), revision)
    return graves if dead is None else _add(graves, path, dead)


def bury_items(graves: Grave, path: Path, old: Node, revision: int) -> Grave:
    """Remember that items of a list at a path have gone or moved."""
    return _add(graves, path, Grave(0, revision, Map(), length_of(old)))


def _dead(old: Node | Raw, new: Raw | None, revision: int) -> Grave | None:
    if new is not None and same_bytes(old, new):
        return None
    below = NO_GRAVES.below
    items = most = 0
    if is_map(old):
        below = _dead_below(names_of(old), names_in(new) if new is not None and is_map(new) else {}, revision)
    elif is_list(old) and (new is None or not same(old, new)):
        items, most = revision, length_of(old)
    removed = revision if new is None else 0
    return Grave(removed, items, below, most) if removed or items or below else None


def _dead_below(names: Mapping[str, tuple[int, Node | Raw]], survivors: dict[str, Raw], revision: int) -> Map[str, Grave]:
    """Return what goes below a map. What it is found with is made, and freed, one by one: see ``labour``."""
    below = NO_GRAVES.below.mutate()
    for name, (_, child) in names.items():
        spend(_NAME_COST)
        dead = _dead(child, survivors.get(name), revision)
        if dead is not None:
            below[name] = dead
    if isinstance(names, dict):
        empty(names)
    empty(survivors)
    return below.finish()


def _add(grave: Grave, path: Path, dead: Grave, depth: int = 0) -> Grave:
    if depth == len(path):
        return _merged(grave, dead)
    name = path[depth]
    child = _add(grave.below.get(name, NO_GRAVES), path, dead, depth + 1)
    return grave._replace(below=grave.below.set(name, child))


def _merged(grave: Grave, dead: Grave) -> Grave:
    below = grave.below or dead.below
    if grave.below and dead.below:
        with below.mutate() as mutable:
            for name, child in dead.below.items():
                known = below.get(name)
                mutable[name] = child if known is None else _merged(known, child)
            below = mutable.finish()
    items, most = max(grave.items, dead.items), max(grave.most, dead.most)
    return Grave(max(grave.revision, dead.revision), items, below, most)
