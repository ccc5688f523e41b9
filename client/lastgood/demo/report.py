"""What is shown at the end: the timeline, what the rollback undid, and the report of the agents."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lastgood import Difference
from lastgood.demo.timeline import Timeline

_STYLES = {"written": "", "undone": "red", "rollback": "bold yellow", "checkpoint": "green", "effect": "cyan"}
_EXAMPLES = 2
"""Of each kind of difference."""
_CELL_WIDTH = 23
_GAP = (0, 2, 0, 0)


def show_timeline(console: Console, timeline: Timeline, began: datetime) -> None:
    """Print who wrote what, and where the rollback was; times are seconds since ``began``."""
    table = Table(title="Who wrote what", title_justify="left", title_style="bold", box=None, padding=_GAP)
    for name in ("revision", "time", "agent", "attempt", "step", "operation", "what"):
        table.add_column(name, justify="right" if name in {"revision", "time"} else "left", no_wrap=name != "what")
    for row in timeline.rows:
        first, last = row.revisions or ("", "")
        revisions = str(last) if first == last else f"{first}-{last}"
        seconds = f"{(row.when - began).total_seconds():.2f}"
        step = "" if row.step is None else str(row.step)
        cells = revisions, seconds, row.agent, str(row.attempt or ""), step, row.operation, row.what
        table.add_row(*map(Text, cells), style=_STYLES[row.kind])
    console.print()
    console.print(table)


def show_undone(console: Console, timeline: Timeline) -> None:
    """Print what the rollback changed, with examples, and what it could not."""
    counts = Counter(difference.kind for difference in timeline.differences)
    console.print()
    console.print(
        Text(f"What the rollback undid: {timeline.undone} revisions of garbage", "bold"),
        Text(
            f"{counts['added']} values that were deleted are back, {counts['changed']} that were overwritten are as before, "
            f"{counts['removed']} that were made up are gone."
        ),
        sep="\n",
    )
    table = Table.grid(padding=_GAP)
    for difference in _examples(timeline.differences):
        old = "(deleted)" if difference.kind == "added" else repr(difference.old)
        new = "(gone)" if difference.kind == "removed" else repr(difference.new)
        table.add_row(_cut(difference.path), _cut(old, "red"), "→", _cut(new, "green"))
    console.print(table)
    console.print("All of it stays in the history.", style="dim")
    for effect in timeline.effects:
        console.print()
        console.print(
            Text(f"What the rollback could not undo: {effect.key}, made in attempt {effect.attempt}", "bold"),
            Text(f"Its result is {effect.status} under key {effect.idempotency_key}. Runs: {effect.runs}."),
            sep="\n",
        )


def _examples(differences: Iterable[Difference]) -> list[Difference]:
    shown: Counter[str] = Counter()
    examples: list[Difference] = []
    for difference in differences:
        shown[difference.kind] += 1
        if shown[difference.kind] <= _EXAMPLES:
            examples.append(difference)
    return examples


def _cut(text: str, style: str = "") -> Text:
    cell = Text(text, style)
    cell.truncate(_CELL_WIDTH, overflow="ellipsis")
    return cell


def show_report(console: Console, report: dict[str, Any]) -> None:
    """Print what the agents have found out."""
    console.print()
    console.rule(Text(report["title"], "bold"))
    for finding in report["findings"]:
        console.print(Text(finding))
    for tables in _side_by_side([_table(content) for content in report["tables"]], console):
        console.print()
        console.print(tables)


def _table(content: dict[str, Any]) -> Table:
    title = Text(content["title"], "bold")
    table = Table(title=title, title_justify="left", box=None, padding=_GAP, header_style="dim", pad_edge=False)
    for index, name in enumerate(content["columns"]):
        numbers = any(isinstance(row[index], int) for row in content["rows"])
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for row in content["rows"]:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else Text(cell) for cell in row))
    return table


def _side_by_side(tables: Iterable[Table], console: Console) -> list[Table]:
    """Put as many next to each other as there is room for."""
    rows: list[list[Table]] = []
    room = 0
    for table in tables:
        needed = console.measure(table).maximum + 3
        if not rows or needed > room:
            rows.append([])
            room = console.width + 3
        rows[-1].append(table)
        room -= needed
    grids: list[Table] = []
    for row in rows:
        grid = Table.grid(padding=(0, 3, 0, 0))
        grid.add_row(*row)
        grids.append(grid)
    return grids
