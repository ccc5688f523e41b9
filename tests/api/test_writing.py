"""api.md, SharedState: set, update, merge, append, increment, delete; every write is one revision; handles."""

import asyncio
import math
from typing import Any

import pytest
from tests.api.verbs import CONTENT, WRITES
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import Client, InvalidArgumentError, InvalidValueError, LastgoodError, PathError, SharedState


@pytest.mark.parametrize("verb", WRITES)
async def test_every_successful_write_is_exactly_one_revision(state: SharedState, verb: str) -> None:
    await state.set("", CONTENT)
    await WRITES[verb](state)
    assert await state.revision() == 2
    entries = await state.get_history()
    assert [entry.revision for entry in entries] == [1, 2]
    assert await state.to_dict() != CONTENT


async def test_a_write_that_changes_nothing_is_a_revision_too(state: SharedState) -> None:
    await state.set("", CONTENT)
    assert await state.set("text", "old") == 2
    assert await state.update({"text": "old", "number": 1}) == 3
    assert await state.merge({"map": {"x": 1}}) == 4
    assert await state.increment("number", 0) == 1
    assert await state.restore(1) == 6
    async with state.transaction() as tx:
        tx.set("text", "old")
    assert tx.revision == 7
    assert await state.revision() == 7
    assert await state.to_dict() == CONTENT


async def test_what_writes_nothing_is_no_revision(state: SharedState) -> None:
    await state.set("", CONTENT)
    assert await state.update({}) == 1
    assert await state.append("list") == 1
    assert await state.append("nowhere") == 1
    assert await state.delete("nowhere") is False
    assert await state.delete("list.9") is False
    async with state.transaction():
        pass
    async with state.transaction() as tx:
        tx.update({})
        tx.append("list")
        tx.delete("nowhere")
    assert await state.revision() == 1
    assert not await state.exists("nowhere")


async def test_many_writes_that_travel_together_are_a_revision_each(state: SharedState) -> None:
    revisions = await asyncio.gather(*(state.set(f"k{number}", number) for number in range(300)))
    assert sorted(revisions) == list(range(1, 301))
    assert revisions == sorted(revisions), "in the order of the calls"
    assert [entry.revision for entry in await state.get_history()] == list(range(1, 301))


# set


async def test_set_gives_the_new_revision_and_makes_missing_parents(state: SharedState) -> None:
    assert await state.set("a.b.c", 1) == 1
    assert await state.set("a.b.d", 2) == 2
    assert await state.to_dict() == {"a": {"b": {"c": 1, "d": 2}}}


async def test_set_replaces_what_was_there(state: SharedState) -> None:
    await state.set("a", {"x": 1, "y": 2})
    await state.set("a", {"y": 3})
    assert await state.to_dict() == {"a": {"y": 3}}
    await state.set("a", "text")
    assert await state.to_dict() == {"a": "text"}
    await state.set("a", [1, {"deep": 1}])
    await state.set("a.1.deep", 2)
    await state.set("a.0", None)
    assert await state.to_dict() == {"a": [None, {"deep": 2}]}


async def test_set_of_the_root_replaces_the_tree_and_takes_only_a_map(state: SharedState) -> None:
    await state.set("old", 1)
    assert await state.set("", {"new": {"x": 1}}) == 2
    assert await state.to_dict() == {"new": {"x": 1}}
    for value in ([1], "text", 1, None):
        with pytest.raises(InvalidValueError):
            await state.set("", value)
        with pytest.raises(InvalidValueError):
            await state.merge(value, "")
        with pytest.raises(InvalidValueError):
            await state.update({"other": 1, "": value})
    assert await state.revision() == 2
    assert await state.to_dict() == {"new": {"x": 1}}


# update


async def test_update_is_one_revision_and_in_the_order_given(state: SharedState) -> None:
    assert await state.update({"b.x": 1, "a": {"p": 1}}) == 1
    assert await state.update({"a.q": 2, "c": []}) == 2
    assert await state.update({"n": {}, "n.m": 1}) == 3
    assert await state.to_dict() == {"b": {"x": 1}, "a": {"p": 1, "q": 2}, "c": [], "n": {"m": 1}}
    assert list(await state.to_dict()) == ["b", "a", "c", "n"]


@pytest.mark.parametrize(
    "values",
    [{"ok": 1, "text.below": 2}, {"ok": 1, "list.7": 2}, {"ok": 1, "bad": {1, 2}}, {"ok": 1, "a..b": 2}, {"ok": 1, "": 5}],
)
async def test_update_is_all_or_none(state: SharedState, values: dict[str, Any]) -> None:
    await state.set("", CONTENT)
    with pytest.raises(LastgoodError) as caught:
        await state.update(values)
    assert isinstance(caught.value, ValueError)
    assert await state.to_dict() == CONTENT
    assert await state.revision() == 1


async def test_update_takes_a_map(state: SharedState) -> None:
    with pytest.raises(InvalidArgumentError):
        await state.update([("a", 1)])  # type: ignore[arg-type]


# merge


