"""Side effects as people see them: what went out, and of what nobody knows whether it did.

An effect that was claimed and never recorded is in doubt: its process has died in between, or its function has failed.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from rich.text import Text

from lastgood import Effect
from lastgood.cli import shorten
from lastgood.cli.render import DIM, Cell, Page, Row
from lastgood.cli.terminal import plain

_KEY = 9
"""So much of an idempotency key is shown where nobody needs to copy it."""
_DOUBT = "bold magenta"
_TOLD = {
    "recorded": "recorded",
    "failed": "failed for good",
    "done": "done, its result not stored",
}


def is_in_doubt(effect: Effect) -> bool:
    """Whether nobody knows if it has happened."""
    return effect.status == "claimed"


def mark(effect: Effect, *, under_way: bool = False) -> Cell:
    """Give the word for it."""
    if is_in_doubt(effect) and not under_way:
        return Cell("? in doubt", _DOUBT)
    return Cell("→ effect", "blue")


def told(effect: Effect, *, under_way: bool = False) -> Text:
    """Say what is known of it, in a line or two.

    The second line is what to ask the outside service by, where there is something to ask.
    """
    key, times = plain(effect.key), f"begun {effect.runs} times"
    if is_in_doubt(effect) and not under_way:
        said = Text(f"{key}: {'begun' if effect.runs == 1 else times}, its end unknown", _DOUBT)
        return said.append(f"\nkey {plain(effect.idempotency_key)}")
    said = Text(f"{key}: {'under way' if under_way else _TOLD[effect.status]}")
    if effect.failure:
        said.append(f": {plain(effect.failure)}")
    if effect.runs > 1:
        said.append(f", {times}, so perhaps more than once", "yellow")
    return said.append(f", key {shorten.middle(plain(effect.idempotency_key), _KEY)}", DIM)


def show(page: Page, effects: Sequence[Effect], most: int | None = None) -> None:
    """Print effects one below the other, ``most`` of them."""
    page.rows([_row(page, each) for each in effects[:most]])
    if most is not None and len(effects) > most:
        page.line(f"  … and {len(effects) - most:,} more", DIM)


def count(effects: Iterable[Effect]) -> str:
    """Say how many there are, and how many of them are in doubt."""
    listed = list(effects)
    doubtful = sum(map(is_in_doubt, listed))
    return f"{len(listed):,} effect{'' if len(listed) == 1 else 's'}{f', {doubtful:,} in doubt' if doubtful else ''}"


def _row(page: Page, effect: Effect) -> Row:
    return Row([Cell(f"  step {effect.step}"), mark(effect)], partial(page.wrapped, told(effect)))
