"""A line that is read a little at a time says what it says when it is read at once."""

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.engine.portable import line
from lastgood_daemon.engine.portable.line import parsed
from lastgood_proto.jsonform import NotAValueError, parse

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(scalars, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=30)


@given(
    document=documents, window=st.sampled_from([4, 7, 16, 60]), ascii_only=st.booleans(), indent=st.sampled_from([None, 1])
)
def test_a_line_is_read_in_a_window_as_at_once(
    document: Any,  # noqa: ANN401 - whatever JSON can say
    window: int,
    ascii_only: bool,
    indent: int | None,
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    with mock.patch.object(line, "WINDOW", window):
        found = parsed(text.encode())
    assert json.dumps(found) == json.dumps(document)


@given(document=documents, window=st.sampled_from([4, 7, 16]), cut=st.integers(0, 200), put=st.sampled_from('[]{},:"\\1n '))
def test_what_is_no_json_is_refused_in_a_window_as_at_once(
    document: Any,  # noqa: ANN401 - whatever JSON can say
    window: int,
    cut: int,
    put: str,
) -> None:
    text = json.dumps(document)
    text = text[:cut] + put + text[cut + 1 :]
    try:
        expected = parse(text)
    except NotAValueError:
        with mock.patch.object(line, "WINDOW", window), pytest.raises(NotAValueError):
            parsed(text.encode())
        return
    with mock.patch.object(line, "WINDOW", window):
        assert json.dumps(parsed(text.encode())) == json.dumps(expected)


@pytest.mark.parametrize("text", ['{"a": 1, "bbbbbb": [1, 2], "a": 2}', "[1, 2, 3, NaN, 4, 5]", "[1, 1e999, 2, 3, 4, 5, 6]"])
def test_what_parse_refuses_is_refused(text: str) -> None:
    with mock.patch.object(line, "WINDOW", 8), pytest.raises(NotAValueError):
        parsed(text.encode())
