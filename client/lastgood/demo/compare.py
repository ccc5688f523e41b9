"""Whether two contents are exactly the same."""

from typing import Any


def first_difference(one: Any, other: Any, path: str = "") -> str | None:  # noqa: ANN401  # any content of a state
    """Say in words what differs first between two contents; None where nothing does.

    Stricter than ``==``: types count (``1`` is not ``True``), and so does the order of the keys of a map.
    """
    where = path or "the whole"
    if type(one) is not type(other):
        return f"{where}: {type(one).__name__}, not {type(other).__name__}"
    if isinstance(one, dict):
        if one.keys() != other.keys():
            name = min(one.keys() ^ other.keys())
            return f"{where}: only one of them has {name!r}"
        if list(one) != list(other):
            return f"{where}: the same keys in another order"
        children = ((f"{path}/{key}", one[key], other[key]) for key in one)
    elif isinstance(one, list):
        if len(one) != len(other):
            return f"{where}: {len(one)} items, not {len(other)}"
        children = ((f"{path}/{index}", *pair) for index, pair in enumerate(zip(one, other, strict=True)))
    else:
        return None if one == other else f"{where}: {one!r}, not {other!r}"
    return next(filter(None, (first_difference(mine, its, place) for place, mine, its in children)), None)
