"""What a caller wants done to a tree, and the changes that do it.

An edit is evaluated against a tree and gives changes; it does not touch the tree. Evaluating is a pure function of the two,
so that a batch that could not be stored is evaluated again, against whatever is there by then.

To add an operation: a class here, a case in ``evaluate``, a message in the contract and a line in ``rpc``.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

import msgspec
from msgspec import Raw

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, Splice
from lastgood_daemon.engine.compared import Compared
from lastgood_daemon.engine.encoded import is_map, joined, list_head
from lastgood_daemon.engine.errors import InvalidValueError, PathError
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.level import same
from lastgood_daemon.engine.node import ListBody, MapBody, Node, child_of, list_index
from lastgood_daemon.engine.tree import CHANGE_COST, EMPTY_TREE, Tree, TreeDraft
from lastgood_proto import values
from lastgood_proto.paths import Path


@dataclass(frozen=True, slots=True)
class Set:
    """Put a value (as bytes) at a path; make missing parents."""

    path: Path
    value: bytes
    compared: Compared = field(default_factory=Compared, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Merge:
    """Merge a map into the one at a path, deeply; anything but maps is replaced."""

    path: Path
    data: bytes
    compared: Compared = field(default_factory=Compared, compare=False, repr=False)


class Append(msgspec.Struct, frozen=True):
    """Append items to the list at a path; a missing one starts empty."""

    path: Path
    items: tuple[bytes, ...]


class Increment(msgspec.Struct, frozen=True):
    """Add to the number at a path; a missing one starts at 0."""

    path: Path
    by: bytes


class Delete(msgspec.Struct, frozen=True):
    """Remove what is at a path; the root is emptied."""

    path: Path


Edit = Set | Merge | Append | Increment | Delete
Content = Tree | TreeDraft


class Evaluation(NamedTuple):
    """What an edit comes to."""

    changes: tuple[Change, ...]
    """None where it changes nothing."""
    writes: bool = True
    """Whether it makes a revision: an empty append and a delete of nothing do not."""
    number: bytes = b""
    """The number after an increment."""


_NOTHING = Evaluation((), writes=False)


def evaluate(tree: Content, edit: Edit) -> Evaluation:
    """Give the changes that an edit makes to a tree.

    Raises:
        PathError: what is at the path, or above it, does not allow the edit.
        InvalidValueError: the value is not of the kind that the place takes.
    """
    match edit:
        case Set(path, value, compared):
            return Evaluation(_put(tree, path, value, compared))
        case Merge(path, data, compared):
            return Evaluation(_merge(tree, path, data, compared))
        case Append(path, items):
            return Evaluation(_append(tree, path, items)) if items else _NOTHING
        case Increment(path, by):
            number = _sum(tree, path, by)
            return Evaluation(_put(tree, path, number, Compared()), number=number)
        case Delete(path):
            return _delete(tree, path)
        case _ as unreachable:
            assert_never(unreachable)


def _put(tree: Content, path: Path, value: bytes, compared: Compared) -> tuple[Change, ...]:
    if not path and not is_map(value):
        message = "the root of a state is a map"
        raise InvalidValueError(message, type_name=_kind(Node(0, encoded=value)))
    old = tree.find(path)
    if old is None:
        _require_place(tree, path)
    return _put_over(old, path, value, compared)


def _put_over(old: Node | None, path: Path, value: bytes, compared: Compared) -> tuple[Change, ...]:
    """Give what puts a value where another may be: nothing, what differs, or the value, whichever is the least."""
    changes = None if old is None else compared.delta(old, value)
    if changes is None:
        return (Put(path, value),)
    return (Patch(path, tuple(changes)),) if changes else ()


def _require_place(tree: Content, path: Path) -> None:
    """Raise ``PathError`` unless a value can be put at a path where nothing is."""
    for depth in reversed(range(len(path))):
        if tree.is_in_map(path[: depth + 1]):
            return
        above = tree.find(path[:depth])
        if above is None:
            continue
        if above.is_list:
            raise PathError(path, _no_item(path[depth], above.length()))
        raise PathError(path, f"cannot write below {_kind(above)} at segment {depth}")


def _no_item(segment: str, size: int) -> str:
    if list_index(segment) is None:
        return f"{segment!r} is no list index: digits, without sign and leading zeros"
    return f"the list has no item {segment}, it has {size}; append to make it longer"


def _merge(tree: Content, path: Path, data: bytes, compared: Compared) -> tuple[Change, ...]:
    old = tree.find(path)
    new = compared.opened(data)
    if old is None or not old.is_map or not new.is_map:
        return _put(tree, path, data, compared)
    changes: list[Change] = []
    _merge_below(old, new, path, changes, compared)
    return tuple(changes)


def _merge_below(old: Node, new: Node, path: Path, changes: list[Change], compared: Compared) -> None:
    body = new.body()
    for name, (_, child) in body.ordered() if isinstance(body, MapBody) else ():
        spend(CHANGE_COST)
        present = child_of(old, name)
        if present is not None and present.is_map and child.is_map:
            _merge_below(present, child, (*path, name), changes, compared)
        else:
            changes.extend(_put_over(present, (*path, name), child.encoded(), compared))


def _append(tree: Content, path: Path, items: tuple[bytes, ...]) -> tuple[Change, ...]:
    old = tree.find(path)
    if old is None:
        spend(len(items))
        return _put(tree, path, joined((list_head(len(items)), *items)), Compared())
    body = old.body()
    if not isinstance(body, ListBody):
        raise PathError(path, f"cannot append to {_kind(old)}")
    return (Splice(path, len(body.items), 0, list(items)),)


def _sum(tree: Content, path: Path, by: bytes) -> bytes:
    addend = values.decode(by)
    if type(addend) is not int and type(addend) is not float:
        message = f"an increment takes an int or a float, not {_kind(Node(0, encoded=by))}"
        raise InvalidValueError(message, type_name=type(addend).__name__)
    old = tree.find(path)
    present = 0 if old is None else old.value() if not old.is_map and not old.is_list else None
    if type(present) is not int and type(present) is not float:
        kind = "nothing" if old is None else _kind(old)
        raise PathError(path, f"cannot increment {kind}")
    try:
        return values.encode(present + addend)
    except (values.InvalidValue, OverflowError) as error:
        message = f"{present} + {addend} is beyond signed 64 bits"
        raise InvalidValueError(message, type_name="int") from error


def _delete(tree: Content, path: Path) -> Evaluation:
    old = tree.find(path)
    if old is None or (not path and same(old, Raw(EMPTY_TREE.root.encoded()))):
        return _NOTHING
    if not path:
        return Evaluation((Put((), EMPTY_TREE.root.encoded()),))
    if not tree.is_in_map(path):
        return Evaluation((Splice(path[:-1], int(path[-1]), 1, []),))
    return Evaluation((Remove(path),))


def _kind(node: Node) -> str:
    if node.is_map or node.is_list:
        return "a map" if node.is_map else "a list"
    value = node.value()
    if value is None:
        return "None"
    return "a nan" if type(value) is float and math.isnan(value) else f"a value of type {type(value).__name__}"
