"""What a revision does to a tree, in three simple kinds of change and one that is made of them.

Changes are what the log keeps, and a state is rebuilt by applying them again, so applying one must always do the same. They
carry values as bytes and are checked before they are made (``edits``): a change that does not fit its tree is a damaged log.

A ``Put`` may say at which position of its map the name belongs. Restoring uses it to bring a removed name back to its place:

    {a, b, c}            positions a: 0, b: 1, c: 2
    Remove("b")          {a, c}
    Put("b", v)          {a, c, b}       b at the end, position 3
    Put("b", v, 1)       {a, b, c}       b where it was

A ``Patch`` is a ``Put`` of a whole new value of which only the difference is stored:

    m: {x: 1, l: [..1000 items]}        all of it last changed in revision 4
    Put("m", {x: 2, l: [..]})           in revision 5: all of it last changed in 5
    Patch("m", [Put("x", 2)])           the same, but l is shared with revision 4; m's ``renewed`` says that it is 5, too
"""

from collections.abc import Iterable

import msgspec

from lastgood_proto.paths import Path


class Put(msgspec.Struct, frozen=True, array_like=True, tag="p", omit_defaults=True):
    """Puts a value at a path; makes missing parents. At the root it replaces everything."""

    path: Path
    value: bytes
    position: int | None = None


class Remove(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Removes the name at a path from its map."""

    path: Path


class Splice(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Replaces ``removed`` items of the list at a path, from ``index`` on, by others."""

    path: Path
    index: int
    removed: int
    items: list[bytes]


SimpleChange = Put | Remove | Splice


class Patch(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """Puts a whole new value at a path, given as what differs: changes whose paths are relative to it."""

    path: Path
    changes: tuple[SimpleChange, ...]


Change = Put | Remove | Splice | Patch


class DamagedLogError(Exception):
    """A change does not fit the tree it is applied to."""


def simple(change: Change) -> Iterable[SimpleChange]:
    """Give the simple changes that a change is made of, at paths from the root."""
    if not isinstance(change, Patch):
        return (change,)
    return [msgspec.structs.replace(inner, path=(*change.path, *inner.path)) for inner in change.changes]
