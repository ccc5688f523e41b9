"""api.md, SharedState: get, read, exists, keys, to_dict, revision, and ``at=``."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lastgood import (
    AgentStatus,
    Client,
    LastgoodError,
    PathError,
    Reading,
    RevisionUnavailableError,
    SharedState,
    join,
)

TREE = {"topic": "AI", "research": {"findings": ["a", "b"], "note": None}, "n": 0}


async def test_get_gives_the_value_at_a_path(state: SharedState) -> None:
    await state.set("", TREE)
    assert await state.get("topic") == "AI"
    assert await state.get("research.findings") == ["a", "b"]
    assert await state.get("research.findings.1") == "b"
    assert await state.get("research") == {"findings": ["a", "b"], "note": None}


async def test_get_without_a_path_gives_the_whole_tree(state: SharedState) -> None:
    await state.set("", TREE)
    assert await state.get() == TREE
    assert await state.get("") == TREE
    assert await state.to_dict() == TREE


async def test_get_gives_the_default_only_where_there_is_nothing(state: SharedState) -> None:
    await state.set("", TREE)
    assert await state.get("nothing") is None
    assert await state.get("nothing", 7) == 7
    assert await state.get("nothing", default=[]) == []
    assert await state.get("research.note", "default") is None
    assert await state.get("n", "default") == 0


@pytest.mark.parametrize("path", ["topic.x", "n.0", "research.findings.2", "research.findings.x", "research.note.x.y"])
async def test_reading_below_what_has_no_such_child_gives_the_default(state: SharedState, path: str) -> None:
    await state.set("", TREE)
    assert await state.get(path, "default") == "default"
    assert not await state.exists(path)
    assert await state.read(path) == Reading(value=None, revision=1, existed=False)
    assert await state.keys(path) == []


async def test_a_state_that_nobody_has_written_reads_as_empty_at_revision_0(client: Client, state: SharedState) -> None:
    assert await state.get() == {}
    assert await state.to_dict() == {}
    assert await state.get("x", "default") == "default"
    assert await state.keys() == []
    assert await state.revision() == 0
    assert await state.read() == Reading(value={}, revision=0, existed=True)
    assert await state.get_history() == []
    assert await state.list_snapshots() == []
    assert state.state_id not in await client.list_states()


async def test_read_gives_value_revision_and_whether_it_existed(state: SharedState) -> None:
    await state.set("a", None)
    await state.set("b", 2)
    assert await state.read("a") == Reading(value=None, revision=2, existed=True)
    assert await state.read("b") == Reading(value=2, revision=2, existed=True)
    assert await state.read("c") == Reading(value=None, revision=2, existed=False)
    assert await state.read("b", at=1) == Reading(value=None, revision=1, existed=False)


async def test_a_value_of_none_exists(state: SharedState) -> None:
    await state.set("none", None)
    assert await state.exists("none")
    assert not await state.exists("nothing")
    assert await state.exists("")
    await state.delete("none")
    assert not await state.exists("none")


async def test_keys_lists_the_children_in_their_order_and_unescaped(state: SharedState) -> None:
    names = ["z", "a.b", "back\\slash", "0", "ü", "a"]
    for name in names:
        await state.set(join("m", name), {"deeper": 1})
    assert await state.keys("m") == names
    assert await state.keys("") == ["m"]
    assert await state.keys(join("m", "a.b")) == ["deeper"]
    assert await state.keys("m.z.deeper") == []


async def test_keys_of_a_list_are_its_indexes(state: SharedState) -> None:
    await state.set("list", ["a", {"b": 1}, []])
    assert await state.keys("list") == ["0", "1", "2"]
    assert await state.keys("list.1") == ["b"]


async def test_keys_beyond_one_page(state: SharedState) -> None:
    names = [f"k{index}" for index in range(2500)]
    await state.set("m", dict.fromkeys(names, 0))
    assert await state.keys("m") == names


async def test_maps_keep_their_order(state: SharedState) -> None:
    await state.set("", {"b": 1, "a": 2})
    await state.set("c", 3)
    await state.set("b", 4)
    assert list(await state.to_dict()) == ["b", "a", "c"]
    await state.delete("b")
    await state.set("b", 5)
    assert list(await state.to_dict()) == ["a", "c", "b"]
    await state.set("m", {"y": 1, "x": {"q": 1, "p": 2}})
    assert list(await state.get("m")) == ["y", "x"]
    assert list(await state.get("m.x")) == ["q", "p"]


async def test_what_is_read_belongs_to_the_caller(state: SharedState) -> None:
    await state.set("m", {"list": [1]})
    mine = await state.get("m")
    mine["list"].append(2)
    assert await state.get("m") == {"list": [1]}


async def test_revision_counts_the_writes(state: SharedState) -> None:
    for expected in range(1, 4):
        await state.set("x", expected)
        assert await state.revision() == expected


async def test_another_client_sees_what_was_acknowledged(state: SharedState, second_client: Client, state_id: str) -> None:
    other = second_client.state(state_id)
    for number in range(20):
        revision = await state.set("x", number)
        assert await other.read("x") == Reading(value=number, revision=revision, existed=True)


# at=


async def _three(state: SharedState) -> None:
    await state.set("x", 1)
    await state.update({"x": 2, "y": [2]})
    await state.delete("y")


async def test_at_a_revision(state: SharedState) -> None:
    await _three(state)
    assert [await state.get("x", at=revision) for revision in range(4)] == [None, 1, 2, 2]
    assert [await state.get("", at=revision) for revision in range(4)] == [{}, {"x": 1}, {"x": 2, "y": [2]}, {"x": 2}]
    assert await state.get("y", "default", at=3) == "default"
    assert (await state.read("y", at=2)).revision == 2
    assert await state.exists("y", at=2)
    assert await state.keys(at=2) == ["x", "y"]
    assert await state.to_dict(at=1) == {"x": 1}


async def test_at_a_snapshot_and_a_checkpoint(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    snapshot = await state.snapshot()
    checkpoint = await client.checkpoints.create_checkpoint(state.state_id, 0, "a", AgentStatus.COMPLETED, state)
    await state.set("x", 2)
    assert await state.get("x", at=snapshot) == 1
    assert await state.read("x", at=snapshot) == Reading(value=1, revision=1, existed=True)
    assert await state.get("x", at=checkpoint) == 1
    assert await state.get("x", at=checkpoint.state_snapshot) == 1
    assert await state.get("x") == 2


async def test_at_an_aware_datetime_is_the_last_revision_made_by_then(state: SharedState) -> None:
    await _three(state)
    times = [entry.timestamp for entry in await state.get_history()]
    microsecond = timedelta(microseconds=1)
    for revision, time in enumerate(times, start=1):
        assert (await state.read(at=time)).revision == revision
        assert (await state.read(at=time - microsecond)).revision == revision - 1
        east = time.astimezone(timezone(timedelta(hours=5, minutes=30)))
        assert (await state.read(at=east)).revision == revision
    assert await state.get("x", at=times[0] - timedelta(days=1)) is None
    assert await state.get("x", at=datetime.now(UTC) + timedelta(days=1)) == 2


@pytest.mark.parametrize("at", [datetime(2026, 1, 1), "1", 1.0, True, -1])  # noqa: DTZ001 - that is the point
async def test_at_refuses_a_naive_datetime_and_nonsense(state: SharedState, at: int) -> None:
    await state.set("x", 1)
    for call in (state.get("x", at=at), state.read("x", at=at), state.restore(at), state.preview(at), state.diff(at)):
        with pytest.raises(LastgoodError) as caught:
            await call
        assert isinstance(caught.value, ValueError)
    assert await state.revision() == 1


async def test_at_a_revision_that_is_not_reached_yet(state: SharedState) -> None:
    await state.set("x", 1)
    with pytest.raises(RevisionUnavailableError) as caught:
        await state.get("x", at=2)
    assert (caught.value.revision, caught.value.newest) == (2, 1)


async def test_at_far_back_after_a_thousand_revisions(state: SharedState) -> None:
    await asyncio.gather(*(state.update({"x": number, f"k{number % 7}": number}) for number in range(1, 1001)))
    assert await state.get("x", at=1) == 1
    assert await state.get("", at=3) == {"x": 3, "k1": 1, "k2": 2, "k3": 3}
    assert await state.get("x", at=999) == 999


@pytest.mark.parametrize("path", [".", "a.", ".a", "a..b", "a\\", "a\\b", "\ud800"])
async def test_malformed_paths_are_refused_by_every_read(state: SharedState, path: str) -> None:
    for call in (state.get(path), state.read(path), state.exists(path), state.keys(path), state.get_history(path)):
        with pytest.raises(PathError) as caught:
            await call
        assert caught.value.path == path
