"""Values to draw, of all types there are, and whether two are the same."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

zones = st.one_of(
    st.just(UTC),
    st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone),
    st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")]),
)
# A day off the ends, where UTC could not express it.
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)  # noqa: DTZ001 - the zones are drawn
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**n + d for n in (5, 7, 8, 15, 16, 31, 32, 53, 62) for d in (-1, 0, 1)]),
    st.floats(),
    st.text(),
    st.binary(),
    moments,
)
keys = st.text(min_size=1)
any_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(keys, inner, max_size=20), max_leaves=25
)


def same(left: Any, right: Any) -> bool:  # noqa: ANN401 - any value
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return list(left) == list(right) and all(type(k) is str for k in left) and all(same(left[k], right[k]) for k in left)
    if type(left) is list:
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is float:
        return struct.pack(">d", left) == struct.pack(">d", right)
    if type(left) is datetime:
        # Not ==: of two zones Python calls an hour that comes twice unequal to everything (PEP 495).
        return bool(left.astimezone(UTC) == right.astimezone(UTC))
    return bool(left == right)
