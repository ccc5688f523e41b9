"""Numbers of bytes as people write them: ``4096``, ``512KB``, ``1GiB``."""

import re
from decimal import Decimal

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_IN_CAPITALS = {"": 1, **{unit.upper(): size for unit, size in UNITS.items()}}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([A-Za-z]*)", re.ASCII)


def size_of(text: str) -> int | None:
    """Return how many bytes a text says; None where it is no size."""
    found = _SIZE.fullmatch(text.strip())
    unit = _IN_CAPITALS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        return None
    return int(Decimal(found[1]) * unit)
