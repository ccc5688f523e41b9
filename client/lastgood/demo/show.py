"""What is shown while the agents work: a line for whatever happens, and on a terminal a bar for each run."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text


class Show:
    """Lines with the seconds since it was made; used as a context manager, with bars below them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = datetime.now(UTC)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return (datetime.now(UTC) - self.began).total_seconds()

    def __enter__(self) -> Self:
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._bars.stop()

    def say(self, who: str, what: str, style: str = "") -> None:
        """Add a line."""
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(width=7, justify="right", style="dim")
        line.add_column(width=11, style="bold")
        line.add_column()
        line.add_row(f"{self.seconds:.2f} s", Text(who), Text(what, style))
        self.console.print(line)

    def bar(self, name: str, total: int) -> Callable[[int], None]:
        """Add a bar, and give what moves it."""
        task = self._bars.add_task(name, total=total)
        return lambda done: self._bars.update(task, completed=done)
