r"""api.md, "Paths"."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.verbs import CONTENT

from lastgood import Client, PathError, SharedState, join


async def test_segments_are_joined_by_dots(state: SharedState) -> None:
    await state.set("a.b.c", 1)
    assert await state.to_dict() == {"a": {"b": {"c": 1}}}


async def test_a_literal_dot_or_backslash_is_escaped_with_a_backslash(state: SharedState) -> None:
    await state.set(r"a\.b.c\\d", 1)
    assert await state.to_dict() == {"a.b": {"c\\d": 1}}
    assert await state.get(r"a\.b") == {"c\\d": 1}
    assert not await state.exists("a")
    assert await state.delete(r"a\.b.c\\d")


def test_join_builds_a_path() -> None:
    assert join("a.b", "c") == r"a\.b.c"
    assert join("a") == "a"
    assert join("back\\slash", ".") == r"back\\slash.\."
    assert join() == ""


@pytest.mark.parametrize("segments", [("",), ("a", ""), ("a", 1), (None,), ("\ud800",)])
def test_join_refuses_what_is_no_segment(segments: tuple[str, ...]) -> None:
    with pytest.raises(PathError):
        join(*segments)


ODD = [
    " ",
    "a b",
    "ä",
    "日本",
    "\U0001f600",
    "\n",
    "\x00",
    "0",
    "-1",
    "01",
    "a/b",
    "*",
    "[0]",
    "'",
    '"',
    "%",
    "__proto__",
    "\ufeff",
]


@pytest.mark.parametrize("key", [*ODD, ".", "\\", "..", "\\.", "a.", ".a"])
async def test_any_key_can_be_a_segment(state: SharedState, key: str) -> None:
    await state.set(join("m", key, "x"), 1)
    assert await state.to_dict() == {"m": {key: {"x": 1}}}
    assert await state.keys("m") == [key]
    (entry,) = await state.get_history(join("m", key))
    assert (entry.path, entry.value) == (join("m", key), {"x": 1})
    assert (await state.diff(0))[0].new == {key: {"x": 1}}
    await state.set(join("m", key, "x"), 2, expected={join("m", key): 1})
    (difference,) = await state.diff(1)
    assert difference.path == join("m", key, "x")
    await state.restore(1, paths=[join("m", key)])
    assert await state.delete(join("m", key))
    assert await state.to_dict() == {"m": {}}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), min_size=1, max_size=5))
async def test_join_and_the_daemon_agree(client: Client, state_id: str, segments: list[str]) -> None:
    state = client.state(state_id)
    await state.set("", {})
    await state.set(join(*segments), "here")
    found: Any = await state.to_dict()
    for segment in segments:
        assert list(found) == [segment]
        found = found[segment]
    assert found == "here"


MALFORMED = [".", "a.", ".a", "a..b", "...", "\\", "a\\", "a\\b", "a.\\", "\ud800", "a.\udfff"]


@pytest.mark.parametrize("path", MALFORMED)
async def test_malformed_paths_are_refused_and_change_nothing(state: SharedState, path: str) -> None:
    await state.set("a", 1)
    calls = [
        state.set(path, 1),
        state.update({"fine": 1, path: 1}),
        state.merge({}, path),
        state.append(path, 1),
        state.increment(path),
        state.delete(path),
        state.restore(0, paths=[path]),
        state.set("fine", 1, expected={path: 0}),
        state.get(path),
    ]
    for call in calls:
        with pytest.raises(PathError) as caught:
            await call
        assert caught.value.path == path
    assert await state.to_dict() == {"a": 1}
    assert await state.revision() == 1


@pytest.mark.parametrize("path", [None, 1, ["a"], b"a"])
async def test_a_path_is_text(state: SharedState, path: str) -> None:
    with pytest.raises(PathError):
        await state.set(path, 1)
    with pytest.raises(PathError):
        await state.get(path)


async def test_digits_under_a_list_are_an_index(state: SharedState) -> None:
    await state.set("list", [{"x": 0}, *range(1, 13)])
    assert await state.get("list.0.x") == 0
    assert await state.get("list.12") == 12
    await state.set("list.12", "last")
    await state.set("list.0.x", "first")
    assert (await state.get("list"))[0::12] == [{"x": "first"}, "last"]


@pytest.mark.parametrize(
    "segment", ["-1", "+1", "01", "00", "1.5", " 1", "1 ", "x", "٣", "1_0", "²", "99999999999999999999"]
)
async def test_what_is_no_index_under_a_list(state: SharedState, segment: str) -> None:
    content = {"list": [[], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}
    await state.set("", content)
    path = join("list", segment)
    assert await state.get(path, "default") == "default"
    assert await state.delete(path) is False
    for call in (state.set(path, "x"), state.append(path, "x"), state.set(f"{path}.below", "x"), state.merge({}, path)):
        with pytest.raises(PathError):
            await call
    assert await state.to_dict() == content
    assert await state.revision() == 1


async def test_digits_under_a_map_are_a_key(state: SharedState) -> None:
    await state.set("m.0", "zero")
    await state.set("m.01", "one")
    assert await state.to_dict() == {"m": {"0": "zero", "01": "one"}}


async def test_missing_parents_are_maps_also_where_digits_follow(state: SharedState) -> None:
    await state.set("a.0.b", 1)
    assert await state.to_dict() == {"a": {"0": {"b": 1}}}


@pytest.mark.parametrize(
    "path", ["text.x", "text.0", "number.x", "none.x", "flag.x.y", "list.1", "list.5.x", "list.x", "map.x.y"]
)
async def test_writing_where_nothing_can_be_is_refused_and_changes_nothing(state: SharedState, path: str) -> None:
    content = {**CONTENT, "none": None, "flag": True}
    await state.set("", content)
    for call in (
        state.set(path, 1),
        state.update({"fine": 1, path: 1}),
        state.merge({"a": 1}, path),
        state.append(path, 1),
        state.increment(path),
    ):
        with pytest.raises(PathError) as caught:
            await call
        assert isinstance(caught.value, ValueError)
    assert await state.get(path, "default") == "default"
    assert await state.to_dict() == content
    assert await state.revision() == 1


async def test_a_path_of_64_levels(state: SharedState) -> None:
    segments = [f"level{number}" for number in range(64)]
    path = ".".join(segments)
    await state.set(path, "deep")
    assert await state.get(path) == "deep"
    await state.append(".".join(segments[:-1]) + ".list", 1)
    await state.set(path, "deeper", expected={path: 1})
    assert [entry.value for entry in await state.get_history(path)] == ["deep", "deeper"]
    assert [difference.path for difference in await state.diff(2)] == [path]
    await state.restore(1)
    assert await state.get(path) == "deep"
    await state.restore(3, paths=[path])
    found: Any = await state.to_dict()
    for segment in segments:
        found = found[segment]
    assert found == "deeper"
    assert await (await state.fork()).get(path) == "deeper"
    assert await state.delete(path)


async def test_a_path_that_is_too_deep(state: SharedState) -> None:
    with pytest.raises(PathError):
        await state.set(".".join(["x"] * 1000), 1)
    assert await state.revision() == 0


async def test_a_value_below_a_deep_path_can_be_read_as_a_whole(state: SharedState) -> None:
    """Whatever could be written can be read: the depth of the path and of the value add up."""
    path = ".".join(["x"] * 120)
    value: object = 1
    for _ in range(100):
        value = {"y": value}
    await state.set(path, value)
    assert await state.get(path) == value
    whole = await state.to_dict()
    assert await (await state.fork()).to_dict() == whole
    await state.delete("")
    await state.restore(1)
    assert await state.to_dict() == whole
