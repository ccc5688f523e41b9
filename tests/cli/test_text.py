"""Values as JSON and back, and as short text."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lastgood.cli import jsonform, render, shorten, terminal
from lastgood_proto import values

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is next to it
)
keys = st.one_of(st.sampled_from(["$bytes", "$datetime", "$float", "$map"]), st.text(min_size=1))
contents = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(keys, inner, max_size=3)), max_leaves=20
)


@given(contents)
def test_json_and_back(content: object) -> None:
    written = json.dumps(jsonform.to_json(content))

    assert values.encode(jsonform.from_json(written)) == values.encode(content)


def test_times_keep_their_moment() -> None:
    moment = datetime(2026, 11, 23, 7, 50, tzinfo=timezone(timedelta(hours=2)))

    assert jsonform.to_json(moment) == {"$datetime": "2026-11-23T05:50:00Z"}
    assert jsonform.from_json('{"$datetime": "2026-11-23T07:50:00+02:00"}') == moment


@given(st.text())
def test_plain_text_is_one_line_that_no_terminal_obeys(text: str) -> None:
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in terminal.plain(text))
    assert len(terminal.plain(text).splitlines()) <= 1


def test_words_of_other_scripts_stay_as_they_are() -> None:
    for text in ("日本語", "naïve café", "👩\u200d👧", "नहीं\u200cतो", "non\u00a0breaking"):
        assert terminal.plain(text) == text


@given(st.text(alphabet="ab日本👧 "), st.integers(0, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = shorten.middle(text, width)

    assert cell_len(short) <= width
    assert short == text if cell_len(text) <= width else width == 0 or "…" in short


@given(contents, st.integers(1, 60))
def test_a_shortened_value_is_the_shortened_text_of_all_of_it(content: object, width: int) -> None:
    assert shorten.value(content, width) == shorten.middle(shorten.value(content, 10**6), width)


@given(contents, contents, st.integers(20, 60))
def test_a_pair_fits(old: object, new: object, width: int) -> None:
    assert sum(map(cell_len, shorten.pair(old, new, width))) <= width


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, '{"a": [1, 2.5, null, true, "x"]}'),
        (b"\x00\xff", "<2 bytes: 00ff>"),
        (b"", "<0 bytes>"),
        (datetime(2026, 11, 23, 5, 50, tzinfo=UTC), "2026-11-23T05:50:00Z"),
        ([math.nan, math.inf, -math.inf], "[nan, inf, -inf]"),
        ("\x1b[2J\n\u202e", '"\\u001b[2J\\n\\u202e"'),
    ],
)
def test_how_values_look(content: Any, text: str) -> None:  # noqa: ANN401 - any value
    assert shorten.value(content, 80) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["x" * 500], ["x" * 250 + "y" + "x" * 249]),
        (list(range(10_000)), [*range(5_000), 0, *range(5_001, 10_000)]),
        ("x" * 500, "x" * 501),
        ({"a": "x" * 500, "b": 1, "c": "x" * 500}, {"a": "x" * 500, "b": 2, "c": "x" * 500}),
    ],
)
def test_a_pair_shows_where_it_differs(old: object, new: object) -> None:
    before, after = shorten.pair(old, new, 60)

    assert before != after
    assert cell_len(before) + cell_len(after) <= 60


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (864000, "10d")],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert render.age(seconds) == said
