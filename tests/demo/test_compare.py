"""When two contents are exactly the same."""

from typing import Any

import pytest

from lastgood.demo.compare import first_difference


@pytest.mark.parametrize("content", [{}, {"a": {"b": [1, 2.5, None, b"x", {"c": "d"}]}, "e": []}])
def test_the_same_has_no_difference(content: dict[str, Any]) -> None:
    assert first_difference(content, content) is None


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"a": 1}, {"a": 2}, "/a: 1, not 2"),
        ({"a": 1}, {"a": True}, "/a: int, not bool"),
        ({"a": 1}, {"a": 1.0}, "/a: int, not float"),
        ({"a": {}}, {"a": []}, "/a: dict, not list"),
        ({"a": 1}, {}, "the whole: only one of them has 'a'"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "the whole: the same keys in another order"),
        ({"a": {"b": {"x": 1, "y": 2}}}, {"a": {"b": {"y": 2, "x": 1}}}, "/a/b: the same keys in another order"),
        ({"a": [1, 2]}, {"a": [1]}, "/a: 2 items, not 1"),
        ({"a": [1, {"b": "c"}]}, {"a": [1, {"b": "d"}]}, "/a/1/b: 'c', not 'd'"),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "/b: 2, not 3"),
    ],
)
def test_names_the_first_difference(one: dict[str, Any], other: dict[str, Any], said: str) -> None:
    assert first_difference(one, other) == said
