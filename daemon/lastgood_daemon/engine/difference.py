"""How two contents differ, as people are shown it: what ``diff`` and ``preview`` answer."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from lastgood_daemon.engine.node import MapBody, MapEntry, Node, child_of
from lastgood_proto.paths import Path


class Difference(NamedTuple):
    """How two contents differ at a path."""

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Node | None
    new: Node | None


def differences(old: Node | None, new: Node | None, path: Path = ()) -> Iterator[Difference]:
    """Compare maps key by key; a list, a scalar, or a subtree that appears or disappears is one difference."""
    if old is new:
        return
    if old is None:
        yield Difference(path, "added", None, new)
    elif new is None:
        yield Difference(path, "removed", old, None)
    elif old.is_map and new.is_map:
        for name in _names(old, new):
            yield from differences(child_of(old, name), child_of(new, name), (*path, name))
    elif not old.same_value(new):
        yield Difference(path, "changed", old, new)


def _names(old: Node, new: Node) -> list[str]:
    """Give the names of both maps: those of the old one in its order, then what is new."""
    before, after = _ordered(old), _ordered(new)
    known = {name for name, _ in before}
    return [name for name, _ in before] + [name for name, _ in after if name not in known]


def _ordered(node: Node) -> list[tuple[str, MapEntry]]:
    body = node.body()
    return body.ordered() if isinstance(body, MapBody) else []
