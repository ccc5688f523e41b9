"""api.md, SharedState: diff; ``Difference``."""

from typing import Any

import pytest

from lastgood import Client, Difference, RevisionUnavailableError, SharedState


async def _differences(state: SharedState, old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    before = await state.set("", old)
    after = await state.set("", new)
    return await state.diff(before, after)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Difference("a", "changed", 1, 2)]),
        ({}, {"a": None}, [Difference("a", "added", None, None)]),
        ({"a": None}, {}, [Difference("a", "removed", None, None)]),
        ({"a": None}, {"a": 0}, [Difference("a", "changed", None, 0)]),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"x": 1, "y": {"z": 2}}}, [Difference("a.y.z", "changed", 1, 2)]),
        ({"a": [1, 2, 3]}, {"a": [1, 5, 3]}, [Difference("a", "changed", [1, 2, 3], [1, 5, 3])]),
        ({"a": {"b": {"c": 1}}}, {}, [Difference("a", "removed", {"b": {"c": 1}}, None)]),
        ({}, {"a": {"b": {"c": 1}}}, [Difference("a", "added", None, {"b": {"c": 1}})]),
        ({"a": {"b": 1}}, {"a": "text"}, [Difference("a", "changed", {"b": 1}, "text")]),
        ({"a": {"b": 1}}, {"a": {}}, [Difference("a.b", "removed", 1, None)]),
        ({"a": {}}, {"a": []}, [Difference("a", "changed", {}, [])]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a.b": {"c\\d": 1}}, {"a.b": {"c\\d": 2}}, [Difference("a\\.b.c\\\\d", "changed", 1, 2)]),
    ],
)
async def test_maps_key_by_key_and_everything_else_as_a_whole(
    state: SharedState, old: dict[str, Any], new: dict[str, Any], expected: list[Difference]
) -> None:
    assert await _differences(state, old, new) == expected


async def test_values_that_python_finds_equal_differ(state: SharedState) -> None:
    differences = await _differences(state, {"a": 1, "b": [1]}, {"a": True, "b": [1.0]})
    assert [(d.path, d.kind, repr(d.old), repr(d.new)) for d in differences] == [
        ("a", "changed", "1", "True"),
        ("b", "changed", "[1]", "[1.0]"),
    ]


async def test_without_new_it_is_now(state: SharedState) -> None:
    await state.set("a", 1)
    await state.set("a", 2)
    assert await state.diff(1) == [Difference("a", "changed", 1, 2)]
    assert await state.diff(2) == []
    assert await state.diff(0) == [Difference("a", "added", None, 2)]
    assert await state.diff(2, 1) == [Difference("a", "changed", 2, 1)]


async def test_every_way_to_name_a_content(client: Client, state: SharedState) -> None:
    await state.set("a", 1)
    snapshot = await state.snapshot()
    checkpoint = await client.checkpoints.create_checkpoint(state.state_id, 0, "a", "completed", state)
    (entry,) = await state.get_history()
    await state.set("a", 2)
    last = await state.snapshot()
    for old in (1, snapshot, checkpoint, checkpoint.state_snapshot, entry.snapshot, entry.timestamp):
        for new in (None, 2, last):
            assert await state.diff(old, new) == [Difference("a", "changed", 1, 2)]
    assert await state.revision() == 2


async def test_of_other_states(client: Client, state: SharedState) -> None:
    other = client.state(f"{state.state_id}-other", initial_data={"a": "other"})
    snapshot = await other.snapshot()
    await state.set("a", "mine")
    assert await state.diff(snapshot) == [Difference("a", "changed", "other", "mine")]
    assert await state.diff(1, snapshot) == [Difference("a", "changed", "mine", "other")]


async def test_of_a_revision_not_reached_yet(state: SharedState) -> None:
    await state.set("a", 1)
    for call in (state.diff(5), state.diff(0, 5)):
        with pytest.raises(RevisionUnavailableError):
            await call
