"""What the engine must amount to, written as anybody would: dicts and lists, copied whole for every revision.

Beside the content it keeps, for each path that it has ever heard of, what ``Tree.last_change`` may answer. See
``test_model`` for the rules.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

from lastgood_daemon.engine import edits
from lastgood_daemon.engine.errors import InvalidValueError, PathError, RefusedError
from lastgood_proto import values
from lastgood_proto.paths import Path

Value: TypeAlias = Any
"""Anything that can be in a state, or MISSING; what it is shows only when it is looked at."""
MISSING = object()
ROOT: Path = ()


class RefusalError(Exception):
    """The model refuses, with this error of the engine."""

    def __init__(self, kind: type[RefusedError]) -> None:
        super().__init__(kind.__name__)
        self.kind = kind


def deep_copy(value: Value) -> Value:
    """Copy a value; unlike ``copy.deepcopy`` also where the same object is in it twice."""
    if type(value) is dict:
        return {name: deep_copy(child) for name, child in value.items()}
    return [deep_copy(item) for item in value] if type(value) is list else value


# Looking.


def index_of(segment: str) -> int | None:
    """Read a list index, by another road than the engine's."""
    return int(segment) if segment in {str(n) for n in range(100)} else None


def lookup(tree: Value, path: Path) -> Value:
    for segment in path:
        if type(tree) is dict:
            tree = tree.get(segment, MISSING)
        elif type(tree) is list:
            index = index_of(segment)
            tree = MISSING if index is None or index >= len(tree) else tree[index]
        else:
            return MISSING
    return tree


def encoded(tree: Value, path: Path = ROOT) -> bytes | None:
    """Give what is at a path as bytes, in which types, the order of maps, -0.0 and nan differ as they should."""
    found = lookup(tree, path)
    return None if found is MISSING else values.encode(found)


def paths_of(tree: Value, path: Path = ROOT) -> list[Path]:
    """Give all paths that exist; of a long list only those of the first and last items."""
    found = [path]
    if type(tree) is dict:
        for name, child in tree.items():
            found.extend(paths_of(child, (*path, name)))
    elif type(tree) is list:
        for index in sorted({*range(len(tree))[:3], *range(len(tree))[-2:]}):
            found.extend(paths_of(tree[index], (*path, str(index))))
    return found


