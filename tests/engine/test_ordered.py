"""A persistent mapping in the order of its keys is like a sorted dict, and leaves its earlier versions as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood_daemon.engine import ordered
from lastgood_daemon.engine.ordered import Ordered

KEYS = st.integers(0, 40)
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers()))


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordered, "RUN", 3)
        yield


def check(there: Ordered[int, int], model: dict[int, int]) -> None:
    assert list(there) == sorted(model)
    assert list(there.values()) == [model[key] for key in sorted(model)]
    assert len(there) == len(model)
    for key in range(-1, 42):
        assert (key in there, there.get(key)) == (key in model, model.get(key))
        assert list(there.values_from(key)) == [model[each] for each in sorted(model) if each >= key]
        assert there.floor(key) == next((model[each] for each in sorted(model, reverse=True) if each <= key), None)
    assert there.last() == (model[max(model)] if model else None)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, st.integers()), CHANGES)
def test_it_is_like_a_sorted_dict(model: dict[int, int], changes: list[tuple[int, int | None]]) -> None:
    there = first = Ordered(model.items())
    check(there, model)
    original = dict(model)
    for key, value in changes:
        if value is None:
            model.pop(key, None)
            there = there.delete(key)
        else:
            model[key] = value
            there = there.set(key, value)
    check(there, model)
    check(first, original)