async def test_merge_is_deep_for_maps_and_replaces_anything_else(state: SharedState) -> None:
    await state.set("", {"m": {"keep": 1, "deep": {"a": 1, "b": [1, 2]}}, "text": "old", "map": {"x": 1}})
    assert await state.merge({"m": {"deep": {"b": [3], "c": {"new": 1}}}, "text": {"now": "map"}, "map": 5}) == 2
    assert await state.to_dict() == {
        "m": {"keep": 1, "deep": {"a": 1, "b": [3], "c": {"new": 1}}},
        "text": {"now": "map"},
        "map": 5,
    }


async def test_merge_at_a_path(state: SharedState) -> None:
    await state.merge({"x": {"y": 1}}, "new.place")
    await state.merge({"x": {"z": 2}}, "new.place")
    await state.merge(7, "new.other")
    await state.merge({"list": [1]}, "new.other")
    await state.merge({}, "new.place.x")
    assert await state.to_dict() == {"new": {"place": {"x": {"y": 1, "z": 2}}, "other": {"list": [1]}}}
    with pytest.raises(PathError):
        await state.merge({"a": 1}, "new.place.x.y.below")


async def test_dots_in_the_keys_of_merged_data_are_literal(state: SharedState) -> None:
    await state.merge({"a.b": {"c.d": 1}})
    await state.merge({"a.b": {"e": 2}})
    assert await state.to_dict() == {"a.b": {"c.d": 1, "e": 2}}


# append, increment


async def test_append_adds_items_in_order_and_starts_a_missing_list(state: SharedState) -> None:
    assert await state.append("log.lines", "a") == 1
    assert await state.append("log.lines", "b", ["c"], None) == 2
    assert await state.get("log.lines") == ["a", "b", ["c"], None]
    await state.append("log.lines.2", "d")
    assert await state.get("log.lines.2") == ["c", "d"]


@pytest.mark.parametrize("path", ["text", "number", "map", "none", "", "text.below", "list.5.x"])
async def test_append_to_anything_but_a_list_is_refused(state: SharedState, path: str) -> None:
    await state.set("", {**CONTENT, "none": None})
    with pytest.raises(PathError):
        await state.append(path, 1)
    assert await state.revision() == 1


async def test_concurrent_appends_all_arrive_once(client: Client, second_client: Client, state_id: str) -> None:
    writers = [client.state(state_id), second_client.state(state_id)]
    await asyncio.gather(*(writers[number % 2].append("items", number) for number in range(200)))
    items = await writers[0].get("items")
    assert sorted(items) == list(range(200))
    assert [item for item in items if item % 2] == list(range(1, 200, 2)), "each client's in its order"


async def test_increment_gives_the_new_value_and_starts_at_0(state: SharedState) -> None:
    assert await state.increment("n.x") == 1
    assert await state.increment("n.x", 4) == 5
    assert await state.increment("n.x", by=-7) == -2
    assert await state.increment("f", 0.5) == 0.5
    assert type(await state.get("n.x")) is int
    assert await state.increment("n.x", 0.5) == -1.5
    assert await state.revision() == 5


async def test_increment_of_floats_keeps_the_type(state: SharedState) -> None:
    await state.set("f", 1.0)
    number = await state.increment("f")
    assert number == 2.0
    assert type(number) is float
    assert await state.increment("f", math.inf) == math.inf


@pytest.mark.parametrize("path", ["text", "list", "map", "flag", "none", ""])
async def test_increment_of_anything_but_a_number_is_refused(state: SharedState, path: str) -> None:
    await state.set("", {**CONTENT, "flag": True, "none": None})
    with pytest.raises(PathError):
        await state.increment(path)
    assert await state.revision() == 1


@pytest.mark.parametrize("by", ["1", None, True, [1]])
async def test_increment_takes_a_number(state: SharedState, by: float) -> None:
    with pytest.raises(ValueError, match="by"):
        await state.increment("n", by)
    assert await state.revision() == 0


async def test_increment_beyond_64_bits_is_refused(state: SharedState) -> None:
    await state.set("n", 2**63 - 1)
    with pytest.raises(InvalidValueError):
        await state.increment("n")
    assert await state.get("n") == 2**63 - 1
    assert await state.revision() == 1


async def test_concurrent_increments_are_exact(client: Client, second_client: Client, state_id: str) -> None:
    writers = [client.state(state_id), second_client.state(state_id)]
    numbers = await asyncio.gather(*(writers[number % 2].increment("n") for number in range(200)))
    assert sorted(numbers) == list(range(1, 201))


# delete


async def test_delete_tells_whether_it_existed(state: SharedState) -> None:
    await state.set("", {"a": {"b": None, "c": 1}})
    assert await state.delete("a.b") is True
    assert await state.delete("a.b") is False
    assert await state.to_dict() == {"a": {"c": 1}}
    assert await state.delete("a") is True
    assert await state.to_dict() == {}
    assert await state.revision() == 3


async def test_delete_of_the_root_empties_the_tree(state: SharedState) -> None:
    assert await state.delete("") is False
    await state.set("a", 1)
    assert await state.delete("") is True
    assert await state.to_dict() == {}
    assert await state.revision() == 2
    assert await state.delete("") is False


