"""A whole content as part of a line, with all that later revisions refer to, as an image has it (``engine/image.py``).

    {"changed": 4, "renewed": 0, "next": 2, "map": [["a", 0, {"changed": 3, "value": 1}],
                                                    ["l", 1, {"changed": 4, "renewed": 0, "list": [{"changed": 4, …}]}]]}

A part that nobody has looked into is a value; all of it was last changed when that was put there.
"""

from typing import Any

from immutables import Map

from lastgood_daemon.engine.graves import UNKNOWN, Grave
from lastgood_daemon.engine.node import ListBody, MapBody, MapEntry, Node, map_of, packed
from lastgood_daemon.engine.portable.format import MAX_COUNT, require_text
from lastgood_daemon.engine.portable.value import MAX_LEVELS, value_document, value_of
from lastgood_daemon.engine.sequence import Sequence
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.values import MAX_BYTES


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


def node_of(document: Any, latest: int, level: int = 0) -> Node:  # noqa: ANN401 - whatever was read
    """Return the node that ``node_document`` has made this of; ``latest`` is the last change of what it is in.

    Raises:
        NotAValueError: it is none.
    """
    match document:
        case {"changed": changed, "value": value, **more} if not more:
            return Node(_count(changed, latest, "changed"), encoded=value_of(value, level))
        case {"changed": changed, "renewed": renewed, "next": following, "map": list(named), **more} if not more:
            changed, renewed = _changes(changed, renewed, latest, level)
            following = _count(following, MAX_COUNT - 1, "next")
            entries = dict(_named(each, changed, level, following) for each in named)
            if len(entries) < len(named):
                problem = "a name of a map is there twice"
                raise _misfit(problem)
            return Node(changed, body=MapBody(map_of(entries.items()), following, renewed))
        case {"changed": changed, "renewed": renewed, "list": list(items), **more} if not more:
            changed, renewed = _changes(changed, renewed, latest, level)
            nodes = (node_of(item, changed, level + 1) for item in items)
            return Node(changed, body=ListBody(Sequence.of_leaves(packed(nodes)), renewed))
    problem = "a part of it is neither a value, nor a map, nor a list"
    raise _misfit(problem)


def grave_document(grave: Grave) -> list[Any]:
    """Give the names that are gone."""
    below = {name: grave_document(child) for name, child in sorted(grave.below.items())}
    most = [grave.most] if grave.items and grave.most != UNKNOWN else []
    return [grave.revision, grave.items, below, *most]


def grave_of(document: Any, revision: int, level: int = 0) -> Grave:  # noqa: ANN401 - whatever was read
    """Give the names that ``grave_document`` has made this of.

    Raises:
        NotAValueError: it is none.
    """
    match document:
        case [removed, items, dict(below), *most] if len(most) <= 1 and level <= MAX_LEVELS:
            names = {require_text(name, "the name of what has gone", MAX_BYTES): child for name, child in below.items()}
            inner = {name: grave_of(child, revision, level + 1) for name, child in names.items()}
            gone = _count(items, revision, "items")
            known = _count(most[0], UNKNOWN - 1, "most") if most else UNKNOWN if gone else 0
            return Grave(_count(removed, revision, "removed"), gone, Map(inner), known)
    problem = "the names that have gone are not listed"
    raise _misfit(problem)


def _named(document: Any, latest: int, level: int, following: int) -> tuple[str, MapEntry]:  # noqa: ANN401 - likewise
    match document:
        case [str(name), position, child] if name:
            require_text(name, "the name of a part", MAX_BYTES)
            return name, MapEntry(_count(position, following - 1, "position"), node_of(child, latest, level + 1))
    problem = "a part of a map is not a name, its position and what is there"
    raise _misfit(problem)


def _changes(changed: Any, renewed: Any, latest: int, level: int) -> tuple[int, int]:  # noqa: ANN401 - likewise
    if level >= MAX_LEVELS:
        problem = f"it has more than {MAX_LEVELS} levels"
        raise _misfit(problem)
    known = _count(changed, latest, "changed")
    return known, _count(renewed, known, "renewed")


def _count(number: Any, most: int, field: str) -> int:  # noqa: ANN401 - likewise
    if type(number) is not int or not 0 <= number <= most:
        problem = f"{field} is a number from 0 to {most}, got {str(number)[:40]}"
        raise _misfit(problem)
    return number


def _misfit(problem: str) -> NotAValueError:
    return NotAValueError(f"the content is not what an export has there: {problem}")
