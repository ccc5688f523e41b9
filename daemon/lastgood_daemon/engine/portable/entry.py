"""A revision as a line of an export.

    {"revision": 2, "timestamp": 1795413012500000, "agent_id": "a", "workflow_id": "", "attempt": 0, "step": null,
     "edits": [{"operation": "set", "path": "m", "changes": [{"put": "m", "value": {"x": 1}}]}]}

The changes are those of ``engine/change.py``; a ``source`` beside them is what a restore went back to.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from lastgood_daemon.engine.change import Change, Patch, Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.portable.format import MAX_COUNT, require_point, require_text
from lastgood_daemon.engine.portable.value import stored_document, stored_of
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.paths import format_path, parse_path
from lastgood_proto.texts import MAX_PATH_BYTES
from lastgood_proto.values import MAX_BYTES

T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=0, lt=MAX_COUNT)]
Document = dict[str, Any]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    revision: Count
    timestamp: Count
    agent_id: str
    workflow_id: str
    attempt: Count
    step: Count | None
    edits: list[Any]


class _Edit(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    path: str
    changes: list[Any]
    source: Point | None = None


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    put: str | UnsetType = UNSET
    value: Any = UNSET
    position: Count | None = None
    remove: str | UnsetType = UNSET
    splice: str | UnsetType = UNSET
    index: Count = 0
    removed: Count = 0
    items: list[Any] = []
    patch: str | UnsetType = UNSET
    changes: list[Any] = []


def entry_document(revision: int, entry: Entry) -> Document:
    """Give a revision as a line."""
    author = entry.author
    return {
        "revision": revision,
        "timestamp": entry.timestamp,
        "agent_id": author.agent_id,
        "workflow_id": author.workflow_id,
        "attempt": author.attempt,
        "step": author.step,
        "edits": [_edit_document(edit) for edit in entry.edits],
    }


def entry_of(document: Document) -> tuple[int, Entry]:
    """Give the revision of a line, and what it did.

    Raises:
        NotAValueError: the line is none.
    """
    line = _read(document, _Line)
    require_text(line.agent_id, "agent_id")
    require_text(line.workflow_id, "workflow_id")
    author = Author(line.agent_id, line.workflow_id, line.attempt, line.step)
    return line.revision, Entry(line.timestamp, author, tuple(map(_edit_of, line.edits)))


def point_document(point: Point) -> Document:
    """Give a revision of a state that is named."""
    return {"state_id": point.state_id, "incarnation": point.incarnation, "revision": point.revision}


def _edit_document(edit: LoggedEdit) -> Document:
    document: Document = {"operation": edit.operation, "path": format_path(edit.path)}
    if edit.source is not None:
        document["source"] = point_document(edit.source)
    return {**document, "changes": [_change_document(change) for change in edit.changes]}


def _change_document(change: Change) -> Document:
    path = format_path(change.path)
    match change:
        case Put(_, value, position):
            at = {} if position is None else {"position": position}
            return {"put": path, "value": stored_document(value), **at}
        case Remove():
            return {"remove": path}
        case Splice(_, index, removed, items):
            return {"splice": path, "index": index, "removed": removed, "items": [stored_document(item) for item in items]}
        case Patch(_, changes):
            return {"patch": path, "changes": [_change_document(inner) for inner in changes]}


def _read(document: object, kind: type[T]) -> T:
    """Read what is right here, and not what is below: 100,000 changes in one call would hold the interpreter for 50 ms."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise NotAValueError(str(error)) from None


def _edit_of(document: object) -> LoggedEdit:
    edit = _read(document, _Edit)
    if not edit.operation:
        message = "the operation of an edit is empty"
        raise NotAValueError(message)
    require_text(edit.operation, "the operation of an edit")
    source = None if edit.source is None else require_point(edit.source, "source of an edit")
    return LoggedEdit(edit.operation, _path_of(edit.path, MAX_PATH_BYTES), tuple(map(_change_of, edit.changes)), source)


def _change_of(document: object) -> Change:
    change = _read(document, _Change)
    if isinstance(change.patch, str):
        path = _path_of(change.patch)
        return Patch(path, tuple(_simple_of(_read(inner, _Change), len(path)) for inner in change.changes))
    return _simple_of(change)


def _simple_of(change: _Change, above: int = 0) -> SimpleChange:
    if isinstance(change.put, str) and change.value is not UNSET:
        path = _path_of(change.put)
        return Put(path, stored_of(change.value, above + len(path)), change.position)
    if isinstance(change.splice, str):
        path = _path_of(change.splice)
        items = [stored_of(item, above + len(path) + 1) for item in change.items]
        return Splice(path, change.index, change.removed, items)
    if isinstance(change.remove, str) and change.remove:
        return Remove(_path_of(change.remove))
    message = "a change is a put with a value, a remove with a path, a splice, or a patch that is made of those"
    raise NotAValueError(message)


def _path_of(text: str, limit: int = MAX_BYTES) -> tuple[str, ...]:
    # What an edit has changed may have longer paths than itself, through names inside its value.
    try:
        return parse_path(text, limit)
    except ValueError as error:
        raise NotAValueError(str(error)) from None