async def test_deleting_an_item_shifts_the_rest(state: SharedState) -> None:
    await state.set("list", ["a", "b", "c"])
    assert await state.delete("list.0") is True
    assert await state.get("list") == ["b", "c"]
    assert await state.get("list.1") == "c"
    assert await state.delete("list.2") is False


# Handles


async def test_initial_data_is_revision_1_like_any_other(client: Client, state_id: str) -> None:
    state = client.state(state_id, agent_id="maker", initial_data={"topic": "AI"})
    assert await state.get("topic") == "AI"
    assert await state.revision() == 1
    (entry,) = await state.get_history("topic")
    assert (entry.revision, entry.value, entry.agent_id) == (1, "AI", "maker")
    await state.set("topic", "other")
    await state.restore(1)
    assert await state.to_dict() == {"topic": "AI"}


@pytest.mark.parametrize("verb", ["snapshot", "set", "transaction", "fork", "history", "expected", "empty"])
async def test_initial_data_is_written_before_the_first_call_whatever_that_is(
    client: Client, state_id: str, verb: str
) -> None:
    state = client.state(state_id, initial_data={} if verb == "empty" else {"a": 1})
    match verb:
        case "snapshot":
            assert (await state.snapshot()).revision == 1
        case "set":
            assert await state.set("b", 2) == 2
            assert await state.to_dict() == {"a": 1, "b": 2}
        case "transaction":
            async with state.transaction() as tx:
                assert await tx.get("a") == 1
        case "fork":
            assert await (await state.fork()).to_dict() == {"a": 1}
        case "history":
            assert len(await state.get_history()) == 1
        case "expected":
            assert await state.set("b", 2, expected=1) == 2
        case _:
            assert await state.revision() == 1


async def test_initial_data_is_ignored_once_something_was_written(client: Client, state_id: str) -> None:
    await client.state(state_id).set("a", 1)
    late = client.state(state_id, initial_data={"b": 2})
    assert await late.to_dict() == {"a": 1}
    assert await late.revision() == 1


async def test_initial_data_of_many_at_once_is_written_once(client: Client, second_client: Client, state_id: str) -> None:
    handles = [each.state(state_id, initial_data={"who": n}) for n, each in enumerate([client, second_client] * 5)]
    seen = await asyncio.gather(*(handle.get("who") for handle in handles))
    assert len(set(seen)) == 1
    assert await handles[0].revision() == 1


async def test_making_a_handle_does_no_io() -> None:
    client = lastgood.connect("unix:/nowhere/at/all.sock", timeout=0.05)
    state = client.state("x", initial_data={"a": 1})
    assert state.state_id == "x"
    with pytest.raises(lastgood.DaemonUnavailableError):
        await state.get()
    await client.aclose()


@pytest.mark.parametrize("data", [[1], "text", {"bad": {1}}, {1: 2}])
async def test_initial_data_that_cannot_be_stored_is_refused_at_once(client: Client, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        client.state("never", initial_data=data)


async def test_shared_state_on_the_default_client(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(daemon.folder))
    first, second = SharedState(initial_data={"topic": "AI"}), SharedState()
    assert first.state_id != second.state_id
    assert await first.to_dict() == {"topic": "AI"}
    assert await second.to_dict() == {}
    again = SharedState(first.state_id, agent_id="later")
    await again.set("topic", "ML")
    assert await first.get("topic") == "ML"
    assert (await first.get_history())[-1].agent_id == "later"


async def test_shared_state_of_a_client(client: Client, state_id: str) -> None:
    state = SharedState(state_id, client=client, initial_data={"a": 1})
    assert await client.state(state_id).revision() == 0
    assert await state.get("a") == 1
    assert await client.state(state_id).get("a") == 1


async def test_the_author_is_the_handles_or_the_clients(daemon: DaemonProcess, state_id: str) -> None:
    async with lastgood.connect(data_dir=daemon.folder, agent_id="everyone", autostart=False) as client:
        await client.state(state_id).set("a", 1)
        await client.state(state_id, agent_id="one").set("a", 2)
        history = await client.state(state_id).get_history("a")
    assert [entry.agent_id for entry in history] == ["everyone", "one"]


@pytest.mark.parametrize("verb", WRITES)
async def test_the_history_names_operation_and_author(state: SharedState, verb: str) -> None:
    await state.set("", CONTENT)
    await WRITES[verb](state)
    entry = (await state.get_history())[-1]
    assert entry.agent_id == "tester"
    if not verb.startswith("transact"):
        assert entry.operation == verb


@pytest.mark.parametrize("state_id", ["", None, 5, "\ud800"])
async def test_an_id_is_valid_text(client: Client, state_id: str) -> None:
    with pytest.raises(ValueError, match="state_id"):
        client.state(state_id)


async def test_a_value_that_cannot_be_stored_is_named(state: SharedState) -> None:
    with pytest.raises(InvalidValueError, match=r"an object cannot be stored; .* \(in item 1\)"):
        await state.append("list", 1, object())
    with pytest.raises(InvalidValueError, match=r"a set cannot be stored; .* \(in the value for '0'\)"):
        await state.update({"0": {1}})
