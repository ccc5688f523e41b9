"""Values, paths and edits as hypothesis makes them up, the awkward ones more often than life does."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from lastgood_proto.paths import Path

NAMES = ("a", "b", "c", "a.b", "c\\d", "0", "1", "01", "10", "é", " ")
"""Names of maps: few, so that they meet; with dots and backslashes, and some that look like indexes of lists."""

SCALARS = (
    None,
    False,
    True,
    0,
    1,
    2,
    -1,
    0.0,
    -0.0,
    1.0,
    2**63 - 1,
    -(2**63),
    float("inf"),
    float("nan"),
    "",
    "a",
    "0",
    b"",
    b"a",
)
MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)

names = st.sampled_from(NAMES)
scalars = st.sampled_from((*SCALARS, MOMENT))


def _grown(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=4) | st.dictionaries(names, children, max_size=4)


_small = st.recursive(scalars, _grown, max_leaves=8)
_big = st.sampled_from(
    (
        list(range(12)),
        {f"n{n}": n for n in range(20)},
        {"a": {"b": [[{"c": [1, {"0": []}]}]], "c": {"a": {"b": {"c": None}}}}, "b": [[], [[]], {}]},
    )
)
values: st.SearchStrategy[Any] = st.one_of(_small, _small, _small, _small, _big)
maps: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, values, max_size=5)
paths: st.SearchStrategy[Path] = st.lists(names, max_size=4).map(tuple)
