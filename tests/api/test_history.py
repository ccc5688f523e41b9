"""api.md, SharedState: get_history; ``HistoryEntry``."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import Client, HistoryEntry, InvalidArgumentError, SharedState


def _seen(history: list[HistoryEntry]) -> list[tuple[int, object]]:
    return [(entry.revision, entry.value if entry.existed else "-") for entry in history]


async def test_oldest_first_with_everything_that_an_entry_has(state: SharedState) -> None:
    for value in ("value1", "value2", "value3"):
        await state.set("key", value)
    history = await state.get_history("key")
    assert _seen(history) == [(1, "value1"), (2, "value2"), (3, "value3")]
    for entry in history:
        assert (entry.path, entry.existed, entry.operation, entry.agent_id) == ("key", True, "set", "tester")
        assert entry.timestamp.utcoffset() == timedelta(0)
        snapshot = entry.snapshot
        assert (snapshot.state_id, snapshot.revision, snapshot.snapshot_id) == (state.state_id, entry.revision, None)
        assert (snapshot.label, snapshot.metadata) == (None, None)
        assert snapshot.created_at == entry.timestamp
    await state.restore(history[0].snapshot)
    assert await state.get("key") == "value1"


async def test_without_a_path_every_revision(state: SharedState) -> None:
    await state.set("a", 1)
    await state.update({"b": 1, "c": 2})
    await state.set("a", 1)
    await state.delete("b")
    history = await state.get_history()
    assert [(entry.revision, entry.operation) for entry in history] == [(1, "set"), (2, "update"), (3, "set"), (4, "delete")]
    assert [entry.path for entry in history] == ["a", "", "a", "b"]
    assert history[0].value == 1
    assert not history[3].existed


async def test_a_path_through_its_ancestors(state: SharedState) -> None:
    await state.set("a", {"b": {"c": 1}})
    await state.set("a.b", {"c": 2})
    await state.set("a", {"b": {"c": 2, "d": 1}})  # c is as it was
    await state.set("", {"a": {"b": {"c": 3}}})
    await state.delete("a")
    await state.set("other", 1)
    await state.merge({"a": {"b": {"c": 4}}})
    assert _seen(await state.get_history("a.b.c")) == [(1, 1), (2, 2), (4, 3), (5, "-"), (7, 4)]
    assert [entry.operation for entry in await state.get_history("a.b.c")] == ["set", "set", "set", "delete", "merge"]
    assert {entry.path for entry in await state.get_history("a.b.c")} == {"a.b.c"}


async def test_a_path_through_its_descendants(state: SharedState) -> None:
    await state.set("a.b.c", 1)
    await state.set("a.b.d", 2)
    await state.append("a.list", "x")
    await state.set("elsewhere", 1)
    await state.delete("a.b.c")
    await state.delete("a.b")
    assert _seen(await state.get_history("a")) == [
        (1, {"b": {"c": 1}}),
        (2, {"b": {"c": 1, "d": 2}}),
        (3, {"b": {"c": 1, "d": 2}, "list": ["x"]}),
        (5, {"b": {"d": 2}, "list": ["x"]}),
        (6, {"list": ["x"]}),
    ]
    assert [entry.revision for entry in await state.get_history("")] == [1, 2, 3, 4, 5, 6]


async def test_a_write_that_changes_nothing_is_not_in_the_history_of_its_path(state: SharedState) -> None:
    await state.set("a", {"b": 1})
    await state.set("a.b", 1)
    await state.set("a", {"b": 1})
    await state.update({"a.b": 1, "c": 2})
    await state.merge({"a": {"b": 1}})
    await state.increment("a.b", 0)
    assert _seen(await state.get_history("a.b")) == [(1, 1)]
    assert _seen(await state.get_history("a")) == [(1, {"b": 1})]
    assert _seen(await state.get_history("c")) == [(4, 2)]
    assert [entry.revision for entry in await state.get_history()] == [1, 2, 3, 4, 5, 6]


async def test_a_revision_that_changes_there_and_back_is_not_in_it_either(state: SharedState) -> None:
    await state.set("a", 1)
    async with state.transaction() as tx:
        tx.set("a", 2)
        tx.set("a", 1)
    assert _seen(await state.get_history("a")) == [(1, 1)]
    assert await state.revision() == 2


async def test_types_that_python_finds_equal_are_changes(state: SharedState) -> None:
    for value in (1, True, 1.0, 1):
        await state.set("x", value)
    assert [repr(entry.value) for entry in await state.get_history("x")] == ["1", "True", "1.0", "1"]


async def test_items_of_a_list(state: SharedState) -> None:
    await state.set("list", ["a", "b"])
    await state.append("list", "c")
    await state.delete("list.0")
    await state.set("list.1", "C")
    assert _seen(await state.get_history("list.0")) == [(1, "a"), (3, "b")]
    assert _seen(await state.get_history("list.1")) == [(1, "b"), (3, "c"), (4, "C")]
    assert _seen(await state.get_history("list.2")) == [(2, "c"), (3, "-")]
    assert [entry.revision for entry in await state.get_history("list")] == [1, 2, 3, 4]


async def test_a_path_where_nothing_ever_was(state: SharedState) -> None:
    await state.set("a", 1)
    assert await state.get_history("b") == []
    assert await state.get_history("a.below") == []


async def test_a_value_of_none_and_none_at_all(state: SharedState) -> None:
    await state.set("x", None)
    await state.delete("x")
    there, gone = await state.get_history("x")
    assert (there.existed, there.value) == (True, None)
    assert (gone.existed, gone.value) == (False, None)


async def _numbers(state: SharedState, count: int = 6) -> list[HistoryEntry]:
    for number in range(1, count + 1):
        await state.set("x", number)
    return await state.get_history("x")


def _revisions(history: list[HistoryEntry]) -> list[int]:
    return [entry.revision for entry in history]


async def test_limit_and_newest_first(state: SharedState) -> None:
    await _numbers(state)
    assert _revisions(await state.get_history("x", limit=2)) == [1, 2]
    assert _revisions(await state.get_history("x", limit=2, newest_first=True)) == [6, 5]
    assert _revisions(await state.get_history("x", newest_first=True)) == [6, 5, 4, 3, 2, 1]
    assert _revisions(await state.get_history(limit=1, newest_first=True)) == [6]
    assert _revisions(await state.get_history("x", limit=100)) == [1, 2, 3, 4, 5, 6]
    assert await state.get_history("x", limit=0) == []
    for limit in (-1, 1.5, True):
        with pytest.raises(InvalidArgumentError):
            await state.get_history("x", limit=limit)  # type: ignore[arg-type]


async def test_before_and_after_exclude_what_they_name(state: SharedState) -> None:
    history = await _numbers(state)
    snapshot, moment = history[2].snapshot, history[2].timestamp
    for third in (3, snapshot, moment, moment.astimezone(UTC)):
        assert _revisions(await state.get_history("x", before=third)) == [1, 2]
        assert _revisions(await state.get_history("x", after=third)) == [4, 5, 6]
        assert _revisions(await state.get_history(after=third, limit=2)) == [4, 5]
        assert _revisions(await state.get_history("x", after=third, newest_first=True)) == [6, 5, 4]
        assert _revisions(await state.get_history("x", before=third, newest_first=True, limit=1)) == [2]
        assert await state.get_history("x", before=third, after=third) == []
    assert _revisions(await state.get_history("x", after=1, before=5)) == [2, 3, 4]
    assert _revisions(await state.get_history("x", after=0)) == [1, 2, 3, 4, 5, 6]
    assert await state.get_history("x", after=6) == []
    assert await state.get_history("x", after=100) == []
    assert await state.get_history("x", before=0) == []
    assert await state.get_history("x", before=1) == []
    assert _revisions(await state.get_history("x", before=100)) == [1, 2, 3, 4, 5, 6]
    long_ago, one_day = moment - timedelta(days=1), moment + timedelta(days=1)
    assert await state.get_history("x", before=long_ago) == []
    assert _revisions(await state.get_history("x", after=long_ago, before=one_day)) == [1, 2, 3, 4, 5, 6]


async def test_before_and_after_refuse_other_states_and_naive_moments(client: Client, state: SharedState) -> None:
    await _numbers(state, 1)
    other = client.state(f"{state.state_id}-other")
    await other.set("x", 1)
    for bound in (await other.snapshot(), datetime(2026, 1, 1), "1"):  # noqa: DTZ001 - that is the point
        with pytest.raises(InvalidArgumentError):
            await state.get_history("x", before=bound)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError):
            await state.get_history("x", after=bound)  # type: ignore[arg-type]


@pytest.mark.slow
async def test_more_than_a_page(state: SharedState) -> None:
    count = 2300
    await asyncio.gather(*(state.set(f"k.{number % 2}", number) for number in range(1, count + 1)))
    everything = list(range(1, count + 1))
    assert _revisions(await state.get_history()) == everything
    assert _revisions(await state.get_history(newest_first=True)) == everything[::-1]
    assert _revisions(await state.get_history("k.1")) == everything[::2]
    assert _revisions(await state.get_history("k.0", newest_first=True)) == everything[1::2][::-1]
    assert _revisions(await state.get_history(limit=1001)) == everything[:1001]
    assert _revisions(await state.get_history(newest_first=True, limit=1001)) == everything[-1001:][::-1]
    assert _revisions(await state.get_history(after=50, before=2200)) == everything[50:2199]


async def test_more_than_a_page_in_bytes(state: SharedState) -> None:
    for number in range(5):
        await state.set("x", f"{number}" * 700_000)
    assert [entry.value[0] for entry in await state.get_history("x")] == ["0", "1", "2", "3", "4"]
    assert [entry.value[0] for entry in await state.get_history("x", newest_first=True)] == ["4", "3", "2", "1", "0"]


async def test_timestamps_never_go_backwards_and_are_now(client: Client, second_client: Client, state_id: str) -> None:
    before = datetime.now(UTC)
    handles = [client.state(state_id), second_client.state(state_id)]
    await asyncio.gather(*(handles[number % 2].set("x", number) for number in range(200)))
    after = datetime.now(UTC)
    times = [entry.timestamp for entry in await handles[0].get_history()]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= after


async def test_it_survives_a_restart_of_the_daemon(state_id: str, folder: Path) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=process.folder, autostart=False, timeout=20.0) as client:
            state = client.state(state_id, agent_id="me")
            await state.set("a", {"z": 1, "y": 2})
            await state.set("a.z", 3)
            snapshot = await state.snapshot("kept")
            history = await state.get_history("a.z")
            process.kill()
            process.start()
            assert await state.get_history("a.z") == history
            assert await state.list_snapshots() == [snapshot]
            await state.delete("a")
            await state.restore(snapshot)
            assert list(await state.get("a")) == ["z", "y"]
    finally:
        process.close()


async def test_a_snapshot_of_a_life_that_has_ended_bounds_nothing(client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("a", 1)
    before = await client.state(state_id).snapshot()
    await client.delete_state(state_id)
    again = client.state(state_id)
    await again.set("a", 2)
    for refused in (again.get_history(after=before), again.get_history(before=before)):
        with pytest.raises(lastgood.StateNotFoundError):
            await refused
