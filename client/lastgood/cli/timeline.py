"""The lines of ``lastgood history``: who wrote what, and when, and where it was rolled back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from lastgood import Difference, HistoryEntry
from lastgood.cli import shorten
from lastgood.cli.render import DIM, SIGNS, STYLES, Cell, Page, Row
from lastgood.cli.terminal import plain

ROLLBACK = "⟲"

_SINGLE = frozenset({"set", "increment", "delete"})
"""Operations that write at their path and nowhere else, and of which the value there says what they did."""
_NAMED = 3
_LEAST = 24
"""In less room than that a value says nothing."""
_ALL = "(all)"
_LARGE = "(a large value)"


def is_compound(entry: HistoryEntry) -> bool:
    """Whether what it did is seen by comparing it with the revision before, and not by its value."""
    return entry.operation not in _SINGLE | {"fork", "redact"}


def show(page: Page, entries: Sequence[HistoryEntry], changes: Mapping[int, list[Difference]], *, whole: bool) -> None:
    """Print the lines.

    Args:
        page: where.
        entries: in the order wanted.
        changes: what compound ones have changed, by revision.
        whole: whether it is the history of the whole state, and not that of one path.
    """
    rows: list[Row] = []
    near = _neighbours([_shown(entry, changes.get(entry.revision), whole=whole) for entry in entries])
    told = {entry.revision: other for entry, other in zip(entries, near, strict=True)}
    attempts = any(entry.attempt for entry in entries)
    for day, of_the_day in groupby(entries, lambda entry: day_of(entry.timestamp)):
        rows.append(day_row(day))
        rows += [
            _row(entry, changes.get(entry.revision), told[entry.revision], whole=whole, attempts=attempts)
            for entry in of_the_day
        ]
    page.rows(rows, right=[0], soft=[2])


def day_of(time: datetime) -> str:
    """Give the day, in local time."""
    local = time.astimezone()
    zone = local.isoformat()[-len("+00:00") :]
    return f"{local:%Y-%m-%d}, {'UTC' if zone == '+00:00' else f'UTC{zone}'}"


def day_row(day: str) -> Row:
    """Give the line above what happened on a day."""
    return Row([], lambda _: Text(day), DIM)


def time_cell(time: datetime) -> Cell:
    """Give the time of day."""
    return Cell(f"{time.astimezone():%H:%M:%S}", DIM)


class _Shown(NamedTuple):
    """The value that a line shows, and the place of it."""

    path: str
    value: object


def _shown(entry: HistoryEntry, changes: list[Difference] | None, *, whole: bool) -> _Shown | None:
    if whole and changes is not None:
        if len(changes) != 1 or changes[0].kind == "removed":
            return None
        added = _appended(changes[0])
        return _Shown(changes[0].path, changes[0].new if added is None else added)
    return _Shown(entry.path if whole else "", entry.value) if entry.existed and entry.carried else None


def _neighbours(shown: Sequence[_Shown | None]) -> list[_Shown | None]:
    """Return for each line the one that it must be told apart from: the one before it with the same place, or after it."""
    found: list[_Shown | None] = [None] * len(shown)
    last: dict[str, int] = {}
    for number, each in enumerate(shown):
        if each is None:
            continue
        before = last.get(each.path)
        if before is not None:
            found[number] = shown[before]
            found[before] = found[before] or each
        last[each.path] = number
    return found


def _row(entry: HistoryEntry, changes: list[Difference] | None, near: _Shown | None, *, whole: bool, attempts: bool) -> Row:
    rollback = entry.operation == "restore"
    cells = [
        Cell(str(entry.revision), "bold"),
        time_cell(entry.timestamp),
        Cell(entry.agent_id or "-", "cyan"),
        *([Cell(_attempt(entry), DIM)] if attempts else []),
        Cell(f"{ROLLBACK} {entry.operation}" if rollback else entry.operation),
    ]
    return Row(cells, lambda width: _what(entry, changes, near, width, whole=whole), "bold yellow" if rollback else "")


def _attempt(entry: HistoryEntry) -> str:
    if entry.attempt is None:
        return ""
    return f"#{entry.attempt}" if entry.step is None else f"#{entry.attempt} step {entry.step}"


def _what(entry: HistoryEntry, changes: list[Difference] | None, near: _Shown | None, width: int, *, whole: bool) -> Text:
    told = Text(_origin(entry, whole=whole))
    room = max(width - told.cell_len, 0)
    if not whole:
        told.append_text(Text(_value(entry, near, room)) if entry.existed else Text("(nothing)", "red"))
    elif changes is not None:
        told.append_text(_named(changes, near, room))
    elif entry.operation == "redact":
        told.append("a text was replaced in all revisions up to here", DIM)
    elif entry.operation != "fork":
        told.append_text(_written(entry, near, room) if entry.existed else _sign("removed", entry.path))
    told.truncate(width, overflow="ellipsis")
    return told


def _origin(entry: HistoryEntry, *, whole: bool) -> str:
    """Where a rollback went back to, and what a fork was made of."""
    source = entry.source
    if source is None:
        return ""
    if entry.operation == "fork":
        return f"of {plain(source.state_id)} at revision {source.revision}"
    there = "" if source.state_id == entry.snapshot.state_id else f" of {plain(source.state_id)}"
    what = f"{plain(entry.path)} " if whole and entry.path else ""
    return f"{what}back to revision {source.revision}{there}: "


def _named(changes: list[Difference], near: _Shown | None, width: int) -> Text:
    """Say what has changed: one place with its value, of several as many as there is room for."""
    if not changes:
        return Text("nothing changed", DIM)
    [first, *others] = changes
    if not others and first.kind != "removed":
        added = _appended(first)
        if width > _LEAST:
            return _assigned(
                first.path, first.new if added is None else added, near, width, sign="=" if added is None else "+"
            )
        if added is not None and near is not None:
            return Text(f"+ {shorten.beside(added, near.value, width - 2)}")  # the place is that of its neighbour
    listed = [_listed(changes, count) for count in range(min(_NAMED, len(changes)), 0, -1)]
    in_short = Text(f"{len(changes):,} change{'s' if others else ''}")
    return next((line for line in listed if line.cell_len <= width), in_short)


def _appended(change: Difference) -> list[Any] | None:
    """Return the items that a list has got at its end, where nothing else of it has changed."""
    old, new = change.old, change.new
    if change.kind != "changed" or not isinstance(old, list) or not isinstance(new, list) or len(new) <= len(old):
        return None
    return new[len(old) :] if new[: len(old)] == old else None


def _assigned(path: str, value: object, near: _Shown | None, width: int, *, sign: str) -> Text:
    named = _place(path, width, sign)
    return Text(f"{named}{_told(value, near, width - cell_len(named))}")


def _written(entry: HistoryEntry, near: _Shown | None, width: int) -> Text:
    named = _place(entry.path, width)
    return Text(f"{named}{_value(entry, near, width - cell_len(named))}")


def _place(path: str, width: int, sign: str = "=") -> str:
    return f"{shorten.middle(plain(path) or _ALL, width // 2)} {sign} "


def _told(value: object, near: _Shown | None, width: int) -> str:
    return shorten.value(value, width) if near is None else shorten.beside(value, near.value, width)


def _value(entry: HistoryEntry, near: _Shown | None, width: int) -> str:
    return _told(entry.value, near, width) if entry.carried else _LARGE


def _listed(changes: list[Difference], count: int) -> Text:
    line = Text(", ").join(_sign(each.kind, each.path) for each in changes[:count])
    more = len(changes) - count
    return line.append(f" and {more:,} more", DIM) if more > 0 else line


def _sign(kind: str, path: str) -> Text:
    return Text(f"{SIGNS[kind]} {plain(path)}", STYLES[kind])
