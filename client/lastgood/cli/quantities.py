"""Lengths of time and sizes, as people write them."""

import re
from datetime import timedelta
from decimal import Decimal

import typer

from lastgood_proto.sizes import UNITS, size_of

_LENGTHS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", re.ASCII)


def length(text: str) -> timedelta:
    """Read a length of time, such as ``90s`` or ``7d``."""
    number, unit = _split(text)
    if unit.lower() not in _LENGTHS:
        message = f"{text!r} is no length of time such as 90s, 15m, 12h or 7d"
        raise typer.BadParameter(message)
    try:
        return timedelta(seconds=float(number * _LENGTHS[unit.lower()]))
    except OverflowError:
        message = f"{text!r} is too long"
        raise typer.BadParameter(message) from None


def size(text: str) -> int:
    """Read a number of bytes, such as ``512KB`` or ``10MiB``."""
    found = size_of(text)
    if found is None:
        message = f"{text!r} is no size such as 4096, 512KB or 10MB"
        raise typer.BadParameter(message)
    return found


def length_text(given: timedelta) -> str:
    """Give a length of time in the biggest unit that it is whole in."""
    seconds = given.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _LENGTHS[unit] == 0:
            return f"{int(seconds) // _LENGTHS[unit]}{unit}"
    return f"{seconds:g}s"


def size_text(count: int) -> str:
    """Give a number of bytes as shortly as can be without rounding."""
    whole = [unit for unit, size in UNITS.items() if count % size == 0]
    return min((f"{count // UNITS[unit]}{unit}" for unit in whole), key=len)


def _split(text: str) -> tuple[Decimal, str]:
    found = _QUANTITY.fullmatch(text.strip())
    return (Decimal(found[1]), found[2]) if found else (Decimal(0), "?")