def exactly(left: Value, right: Value) -> bool:
    """Whether two values are equal, of the same types and in the same order at every level."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return list(left) == list(right) and all(exactly(left[name], right[name]) for name in left)
    if type(left) is list:
        return len(left) == len(right) and all(map(exactly, left, right))
    return repr(left) == repr(right)


def unordered(value: Value) -> Value:
    """Give a value with all maps in one order, to compare where order is left open."""
    if type(value) is dict:
        return {name: unordered(value[name]) for name in sorted(value)}
    return [unordered(item) for item in value] if type(value) is list else value


# Writing.


class Touch(NamedTuple):
    """What an edit wrote to: the value at a path, or the items of the list there from ``first`` on."""

    path: Path
    first: int | None = None


class Stage(NamedTuple):
    """One edit of a revision."""

    before: Value
    after: Value
    touches: list[Touch] | None
    """Not known where a content was brought back."""


def put(tree: Value, path: Path, value: object, *, may_append: bool = False) -> Value:
    """Give a tree with a value at a path."""
    value = deep_copy(value)
    if not path:
        if type(value) is not dict:
            raise RefusalError(InvalidValueError)
        return value
    tree = deep_copy(tree)
    place = tree
    for depth, segment in enumerate(path):
        last = depth == len(path) - 1
        if type(place) is dict:
            if last:
                place[segment] = value
            place = place.setdefault(segment, {})
        elif type(place) is list:
            index = index_of(segment)
            if last and may_append and index == len(place):
                place.append(value)
                return tree
            if index is None or index >= len(place):
                raise RefusalError(PathError)
            if last:
                place[index] = value
            place = place[index]
        else:
            raise RefusalError(PathError)
    return tree


def remove(tree: Value, path: Path) -> Value:
    """Give a tree without what is at a path."""
    if not path:
        return {}
    tree = deep_copy(tree)
    parent = lookup(tree, path[:-1])
    if lookup(tree, path) is not MISSING:
        del parent[path[-1] if type(parent) is dict else int(path[-1])]
    return tree


def _set(tree: Value, path: Path, value: object) -> Stage:
    after = put(tree, path, value)
    return Stage(tree, after, [] if encoded(tree, path) == values.encode(value) else [Touch(path)])


def _merge(tree: Value, path: Path, data: object) -> Stage:
    if type(data) is not dict or type(lookup(tree, path)) is not dict:
        return _set(tree, path, data)
    after = tree
    touches: list[Touch] = []
    for name, child in data.items():
        stage = _merge(after, (*path, name), child)
        after = stage.after
        touches.extend(stage.touches or ())
    return Stage(tree, after, touches)


def _append(tree: Value, path: Path, items: list[object]) -> Stage:
    present = lookup(tree, path)
    if present is MISSING:
        return _set(tree, path, items)
    if type(present) is not list:
        raise RefusalError(PathError)
    after = deep_copy(tree)
    lookup(after, path).extend(deep_copy(items))
    return Stage(tree, after, [Touch(path, len(present))])


def _increment(tree: Value, path: Path, by: Value) -> Stage:
    present = lookup(tree, path)
    present = 0 if present is MISSING else present
    if type(by) not in {int, float}:
        raise RefusalError(InvalidValueError)
    if type(present) not in {int, float}:
        raise RefusalError(PathError)
    total = present + by
    if type(total) is int and not -(2**63) <= total < 2**63:
        raise RefusalError(InvalidValueError)
    return _set(tree, path, total)


def perform(tree: Value, edit: edits.Edit) -> Stage | None:
    """Do an edit; nothing where it writes no revision."""
    match edit:
        case edits.Set(path, value):
            return _set(tree, path, values.decode(value))
        case edits.Merge(path, data):
            return _merge(tree, path, values.decode(data))
        case edits.Append(path, items):
            return _append(tree, path, [values.decode(item) for item in items]) if items else None
        case edits.Increment(path, by):
            return _increment(tree, path, values.decode(by))
        case edits.Delete(path):
            if lookup(tree, path) is MISSING or (not path and not tree):
                return None
            parent = lookup(tree, path[:-1])
            touch = Touch(path[:-1], int(path[-1])) if path and type(parent) is list else Touch(path)
            return Stage(tree, remove(tree, path), [touch])


# What the last change of a path may be.


def _below(path: Path, above: Path) -> bool:
    return path[: len(above)] == above


def _touched(path: Path, touch: Touch) -> bool:
    """Whether a touch is a change of what exists at a path."""
    if touch.first is None or _below(touch.path, path):
        return _below(path, touch.path) or _below(touch.path, path)
    if not _below(path, touch.path):
        return False
    index = index_of(path[len(touch.path)])
    return index is not None and index >= touch.first


def _may_have_moved(path: Path, touch: Touch) -> bool:
    """Whether a touch may count as a change of any item of its list, although it is not one."""
    return touch.first is not None and len(path) > len(touch.path) and _below(path, touch.path)


def _list_in_between(path: Path, stage: Stage) -> bool:
    """Whether an absent path leads through an index of a list that the stage (perhaps) touched."""
    for depth, segment in enumerate(path):
        above = path[:depth]
        if index_of(segment) is None or type(lookup(stage.before, above)) is not list:
            continue
        if stage.touches is None or any(_below(above, touch.path) for touch in stage.touches):
            return True
    return False


def _differently_built(path: Path, stage: Stage) -> bool:
    """Whether something above a path is no map, or a map with other names, or in another order, than before."""
    for depth in range(len(path)):
        old, new = lookup(stage.before, path[:depth]), lookup(stage.after, path[:depth])
        if type(old) is not dict or type(new) is not dict or list(old) != list(new):
            return True
    return False


def _by_edits(path: Path, stages: list[Stage], *, exists: bool) -> tuple[bool, bool]:
    if not exists:
        # Gone in this revision, even if it was only there between two edits of it.
        gone = any(lookup(stage.before, path) is not MISSING for stage in stages)
        return gone, any(_list_in_between(path, stage) for stage in stages)
    touches = [touch for stage in stages for touch in stage.touches or ()]
    return any(_touched(path, touch) for touch in touches), any(_may_have_moved(path, touch) for touch in touches)


def _by_restore(path: Path, stages: list[Stage], *, exists: bool) -> tuple[bool, bool]:
    (stage,) = stages
    changed = encoded(stage.before, path) != encoded(stage.after, path)
    return changed, _differently_built(path, stage) if exists else _list_in_between(path, stage)


class _Changed(Protocol):
    def __call__(self, path: Path, stages: list[Stage], *, exists: bool) -> tuple[bool, bool]: ...


@dataclass(frozen=True)
class Revision:
    """A revision: its content, and what ``last_change`` was seen to be, by path."""

    tree: Value
    timestamp: int
    bytes_at: dict[Path, bytes | None]
    last_change: dict[Path, int]
    must: frozenset[Path] = frozenset()
    may: frozenset[Path] = frozenset()
    """Paths whose last change must be this revision, and those for which it may be."""


PROBES = [(), ("a",), ("b", "0"), ("b", "5"), ("a", "b"), ("a.b", "1"), ("c", "a", "b"), ("0",), ("0", "0"), ("10", "never")]
EMPTY = Revision({}, 0, {path: values.encode({}) if path == () else None for path in PROBES}, dict.fromkeys(PROBES, 0))


@dataclass(frozen=True)
class Life:
    """One life of a state."""

    incarnation: int = 1
    revisions: tuple[Revision, ...] = (EMPTY,)
    snapshots: tuple[tuple[str, int], ...] = ()
    floor: int = 0
    between: frozenset[int] = frozenset()
    """Which revisions are left: those from the floor on, some below it, and 0."""

    @property
    def tree(self) -> Value:
        return self.revisions[-1].tree

    @property
    def revision(self) -> int:
        return len(self.revisions) - 1

    def wrote(self, stages: list[Stage], now: int) -> "Life":
        """Give the life with a revision of edits."""
        after = stages[-1].after
        return self._with(after, now, stages, _by_edits)

    def restored(self, after: Value, now: int) -> "Life":
        """Give the life with a revision that brought a content back."""
        return self._with(after, now, [Stage(self.tree, after, None)], _by_restore)

    def _with(self, after: Value, now: int, stages: list[Stage], changed: _Changed) -> "Life":
        known = dict.fromkeys(self.revisions[-1].bytes_at)
        for tree in (*(stage.before for stage in stages), after):
            known.update(dict.fromkeys(paths_of(tree)))
        bytes_at = {path: encoded(after, path) for path in known}
        must, may = set(), set()
        for path in known:
            certainly, possibly = changed(path, stages, exists=bytes_at[path] is not None)
            if certainly:
                must.add(path)
            elif possibly:
                may.add(path)
        timestamp = max(now, self.revisions[-1].timestamp)
        revision = Revision(after, timestamp, bytes_at, {}, frozenset(must), frozenset(may))
        return replace(self, revisions=(*self.revisions, revision))

    def has(self, revision: int) -> bool:
        """Whether a revision was reached, and is left."""
        return revision <= self.revision and (revision == 0 or revision >= self.floor or revision in self.between)

    def at_time(self, time: int) -> int:
        """Give the last revision made at or before a time."""
        return max((n for n, revision in enumerate(self.revisions) if n and revision.timestamp <= time), default=0)


class PointOf(NamedTuple):
    """One revision of one life of one state."""

    state_id: str
    incarnation: int
    revision: int


@dataclass(frozen=True)
class Mark:
    """A checkpoint."""

    step: int
    attempt: int
    status: int
    point: PointOf
    superseded: bool = False


@dataclass(frozen=True)
class Work:
    """A workflow."""

    attempt: int = 0
    began: PointOf | None = None
    marks: dict[tuple[int, int], Mark] = field(default_factory=dict)
    is_there: bool = False

    def live(self) -> list[Mark]:
        return [mark for order, mark in sorted(self.marks.items()) if not mark.superseded]

    def of_step(self, step: int) -> Mark | None:
        return next((mark for mark in reversed(self.live()) if mark.step == step), None)

    def last_good(self) -> Mark | None:
        return next((mark for mark in reversed(self.live()) if mark.status == 3), None)

    def marked(self, *marks: Mark) -> "Work":
        return replace(self, marks={**self.marks, **{(mark.step, mark.attempt): mark for mark in marks}})

    def back_to(self, mark: Mark) -> "Work":
        """Supersede what comes after a checkpoint, which itself counts."""
        order = (mark.step, mark.attempt)
        later = [replace(m, superseded=True) for m in self.marks.values() if (m.step, m.attempt) > order]
        return self.marked(*later, replace(mark, superseded=False))

    def continued(self, mark: Mark, point: PointOf) -> "Work":
        """Begin where another workflow's checkpoint was made; a step that was not completed there is the next one."""
        done = mark.step if mark.status == 3 else mark.step - 1
        work = replace(self, began=point)
        return work if done < 0 else work.marked(Mark(done, 0, 3, point))


@dataclass(frozen=True)
class Everything:
    """All states and workflows."""

    lives: dict[str, Life] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)

    def life(self, state_id: str) -> Life:
        return self.lives.get(state_id, Life())

    def work(self, workflow_id: str) -> Work:
        return self.works.get(workflow_id, Work())

    def with_life(self, state_id: str, life: Life) -> "Everything":
        return replace(self, lives={**self.lives, state_id: life})

    def with_work(self, workflow_id: str, work: Work) -> "Everything":
        if work == self.work(workflow_id):
            return self
        return replace(self, works={**self.works, workflow_id: replace(work, is_there=True)})

    def without_work(self, workflow_id: str) -> "Everything":
        """Delete a workflow. No attempt of before may write again, and no attempt's number comes again."""
        return replace(self, works={**self.works, workflow_id: Work(attempt=self.work(workflow_id).attempt + 1)})
