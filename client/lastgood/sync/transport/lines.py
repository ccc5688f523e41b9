"""Lines that somebody hands over."""

from collections.abc import Iterable

LINES = (Iterable,)
"""What can give them."""


def each_of(lines: Iterable[str]) -> Iterable[str]:
    """Go through them."""
    return lines
