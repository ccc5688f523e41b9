"""api.md, SharedState: ``expected``."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.api.verbs import CONTENT

from lastgood import (
    Client,
    InvalidArgumentError,
    PathError,
    Retention,
    RevisionConflictError,
    SharedState,
    StateNotFoundError,
    Transaction,
)

Expected = int | dict[str, int]

GUARDED: dict[str, Callable[[SharedState, Expected], Awaitable[object]]] = {
    "set": lambda state, expected: state.set("text", "new", expected=expected),
    "update": lambda state, expected: state.update({"text": "new", "map.y": 2}, expected=expected),
    "merge": lambda state, expected: state.merge({"map": {"y": 2}}, expected=expected),
    "append": lambda state, expected: state.append("list", "b", expected=expected),
    "increment": lambda state, expected: state.increment("number", expected=expected),
    "delete": lambda state, expected: state.delete("map", expected=expected),
    "restore": lambda state, expected: state.restore(1, expected=expected),
}


async def _two_revisions(state: SharedState) -> None:
    """Revision 1 is the content, and revision 2 changes nothing of it but ``other``."""
    await state.set("", CONTENT)
    await state.set("other", 1)


@pytest.mark.parametrize("verb", GUARDED)
async def test_the_state_must_be_at_that_revision(state: SharedState, verb: str) -> None:
    await _two_revisions(state)
    before = await state.to_dict()
    for stale in (0, 1, 3):
        with pytest.raises(RevisionConflictError) as caught:
            await GUARDED[verb](state, stale)
        assert (caught.value.path, caught.value.expected, caught.value.actual) == (None, stale, 2)
        assert await state.revision() == 2
        assert await state.to_dict() == before
    await GUARDED[verb](state, 2)
    assert await state.revision() == 3
    assert await state.to_dict() != before


@pytest.mark.parametrize("verb", GUARDED)
async def test_paths_must_not_have_changed_since(state: SharedState, verb: str) -> None:
    await _two_revisions(state)
    before = await state.to_dict()
    with pytest.raises(RevisionConflictError) as caught:
        await GUARDED[verb](state, {"text": 1, "other": 1})
    assert (caught.value.path, caught.value.expected, caught.value.actual) == ("other", 1, 2)
    assert await state.revision() == 2
    assert await state.to_dict() == before
    await GUARDED[verb](state, {"text": 1, "other": 2, "nowhere": 0})
    assert await state.revision() == 3


async def test_expected_0_is_a_state_that_nobody_has_written(state: SharedState) -> None:
    assert await state.set("a", 1, expected=0) == 1
    with pytest.raises(RevisionConflictError):
        await state.set("a", 2, expected=0)


async def test_writers_of_different_subtrees_never_conflict(state: SharedState) -> None:
    seen = dict.fromkeys("ab", await state.set("", {"a": {"x": 0}, "b": {"x": 0}}))
    for number in range(1, 12):
        for name in "ab":
            seen[name] = await state.set(f"{name}.x", number, expected={name: seen[name]})
    assert await state.to_dict() == {"a": {"x": 11}, "b": {"x": 11}}


async def test_siblings_with_a_common_parent_never_conflict(state: SharedState) -> None:
    seen = await state.set("research", {"findings": [], "notes": []})
    await state.append("research.notes", "n1")
    assert await state.append("research.findings", "f1", expected={"research.findings": seen}) == 3
    await state.set("research.new", 1)
    await state.delete("research.new")
    assert await state.append("research.findings", "f2", expected={"research.findings": 3}) == 6


Change = Callable[[SharedState], Awaitable[object]]

CHANGES: dict[str, Change] = {
    "set of a descendant": lambda state: state.set("a.b.c", 2),
    "set of it": lambda state: state.set("a.b", {"c": 5}),
    "set of the parent": lambda state: state.set("a", {"b": {"c": 5}}),
    "set of the root": lambda state: state.set("", {"a": {"b": {"c": 5}}}),
    "delete of the parent": lambda state: state.delete("a"),
    "delete of a descendant": lambda state: state.delete("a.b.c"),
    "delete of the root": lambda state: state.delete(""),
    "a new child": lambda state: state.set("a.b.new", 1),
    "a new grandchild": lambda state: state.set("a.b.c.deep", 1),
    "merge": lambda state: state.merge({"a": {"b": {"c": 9}}}),
    "restore": lambda state: state.restore(0),
}

NO_CHANGES: dict[str, Change] = {
    "set of a sibling": lambda state: state.set("a.sibling", 1),
    "set elsewhere": lambda state: state.set("elsewhere", 1),
    "merge of a sibling": lambda state: state.merge({"a": {"other": 9, "b": {}}}),
    "restore of what is there": lambda state: state.restore(1),
    "set of what is there": lambda state: state.set("a.b", {"c": {"x": 1}}),
    "snapshot": lambda state: state.snapshot(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_ancestors_and_descendants_count(state: SharedState, change: str) -> None:
    await state.set("a", {"b": {"c": {"x": 1}}})
    await CHANGES[change](state)
    with pytest.raises(RevisionConflictError) as caught:
        await state.set("result", 1, expected={"a.b": 1})
    assert (caught.value.path, caught.value.expected, caught.value.actual) == ("a.b", 1, 2)
    assert not await state.exists("result")


@pytest.mark.parametrize("change", NO_CHANGES)
async def test_neither_siblings_nor_writes_that_change_nothing_count(state: SharedState, change: str) -> None:
    await state.set("a", {"b": {"c": {"x": 1}}})
    await NO_CHANGES[change](state)
    await state.set("result", 1, expected={"a.b": 1})


async def test_0_is_has_never_existed(state: SharedState) -> None:
    assert await state.set("job.owner", "me", expected={"job.owner": 0}) == 1
    with pytest.raises(RevisionConflictError):
        await state.set("job.owner", "you", expected={"job.owner": 0})
    await state.delete("job")
    for path in ("job.owner", "job"):
        with pytest.raises(RevisionConflictError) as caught:
            await state.set("job.owner", "you", expected={path: 0})
        assert caught.value.actual == 2
    assert await state.set("job.owner", "you", expected={"job.owner": 2, "job.other": 0}) == 3


async def test_0_also_after_a_restore(state: SharedState) -> None:
    await state.set("a", 1)
    await state.restore(0)
    with pytest.raises(RevisionConflictError):
        await state.set("a", 2, expected={"a": 0})
    await state.set("a", 2, expected={"a": 2})


async def test_the_root_is_a_path_too(state: SharedState) -> None:
    await state.set("a", 1)
    await state.set("a", 1)  # a revision that changes nothing
    assert await state.set("b", 1, expected={"": 1}) == 3
    with pytest.raises(RevisionConflictError) as caught:
        await state.set("b", 2, expected={"": 2})
    assert (caught.value.path, caught.value.actual) == ("", 3)


async def test_what_read_gave_is_what_expected_takes(state: SharedState) -> None:
    await state.set("plan", ["a"])
    await state.set("other", 1)
    reading = await state.read("plan")
    await state.set("other", 2)
    await state.set("plan", [*reading.value, "b"], expected={"plan": reading.revision})
    with pytest.raises(RevisionConflictError):
        await state.set("plan", [*reading.value, "c"], expected={"plan": reading.revision})
    assert await state.get("plan") == ["a", "b"]


async def test_a_restore_is_a_change_of_what_it_touches(state: SharedState) -> None:
    await state.set("", {"a": 1, "b": 1})
    await state.set("a", 2)
    await state.restore(1)
    with pytest.raises(RevisionConflictError):
        await state.set("a", 9, expected={"a": 2})
    assert await state.set("b", 9, expected={"b": 1}) == 4


async def test_items_that_moved_have_changed(state: SharedState) -> None:
    await state.set("list", ["a", "b"])
    await state.append("list", "c")
    await state.set("list.0", "A", expected={"list.0": 1})
    await state.delete("list.0")
    with pytest.raises(RevisionConflictError):
        await state.set("list.0", "x", expected={"list.0": 3})


async def test_expected_of_a_call_that_writes_nothing(state: SharedState) -> None:
    await state.set("a", 1)
    with pytest.raises(RevisionConflictError):
        await state.delete("nothing", expected=0)
    with pytest.raises(RevisionConflictError):
        await state.update({}, expected={"a": 0})
    assert await state.delete("nothing", expected=1) is False


async def test_an_empty_map_expects_nothing(state: SharedState) -> None:
    await state.set("a", 1)
    assert await state.set("a", 2, expected={}) == 2


@pytest.mark.parametrize("expected", [True, -1, "1", 1.0, {"a": "1"}, {"a": -1}, {"a": None}])
async def test_expected_is_a_revision_or_a_map(state: SharedState, expected: int) -> None:
    with pytest.raises(InvalidArgumentError):
        await state.set("a", 1, expected=expected)
    assert await state.revision() == 0


async def test_a_revision_that_is_not_reached_yet_is_a_conflict(state: SharedState) -> None:
    await state.set("a", 1)
    for path, actual in (("a", 1), ("", 1), ("nothing", 0)):
        with pytest.raises(RevisionConflictError, match="7, which the state has not reached yet: it is at 1") as caught:
            await state.set("a", 2, expected={path: 7})
        assert (caught.value.path, caught.value.expected, caught.value.actual) == (path, 7, actual)
    with pytest.raises(RevisionConflictError, match="has not reached yet"):
        await state.set("a", 2, expected=7)
    assert await state.revision() == 1


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_list_item_that_has_never_been_there(client: Client, state: SharedState, compacted: bool) -> None:
    """Also below it, and where items have moved and gone."""
    await state.set("items", [1, 2, 3])
    await state.set("items", [2, 3, 4])
    await state.delete("items.0")
    if compacted:
        await client.set_retention(Retention(revisions=1), state.state_id)
        await client.compact(state.state_id)
    for path in ("items.3", "items.5.x", "items.3.x.y"):
        await state.set("other", path, expected={path: 0})
    for path in ("items.2", "items.2.x"):
        with pytest.raises(RevisionConflictError) as caught:
            await state.set("other", path, expected={path: 0})
        assert caught.value.actual == 3
    await state.append("items", 5, 6)
    with pytest.raises(RevisionConflictError):
        await state.set("other", 1, expected={"items.3": 0})


async def _made_anew(client: Client, state_id: str) -> SharedState:
    """Delete a state, and write another of that id 7 times, as another process would."""
    await client.delete_state(state_id)
    anew = client.state(state_id)
    for number in range(6):
        await anew.set("other", number)
    await anew.set("k", "new")
    return anew


@pytest.mark.parametrize("expected", [{"k": 9}, {"k": 8}, 8, {"k": 7}, {"": 8}])
async def test_a_condition_does_not_outlive_its_state(
    client: Client, second_client: Client, state_id: str, expected: Expected
) -> None:
    state = client.state(state_id)
    for number in range(8):
        learned = await state.set("k", number)
    assert learned == 8
    anew = await _made_anew(second_client, state_id)
    if expected != {"k": 9}:
        await anew.set("other", "8th")
    with pytest.raises(StateNotFoundError):
        await state.set("k", "old", expected=expected)
    # Another handle of the client that has learned it, before and after that handle has seen the new life.
    fresh = client.state(state_id)
    for _ in range(1 if expected == {"k": 7} else 2):
        with pytest.raises(RevisionConflictError) as caught:
            await fresh.set("k", "old", expected=expected)
        assert caught.value.expected in {7, 8, 9}
    assert await fresh.get("k") == "new"


async def test_a_handle_of_the_new_life_works_as_any(client: Client, second_client: Client, state_id: str) -> None:
    state = client.state(state_id)
    for number in range(8):
        await state.set("k", number)
    await _made_anew(second_client, state_id)
    fresh = client.state(state_id)
    await fresh.set("new", 1, expected={"new": 0})
    seen = await fresh.read("k")
    assert await fresh.set("k", "mine", expected={"k": seen.revision}) == 9
    async with fresh.transaction() as tx:
        tx.set("k", [await tx.get("k")])
    assert await client.state(state_id).transact(_add) == 10
    await client.delete_state(state_id)
    third = client.state(state_id)
    assert await third.set("k", 1, expected=0) == 1
    assert await third.set("k", 2, expected=1) == 2
    assert await client.state(state_id).set("k", 3, expected={"k": 2}) == 3


async def _add(tx: Transaction) -> int:
    tx.append("k", 1)
    return (await tx.read("k")).revision


async def test_a_transaction_does_not_outlive_its_state(client: Client, second_client: Client, state_id: str) -> None:
    state = client.state(state_id)
    for number in range(8):
        await state.set("k", number)

    async def too_late() -> None:
        async with client.state(state_id).transaction() as tx:
            await tx.get("k")
            await _made_anew(second_client, state_id)
            tx.set("k", "old")

    with pytest.raises(StateNotFoundError):
        await too_late()
    assert await client.state(state_id).get("k") == "new"


async def test_expected_takes_only_paths(state: SharedState) -> None:
    with pytest.raises(PathError):
        await state.set("a", 1, expected={"a..b": 0})


async def test_of_many_writers_that_expect_the_same_one_wins(client: Client, second_client: Client, state_id: str) -> None:
    handles = [each.state(state_id) for each in (client, second_client)] * 10
    results = await asyncio.gather(
        *(handle.set("owner", number, expected={"owner": 0}) for number, handle in enumerate(handles)),
        return_exceptions=True,
    )
    assert sum(result == 1 for result in results) == 1
    assert sum(isinstance(result, RevisionConflictError) for result in results) == 19
    assert await handles[0].get("owner") == results.index(1)
