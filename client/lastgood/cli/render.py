"""What people see: columns that fit the terminal, colours, differences.

Everything is printed as ``Text``, so that no data is ever read as markup, and has gone through ``shorten``.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, zip_longest
from typing import NamedTuple, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lastgood import Difference
from lastgood.cli import shorten
from lastgood.cli.terminal import be_lenient, plain

DIM = "bright_black"
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
STYLES = {"added": "green", "removed": "red", "changed": "yellow"}

_WIDTH = 120
"""Where it is no terminal and nothing says how wide."""
_LEAST = 20
_GAP = 2
_INDENT = 4
_ARROW = " → "


class Cell(NamedTuple):
    """A piece of text of one style; what it says need not be safe to print."""

    text: str
    style: str = ""


class Row(NamedTuple):
    """A line of columns.

    Attributes:
        cells: the columns.
        rest: gives what comes behind them, in so many cells of the terminal; it may have several lines.
        style: of all of it.
    """

    cells: Sequence[Cell]
    rest: Callable[[int], Text] | None = None
    style: str = ""


class Page:
    """Where lines are printed: a terminal, or what stands in for one."""

    def __init__(self, file: TextIO | None = None) -> None:
        """Print on standard output, or another stream."""
        file = file or sys.stdout
        be_lenient(file)
        given = file.isatty() or os.environ.get("COLUMNS", "").isdigit()
        self._console = Console(file=file, highlight=False, markup=False, emoji=False, width=None if given else _WIDTH)
        self.width = max(self._console.width, _LEAST)

    def line(self, text: Text | str = "", style: str = "") -> None:
        """Print a line, which is not broken."""
        shown = Text(plain(text)) if isinstance(text, str) else text
        self._console.print(shown, style=style, soft_wrap=True)

    def rows(
        self, rows: Sequence[Row], head: Sequence[str] = (), *, right: Iterable[int] = (), soft: Iterable[int] = ()
    ) -> None:
        """Print lines of columns.

        Args:
            rows: the lines.
            head: the names of the columns.
            right: which columns are flush right.
            soft: which columns are shortened where there is not enough room.
        """
        for text, style in _laid_out(rows, head, (frozenset(right), frozenset(soft)), self.width):
            text.rstrip()
            self._console.print(text, style=style, soft_wrap=True)

    def wrapped(self, text: Text, width: int) -> Text:
        """Break a text into lines of so many cells."""
        return Text("\n").join(text.wrap(self._console, width))

    def differences(self, differences: Sequence[Difference], most: int | None = None) -> None:
        """Print what was added, removed and changed, ``most`` of it."""
        shown = list(islice(differences, most))
        paths = [plain(each.path) for each in shown]
        column = min(max(map(cell_len, paths), default=0), self.width * 2 // 5)
        for each, path in zip(shown, paths, strict=True):
            named = shorten.middle(path, column)
            line = Text(f"{SIGNS[each.kind]} {named}", STYLES[each.kind])
            line.pad_right(column - cell_len(named) + _GAP)
            self.line(line + values_of(each, self.width - column - 2 - _GAP))
        if len(shown) < len(differences):
            self.line(f"… and {len(differences) - len(shown):,} more", DIM)


def values_of(difference: Difference, width: int) -> Text:
    """Give the values of a difference in so many cells."""
    match difference.kind:
        case "added":
            return Text(shorten.value(difference.new, width), "green")
        case "removed":
            return Text(shorten.value(difference.old, width), "red")
        case _:
            old, new = shorten.pair(difference.old, difference.new, width - len(_ARROW))
            return Text.assemble((old, "red"), (_ARROW, DIM), (new, "green"))


def moment(time: datetime | None) -> str:
    """Give a moment in local time: the time of day if it was today."""
    if time is None:
        return ""
    local = time.astimezone()
    today = datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def age(seconds: float) -> str:
    """Give a length of time in its biggest unit."""
    number = max(int(seconds), 0)
    for unit, length in (("s", 60), ("m", 60), ("h", 24)):
        if number < length:
            return f"{number}{unit}"
        number //= length
    return f"{number}d"


def size(count: int) -> str:
    """Give a number of bytes."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:  # noqa: PLR2004 - what a KiB is
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def _laid_out(
    rows: Sequence[Row], head: Sequence[str], kinds: tuple[frozenset[int], frozenset[int]], width: int
) -> Iterator[tuple[Text, str]]:
    right, soft = kinds
    safe = [[Cell(plain(cell.text), cell.style) for cell in row.cells] for row in rows]
    texts = [*([list(head)] if head else []), *([cell.text for cell in cells] for cells in safe)]
    widths = [max(map(cell_len, column)) for column in zip_longest(*texts, fillvalue="")]
    # What comes behind the columns has a right to a good part of the line.
    room = width * 3 // 5 if any(row.rest for row in rows) else width
    while sum(widths) + _GAP * len(widths) > room and soft:
        widest = max(soft, key=widths.__getitem__)
        if widths[widest] <= _LEAST // 2:
            break
        widths[widest] -= 1
    if head and sum(widths) + _GAP * (len(widths) - 1) > width:
        yield from _stacked(rows, safe, head, width)
        return
    if head:
        yield _columns([Cell(name) for name in head], widths, right), DIM
    for row, cells in zip(rows, safe, strict=True):
        line = _columns(cells, widths, right)
        indent = line.cell_len
        if row.rest is None:
            yield line, row.style
            continue
        if width - indent < _LEAST:  # there is more room below
            line.truncate(width, overflow="ellipsis")
            yield line, row.style
            indent = _INDENT
            line = Text(" " * indent)
        for text in row.rest(max(width - indent, _LEAST)).split() or [Text()]:
            line.append_text(text)
            line.truncate(width, overflow="ellipsis")
            yield line, row.style
            line = Text(" " * indent)


def _stacked(
    rows: Sequence[Row], safe: Sequence[Sequence[Cell]], head: Sequence[str], width: int
) -> Iterator[tuple[Text, str]]:
    """Give each column a line of its own, where the columns do not fit beside each other."""
    column = max(map(cell_len, head)) + _GAP
    for number, (row, cells) in enumerate(zip(rows, safe, strict=True)):
        if number:
            yield Text(), ""
        for name, cell in zip(head, cells, strict=False):
            line = Text(name, DIM)
            line.pad_right(column - cell_len(name))
            line.append(shorten.middle(cell.text, max(width - column, 1)), cell.style)
            yield line, row.style
        for text in row.rest(max(width, _LEAST)).split() if row.rest else ():
            yield text, row.style


def _columns(cells: Sequence[Cell], widths: Sequence[int], right: frozenset[int]) -> Text:
    line = Text()
    for index, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        text = shorten.middle(cell.text, width)
        room = " " * (width - cell_len(text))
        line.append(room + text if index in right else text + room, cell.style)
        line.append(" " * _GAP)
    return line
