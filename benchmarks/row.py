"""What a measurement comes to: a line of the table."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line: the median of the rounds, the lowest and the highest of them, and what the median may be at most."""

    name: str
    value: float
    low: float
    high: float
    target: float | None
    """Nothing where the line only stands beside another one, to compare."""
    unit: str = "×"
    what: str = ""
    """How it came about: counts and sizes."""

    @property
    def is_met(self) -> bool:
        """Whether the target is reached."""
        return self.target is None or self.value <= self.target


def row(name: str, rounds: Sequence[float], target: float | None, unit: str = "×", what: str = "") -> Row:
    """Make the line of some rounds."""
    return Row(name, statistics.median(rounds), min(rounds), max(rounds), target, unit, what)


def show(rows: Iterable[Row]) -> None:
    """Print lines of the table."""
    for each in rows:
        target = "" if each.target is None else f"≤ {_number(each.target)} {each.unit}"
        verdict = "" if each.target is None else "met" if each.is_met else "MISSED"
        spread = f"({_number(each.low)} – {_number(each.high)})" if each.low != each.high else ""
        value = f"{_number(each.value)} {each.unit}"
        print(f"{each.name:<58} {value:>11} {spread:<19} {target:>11} {verdict:<7} {each.what}".rstrip(), flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - as many digits as tell something
