"""Looking into values one level at a time, and leaving them as they are.

Two values are compared, or a new one is compared with what is there, without opening nodes that nobody has written into and
without encoding those that are opened: what is still bytes is taken apart into runs of bytes (``Raw``, which copy nothing),
what is opened is walked.
"""

from collections.abc import Mapping

from msgspec import Raw

from lastgood_daemon.engine import encoded
from lastgood_daemon.engine.encoded import Encoded, is_same, iter_list, length_in, open_list, open_map
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, Node
from lastgood_daemon.engine.sequence import Sequence

_BYTES_A_MICROSECOND = 200
_PARTS_A_MICROSECOND = 4


def is_map(value: Node | Raw) -> bool:
    """Whether a value is a map."""
    return value.is_map if isinstance(value, Node) else encoded.is_map(value)


def is_list(value: Node | Raw) -> bool:
    """Whether a value is a list."""
    return value.is_list if isinstance(value, Node) else encoded.is_list(value)


def length_of(value: Node | Raw) -> int:
    """Return how many items a list has; looks at its head only."""
    return value.length() if isinstance(value, Node) else length_in(value)


def names_of(value: Node | Raw) -> Mapping[str, tuple[int, Node | Raw]]:
    """Give the names of a map, each with its position and what is there; in any order."""
    if isinstance(value, Node) and not value.sealed_bytes:
        body = value.body()
        return body.entries if isinstance(body, MapBody) else {}
    children = names_in(value.encoded() if isinstance(value, Node) else value)
    return {name: (position, child) for position, (name, child) in enumerate(children.items())}


def names_in(value: Encoded) -> dict[str, Raw]:
    """Give what a map in bytes has, by name."""
    spend(memoryview(value).nbytes // _BYTES_A_MICROSECOND + length_in(value) // _PARTS_A_MICROSECOND)
    return open_map(value)


def items_in(value: Encoded) -> list[Raw]:
    """Give the items of a list in bytes."""
    spend(memoryview(value).nbytes // _BYTES_A_MICROSECOND + length_in(value) // _PARTS_A_MICROSECOND)
    return open_list(value)


def items_of(value: Node | Raw) -> list[Raw] | Sequence[Node]:
    """Give the items of a list."""
    if isinstance(value, Node) and not value.sealed_bytes:
        body = value.body()
        return body.items if isinstance(body, ListBody) else Sequence()
    return items_in(value.encoded() if isinstance(value, Node) else value)


def same_bytes(old: Node | Raw, new: Raw) -> bool:
    """Whether the old value is not opened, and has the same bytes."""
    if isinstance(old, Raw):
        return is_same(old, new)
    return bool(old.sealed_bytes) and is_same(old.encoded(), new)


def same(old: Node | Raw, new: Raw) -> bool:
    """Whether two values are the same, types and the order of maps included; looks no further than the first difference."""
    if same_bytes(old, new):
        return True
    if isinstance(old, Raw) or old.sealed_bytes:
        return False
    body = old.body()
    return _same_map(body, new) if isinstance(body, MapBody) else isinstance(body, ListBody) and _same_list(body, new)


def _same_map(body: MapBody, new: Raw) -> bool:
    if not is_map(new):
        return False
    names = names_in(new)
    if len(names) != len(body.entries):
        return False
    before = (-1, "")
    for name, child in names.items():
        entry = body.entries.get(name)
        if entry is None or (entry.position, name) < before or not same(entry.node, child):
            return False
        before = (entry.position, name)
    return True


def _same_list(body: ListBody, new: Raw) -> bool:
    if not is_list(new):
        return False
    spend(memoryview(new).nbytes // _BYTES_A_MICROSECOND + length_in(new) // _PARTS_A_MICROSECOND)
    return length_in(new) == len(body.items) and all(map(same, body.items, iter_list(new)))
