"""A whole content as part of a line, with all that later revisions refer to, as an image has it (``engine/image.py``).

    {"changed": 4, "renewed": 0, "next": 2, "map": [["a", 0, {"changed": 3, "value": 1}],
                                                    ["l", 1, {"changed": 4, "renewed": 0, "list": [{"changed": 4, …}]}]]}

A part that nobody has looked into is a value; all of it was last changed when that was put there.
"""

from typing import Any

from immutables import Map

from lastgood_daemon.engine.graves import Grave
from lastgood_daemon.engine.node import ListBody, MapBody, MapEntry, Node, map_of
from lastgood_daemon.engine.portable.value import value_document, value_of
from lastgood_daemon.engine.sequence import Sequence
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.paths import MAX_DEPTH

MAX_LEVELS = 2 * MAX_DEPTH
"""A path that is as long as can be, and below it a value that is nested as deeply as can be."""


def node_document(node: Node) -> dict[str, Any]:
    """Give a node, and all below it."""
    sealed = node.sealed()
    if isinstance(sealed, bytes):
        return {"changed": node.changed, "value": value_document(sealed)}
    match node.open():
        case MapBody(_, next_position, renewed) as body:
            named = [[name, entry.position, node_document(entry.node)] for name, entry in body.ordered()]
            return {"changed": node.changed, "renewed": renewed, "next": next_position, "map": named}
        case ListBody(items, renewed):
            return {"changed": node.changed, "renewed": renewed, "list": [node_document(item) for item in items]}
        case None:
            return {"changed": node.changed, "value": value_document(node.encoded())}


def node_of(document: Any, revision: int, level: int = 0) -> Node:  # noqa: ANN401 - whatever was read
    """Give the node that ``node_document`` has made this of, in a tree of a revision.

    Raises:
        NotAValueError: it is none.
    """
    match document:
        case {"changed": int(changed), "value": value, **more} if not more and changed <= revision:
            return Node(_count(changed), encoded=value_of(value))
        case {"changed": int(changed), "renewed": int(renewed), "next": int(following), "map": list(named), **more} if (
            not more and changed <= revision and level < MAX_LEVELS
        ):
            entries = dict(_named(each, revision, level) for each in named)
            fits = all(entry.position < following for entry in entries.values()) and len(entries) == len(named)
            if fits:
                return Node(_count(changed), body=MapBody(map_of(entries.items()), _count(following), _count(renewed)))
        case {"changed": int(changed), "renewed": int(renewed), "list": list(items), **more} if (
            not more and changed <= revision and level < MAX_LEVELS
        ):
            inner = Sequence(node_of(item, revision, level + 1) for item in items)
            return Node(_count(changed), body=ListBody(inner, _count(renewed)))
    raise _no_content()


def grave_document(grave: Grave) -> list[Any]:
    """Give the names that are gone."""
    return [grave.revision, grave.items, {name: grave_document(child) for name, child in sorted(grave.below.items())}]


def grave_of(document: Any, revision: int, level: int = 0) -> Grave:  # noqa: ANN401 - whatever was read
    """Give the names that ``grave_document`` has made this of.

    Raises:
        NotAValueError: it is none.
    """
    match document:
        case [int(removed), int(items), dict(below)] if max(removed, items) <= revision and level <= MAX_LEVELS:
            inner = {name: grave_of(child, revision, level + 1) for name, child in below.items()}
            return Grave(_count(removed), _count(items), Map(inner))
    raise _no_content()


def _named(document: Any, revision: int, level: int) -> tuple[str, MapEntry]:  # noqa: ANN401 - whatever was read
    match document:
        case [str(name), int(position), child] if name:
            return name, MapEntry(_count(position), node_of(child, revision, level + 1))
    raise _no_content()


def _count(number: int) -> int:
    if isinstance(number, bool) or not 0 <= number < 2**53:
        raise _no_content()
    return number


def _no_content() -> NotAValueError:
    return NotAValueError("the content is not what an export has there")
