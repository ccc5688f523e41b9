"""What differs between a value and the one that is set over it.

Agents write naively: they set a list of a thousand messages anew with one more at its end. What is stored is one message:

    old     {"title": "x", "messages": [m0, m1], "draft": "..", "usage": {"in": 10, "out": 20}}
    new     {"title": "x", "messages": [m0, m1, m2], "usage": {"in": 10, "out": 25}, "done": True}
    delta   Remove("draft"), Splice("messages", 2, 0, [m2]), Put("usage.out", 25), Put("done", True)

Maps are compared by name. Lists are compared by their common front and back; what is between may have slid, as in
``messages[-50:]``, which has lost the first and got another at its end, or is compared item by item where it is as long in
both. All of it goes by bytes, since Python takes ``[1]`` and ``[True]`` for the same. A part whose difference is as large as
itself is put whole, and so is a map whose names have another order: what is added to a map comes last.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from msgspec import Raw

from lastgood_daemon.engine.change import Put, Remove, SimpleChange, Splice
from lastgood_daemon.engine.labour import empty, let_go, spend
from lastgood_daemon.engine.level import is_list, is_map, items_in, items_of, length_of, names_in, names_of, same, same_bytes
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.order import sorted_in_runs
from lastgood_daemon.engine.sequence import Sequence, slid
from lastgood_proto.paths import Path

SMALL_BYTES = 256
"""Below this a value is stored as it is."""


class _Found(NamedTuple):
    changes: list[SimpleChange]
    size: int
    """About how many bytes they take in the log."""


_NOTHING = _Found([], 0)


MOST_ITEMS = 1_000_000
"""A longer list is put as a whole: to look at each of its items would take more memory than both of them."""


def delta(old: Node, new: bytes) -> list[SimpleChange] | None:
    """Give the changes that turn a value into another, at paths relative to it; no changes where both are the same.

    Gives None where they would take no less than the new value.
    """
    raw = Raw(new)
    if len(new) < SMALL_BYTES or same_bytes(old, raw):
        return [] if same(old, raw) else None
    found = _difference(old, raw, ())
    if not found.changes or found.size < len(new):
        return found.changes
    let_go(found.changes)
    return None


def _difference(old: Node | Raw, new: Raw, path: Path) -> _Found:
    """Compare two values that are not the same bytes."""
    found = None
    if is_map(old) and is_map(new):
        found = _of_maps(old, new, path)
    elif is_list(old) and is_list(new):
        found = _of_lists(old, new, path)
    whole = _size(path, memoryview(new).nbytes)
    if found is not None:
        if found.size < whole:
            return found
        let_go(found.changes)
    return _Found([Put(path, bytes(new))], whole)


def _of_maps(old: Node | Raw, new: Raw, path: Path) -> _Found | None:
    """Compare two maps; nothing where the names that stay have another order, or one that is new comes before them."""
    before, after = names_of(old), names_in(new)
    inner: list[_Found] = []
    added: list[_Found] = []
    try:
        return _of_names(before, after, path, inner, added)
    finally:
        let_go(inner)
        let_go(added)
        empty(after)
        if isinstance(before, dict):
            empty(before)


def _of_names(
    before: Mapping[str, tuple[int, Node | Raw]],
    after: Mapping[str, Raw],
    path: Path,
    inner: list[_Found],
    added: list[_Found],
) -> _Found | None:
    spend(len(after))
    last = (-1, "")
    for name, child in after.items():
        entry = before.get(name)
        if entry is None:
            added.append(_put((*path, name), child))
            continue
        place = (entry[0], name)
        if added or place < last:
            return None
        last = place
        if not same_bytes(entry[1], child):
            inner.append(_difference(entry[1], child, (*path, name)))
    gone: Iterable[tuple[int, str]] = ()
    if len(before) > len(after) - len(added):
        spend(len(before) // 10)
        gone = sorted_in_runs((position, name) for name, (position, _) in before.items() if name not in after)
    removed = [_Found([Remove((*path, name))], _size((*path, name), 0)) for _, name in gone]
    return _joined((*removed, *inner, *added))


def _of_lists(old: Node | Raw, new: Raw, path: Path) -> _Found:
    if max(length_of(old), length_of(new)) > MOST_ITEMS:
        return _NOTHING if same(old, new) else _put(path, new)
    before, after = items_of(old), items_in(new)
    try:
        return _of_items(before, after, path)
    finally:
        let_go(after)
        if isinstance(before, list):
            let_go(before)


def _of_items(before: list[Raw] | Sequence[Node], after: list[Raw], path: Path) -> _Found:
    shorter = min(len(before), len(after))
    spend(shorter)
    front = _alike(zip(before, after, strict=False))
    back = _alike(islice(zip(reversed(before), reversed(after), strict=False), shorter - front))
    stop = len(before) - back
    added = after[front : len(after) - back]
    if front == stop and not added:
        return _NOTHING
    items = [bytes(item) for item in added]  # one by one, as below: so a thread lets others run in between
    size = sum(len(item) for item in items) + 5 * len(items)
    spliced = _Found([Splice(path, front, stop - front, items)], _size(path, size))
    spend((stop - front) // 10)
    between = [*(before.part(front, stop) if isinstance(before, Sequence) else before[front:stop])]
    gone = slid(between, added, same)
    if gone:
        stay = len(between) - gone
        removed, appended = Splice(path, front, gone, []), Splice(path, front + stay, 0, items[stay:])
        moved = _Found([removed, appended], 2 * _size(path, 0) + sum(map(len, items[stay:])) + 5 * (len(items) - stay))
        return moved if moved.size < spliced.size else spliced
    if len(added) != len(between):
        return spliced
    one_by_one = _joined(
        _difference(was, item, (*path, str(index)))
        for index, (was, item) in enumerate(zip(between, added, strict=True), start=front)
        if not same_bytes(was, item)
    )
    if one_by_one.size >= spliced.size:
        return spliced
    let_go(items)
    return one_by_one


def _alike(pairs: Iterable[tuple[Node | Raw, Raw]]) -> int:
    """Count the pairs that are the same, up to the first that is not."""
    count = 0
    for old, new in pairs:
        if not same(old, new):
            break
        count += 1
    return count


def _put(path: Path, value: Raw) -> _Found:
    encoded = bytes(value)
    return _Found([Put(path, encoded)], _size(path, len(encoded)))


def _joined(parts: Iterable[_Found]) -> _Found:
    changes: list[SimpleChange] = []
    size = 0
    for part in parts:
        changes.extend(part.changes)
        size += part.size
    return _Found(changes, size)


def _size(path: Path, content: int) -> int:
    """Give about how many bytes a change takes: its content, its path, and what is around them."""
    return content + sum(map(len, path)) + 2 * len(path) + 10
