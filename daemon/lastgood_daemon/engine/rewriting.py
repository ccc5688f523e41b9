"""Redacting what is kept of a state: the rows of its log, and whole trees.

Replacing a text in every value of a log comes to the same as replacing it in every tree that the log makes:

    rows      Put("k", "sk-123")   Put("m", {"sk-123": 1})   Remove("k")
    trees     {k: "sk-123"}        {k: .., m: {"sk-123": 1}}  {m: ..}
    redacted  Put("k", "[r]")      Put("m", {"[r]": 1})      Remove("k")
    trees     {k: "[r]"}           {k: .., m: {"[r]": 1}}    {m: ..}

So a tree at hand is redacted as such, with all last changes and positions, and need not be made anew from its log. What the
chain is over besides values (paths, authors) cannot be replaced.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.errors import NotRedactableError
from lastgood_daemon.engine.graves import Grave
from lastgood_daemon.engine.labour import let_go
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit, Squash, decode_row, encode_entry, encode_squash
from lastgood_daemon.engine.node import Imaged, ListBody, MapBody, MapEntry, Node, map_of, packed
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.sequence import Sequence
from lastgood_daemon.engine.stored_value import content_of, in_place_of
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.paths import Path, format_path

# The log.


def rewritten_row(revision: int, encoded: bytes, redactor: Redactor) -> bytes | None:
    """Give a row of a log without the text; nothing where it stays as it is.

    Raises:
        NotRedactableError: the text is in what cannot be replaced.
    """
    if not redactor.concerns(encoded):
        return None
    row = decode_row(encoded)
    after: Entry | Squash
    if isinstance(row, Squash):
        after = msgspec.structs.replace(row, changes=_changes(revision, row.changes, redactor))
    else:
        _require_author(revision, row.author, redactor)
        after = msgspec.structs.replace(row, edits=tuple(_edit(revision, edit, redactor) for edit in row.edits))
    if after == row:
        return None
    return encode_squash(after) if isinstance(after, Squash) else encode_entry(after)


def _require_author(revision: int, author: Author, redactor: Redactor) -> None:
    if redactor.has(author.agent_id) or redactor.has(author.workflow_id):
        where = f"the author of revision {revision}"
        raise NotRedactableError(where, revision=revision)


def _edit(revision: int, edit: LoggedEdit, redactor: Redactor) -> LoggedEdit:
    _require_path(revision, edit.path, redactor)
    if edit.source is not None and redactor.has(edit.source.state_id):
        where = f"the id of the state that revision {revision} was copied from"
        raise NotRedactableError(where, revision=revision)
    return msgspec.structs.replace(edit, changes=_changes(revision, edit.changes, redactor))


def _require_path(revision: int, path: Path, redactor: Redactor) -> None:
    if any(map(redactor.has, path)):
        text = format_path(tuple(map(redactor.text, path)))
        where = f"a path that revision {revision} writes, {text!r} when it is replaced"
        raise NotRedactableError(where, revision=revision)
    for name in path:
        redactor.meet(name)


def _changes(revision: int, changes: Iterable[Change], redactor: Redactor) -> tuple[Change, ...]:
    found: list[Change] = []
    for change in changes:
        _require_path(revision, change.path, redactor)
        if isinstance(change, Patch):
            inner = tuple(_simple(revision, each, redactor) for each in change.changes)
            found.append(Patch(change.path, inner))
        else:
            found.append(_simple(revision, change, redactor))
    return tuple(found)


def _simple(revision: int, change: SimpleChange, redactor: Redactor) -> SimpleChange:
    _require_path(revision, change.path, redactor)
    match change:
        case Put(path, value, position):
            return Put(path, _stored(value, redactor), position)
        case Splice(path, index, removed, items):
            return Splice(path, index, removed, [_stored(item, redactor) for item in items])
        case Remove():
            return change


def _stored(stored: bytes, redactor: Redactor) -> bytes:
    before = content_of(stored)
    after = redactor.value(before)
    return stored if after is before else in_place_of(stored, after)


# Trees.


class RedactedTree(NamedTuple):
    """A tree without the text, and the changes that write again what has been replaced in it, for all to see."""

    tree: Tree
    changes: tuple[Put, ...]


def redacted_tree(tree: Tree, redactor: Redactor) -> RedactedTree:
    """Replace the text in a tree. O(its size): work for a thread."""
    changes: list[Put] = []
    root = _node(tree.root, (), redactor, changes)
    return RedactedTree(tree._replace(root=root, graves=_graves(tree.graves, redactor)), tuple(changes))


def _node(node: Node, path: Path, redactor: Redactor, changes: list[Put]) -> Node:
    sealed = node.sealed()
    if isinstance(sealed, bytes) and not (node.is_map or node.is_list):
        return _leaf(node, sealed, path, redactor, changes)
    data = sealed.data if isinstance(sealed, Imaged) else sealed
    if data is not None and not redactor.concerns(data):
        return node
    match node.open():
        case MapBody() as map_body:
            return _map(node, map_body, path, redactor, changes)
        case ListBody(items, renewed):
            before = list(items)  # those of a run are others each time they are asked for
            after = [_node(item, (*path, str(index)), redactor, changes) for index, item in enumerate(before)]
            if all(one is other for one, other in zip(before, after, strict=True)):
                return node
            return Node(node.changed, body=ListBody(Sequence.of_leaves(packed(after)), renewed))
        case _:
            return node


def _leaf(node: Node, encoded: bytes, path: Path, redactor: Redactor, changes: list[Put]) -> Node:
    after = redactor.value(encoded)
    if after is encoded:
        return node
    changes.append(Put(path, after))
    return Node(node.changed, encoded=after)


def _map(node: Node, body: MapBody, path: Path, redactor: Redactor, changes: list[Put]) -> Node:
    entries: list[tuple[str, MapEntry]] = []
    same = True
    for name in body.names():
        position, child = body.entries[name]
        made, count = redactor.name(name), len(changes)
        after = _node(child, (*path, made), redactor, changes)
        if made != name:
            changes[count:] = [Put((*path, made), after.encoded())]
        same = same and made == name and after is child
        entries.append((made, MapEntry(position, after)))
    after = node if same else Node(node.changed, body=MapBody(map_of(entries), body.next_position, body.renewed))
    let_go(entries)
    return after


def _graves(grave: Grave, redactor: Redactor) -> Grave:
    if not grave.below:
        return grave
    return grave._replace(
        below=map_of((redactor.name(name), _graves(child, redactor)) for name, child in grave.below.items())
    )
