"""Values and ids as text for people: on one line, and shortened in the middle.

Beginning and end are what tells two values apart most often; where they do not, ``pair`` shows the place that does.
"""

import json
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.cells import cell_len

from lastgood import ExecutionMetrics
from lastgood.cli.jsonform import time_text
from lastgood.cli.terminal import plain

_ELLIPSIS = "…"
_COMPARED = 1_024
"""So many characters of two values, from either end, are looked at to find where they differ."""
_ITEMS = 16
_LEAD = 8
"""So many characters before the first difference are shown with it."""


def metrics(spent: ExecutionMetrics | None) -> str:
    """Give what work has cost: ``1,200 tokens, cost 0.5``."""
    if spent is None:
        return ""
    tokens = f"{spent.total_tokens:,} tokens" if spent.total_tokens else ""
    cost = f"cost {spent.total_cost:,.4g}" if spent.total_cost else ""
    return ", ".join(filter(None, (tokens, cost)))


def middle(text: str, width: int) -> str:
    """Give a text in so many cells of a terminal: the middle gives way to an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[:width]
    tail = (width - 1) // 2
    return f"{_first(text, width - 1 - tail)}{_ELLIPSIS}{_last(text, tail)}"


def value(content: Any, width: int) -> str:  # noqa: ANN401 - any value of the model
    """Give a value in so many cells of a terminal."""
    return middle(_text(content, max(width, 1)), width)


def beside(content: Any, other: Any, width: int) -> str:  # noqa: ANN401 - any values of the model
    """Return a value in so many cells, so that it can be seen where it differs from another that is shown near it."""
    whole = _text(content, max(width, 1))
    if cell_len(whole) <= width:
        return whole
    text, near = _text(longest_first(content), _COMPARED), _text(longest_first(other), _COMPARED)
    same = _same(text, near)
    if same + _LEAD <= width // 2:
        return middle(text, width)
    begin = max(same - min(_LEAD, width // 4), 0)
    told = (_ELLIPSIS if begin else "") + text[begin:]
    return told if cell_len(told) <= width else _first(told, width - 1) + _ELLIPSIS


def longest_first(content: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Return maps, also those of a list, with their longest values first: the short ones, such as a role, repeat."""
    if isinstance(content, list):
        return [longest_first(each) for each in content[:_ITEMS]] + content[_ITEMS:]
    if not isinstance(content, dict):
        return content
    return dict(sorted(content.items(), key=lambda item: -len(_text(item[1], _COMPARED))))


def pair(old: Any, new: Any, width: int) -> tuple[str, str]:  # noqa: ANN401 - any values of the model
    """Give two values that differ in so many cells together, so that it can be seen where they differ."""
    before, after = _text(old, width), _text(new, width)
    if cell_len(before) + cell_len(after) > width:
        half = width // 2
        left = max(half, width - cell_len(after))
        right = max(width - half, width - cell_len(before))
        shown = middle(before, left), middle(after, right)
        if _tells_apart(*shown):
            return shown
        before, after = _from_difference(_text(old, None), _text(new, None))
        return middle(before, half), middle(after, width - half)
    return before, after


def _tells_apart(old: str, new: str) -> bool:
    """Whether two shortened texts show a difference at either end."""
    head = min(len(text.partition(_ELLIPSIS)[0]) for text in (old, new))
    tail = min(len(text.rpartition(_ELLIPSIS)[2]) for text in (old, new))
    return old[:head] != new[:head] or old[len(old) - tail :] != new[len(new) - tail :]


def _from_difference(old: str, new: str) -> tuple[str, str]:
    same = _same(old, new)
    begin = max(same - _LEAD, 0)
    mark = _ELLIPSIS if begin else ""
    return mark + old[begin:], mark + new[begin:]


def _same(one: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _text(content: Any, enough: int | None) -> str:  # noqa: ANN401 - any value of the model
    """The whole text of a value; only its ends need to be right, so far as ``enough`` characters."""
    return plain("".join(_parts(content, enough)))


def _parts(content: Any, enough: int | None) -> list[str]:  # noqa: ANN401 - any value of the model
    match content:
        case dict():
            items = _ends(list(content.items()), enough)
            inside = ([*_parts(key, enough), ": ", *_parts(child, enough)] for key, child in items)
            return ["{", *_joined(inside), "}"]
        case list():
            return ["[", *_joined(_parts(child, enough) for child in _ends(content, enough)), "]"]
        case str():
            return [json.dumps(_ends(content, enough), ensure_ascii=False)]
        case _:
            return [_scalar(content, enough)]


def _scalar(content: Any, enough: int | None) -> str:  # noqa: ANN401 - any value of the model
    match content:
        case bytes():
            return f"<{len(content):,} bytes{':' if content else ''} {_ends(content, enough).hex()}".rstrip() + ">"
        case datetime():
            return time_text(content)
        case float() if not math.isfinite(content):
            return str(content)
        case _:
            return json.dumps(content)


def _ends(long: Any, enough: int | None) -> Any:  # noqa: ANN401 - a str, bytes or list
    """Leave the middle out of what is long: it would not be seen, each of its parts being a character at least."""
    if enough is None or len(long) <= 2 * enough:
        return long
    return long[:enough] + long[-enough:]


def _joined(groups: Iterable[list[str]]) -> list[str]:
    parts: list[str] = []
    for group in groups:
        if parts:
            parts.append(", ")
        parts += group
    return parts


def _first(text: str, width: int) -> str:
    head = text[:width]
    while cell_len(head) > width:
        head = head[:-1]
    return head


def _last(text: str, width: int) -> str:
    if width <= 0:
        return ""
    tail = text[-width:]
    while cell_len(tail) > width:
        tail = tail[1:]
    return tail
