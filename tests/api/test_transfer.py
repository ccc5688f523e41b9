"""Exporting a state with its history, and importing it: what comes out again is the same in every respect."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.api.transfers import enriched, exported, seen, without_state
from tests.support.daemons import DaemonProcess

import lastgood
import lastgood.sync
from lastgood import (
    Client,
    InvalidArgumentError,
    Retention,
    RevisionConflictError,
    RevisionUnavailableError,
    SharedState,
    StateExistsError,
    StateNotFoundError,
)
from lastgood_proto.values import encode


async def test_everything_comes_back_in_another_daemon(client: Client, elsewhere: Client, state: SharedState) -> None:
    await enriched(client, state)
    fork = await state.fork(f"{state.state_id}-fork", at=5)
    await fork.set("more", 1)
    for each in (state, fork):
        lines = await exported(client, each.state_id)
        assert await elsewhere.import_state(each.state_id, lines) == await each.revision()
        there = elsewhere.state(each.state_id, agent_id="tester")
        before = await seen(each)
        assert await seen(there) == before
        assert before["contents"][0] != before["contents"][-1]
        assert await exported(elsewhere, each.state_id) == lines
        assert each.state_id in await elsewhere.list_states()


async def test_it_goes_on_as_the_original_would(client: Client, elsewhere: Client, state: SharedState) -> None:
    await enriched(client, state)
    await elsewhere.import_state(state.state_id, await exported(client, state.state_id))
    there = elsewhere.state(state.state_id, agent_id="tester")
    for each in (state, there):
        changed = await each.revision()
        await each.set("rich.order.z", 9, expected={"rich.order": changed})
        with pytest.raises(RevisionConflictError):
            await each.set("rich.order.z", 9, expected={"rich.order": changed})
        with pytest.raises(RevisionConflictError):
            await each.set("other", 1, expected={"gone": 0})
        await each.set("never", 1, expected={"never": 0})
        await each.restore(6)
    assert encode(await there.get()) == encode(await state.get())
    assert await there.diff(3, 8) == await state.diff(3, 8)
    (first, *_) = await there.list_snapshots()
    await there.restore(first)
    assert await there.delete_snapshot(first)


async def test_the_format(client: Client, state: SharedState) -> None:
    await state.set("m", {"x": 1})
    await state.snapshot("s", metadata={"k": b"\x00"})
    header, revision, snapshot, end = [json.loads(line) for line in await exported(client, state.state_id)]
    (entry,), (taken,) = await state.get_history(), await state.list_snapshots()
    made = int(entry.timestamp.timestamp() * 1_000_000 + 0.5)
    assert header == {
        "lastgood_export": 1,
        "state_id": state.state_id,
        "incarnation": 1,
        "created_at": made,
        "origin": None,
        "head": 1,
        "chain": end["chain"],
    }
    change = {"put": "m", "value": {"x": 1}}
    assert revision == {
        "revision": 1,
        "timestamp": made,
        "agent_id": "tester",
        "workflow_id": "",
        "attempt": 0,
        "step": None,
        "edits": [{"operation": "set", "path": "m", "changes": [change]}],
    }
    assert snapshot["snapshot"]["snapshot_id"] == taken.snapshot_id
    assert snapshot["snapshot"]["metadata"] == {"k": {"$bytes": "AA=="}}
    assert (end["end"], end["revisions"]) == (True, 1)


@pytest.mark.slow
async def test_5000_revisions(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.set("list", [])
    for number in range(50):
        async with state.transaction() as tx:
            tx.set(f"map.k{number % 7}", {"n": number})
        await asyncio.gather(*(state.append("list", number) for _ in range(99)))
    lines = await exported(client, state.state_id)
    assert len(lines) == 5_003
    assert await elsewhere.import_state(state.state_id, iter(lines), timeout=60.0) == 5_001
    there = elsewhere.state(state.state_id)
    for at in (1, 2_500, 4_999, 5_001):
        assert encode(await there.get(at=at)) == encode(await state.get(at=at))
    assert await exported(elsewhere, state.state_id) == lines


PATHS = ("m", "m.k0", "m.k1", "m.k2", "m.k3", "m.k0.n", "old", "old.a", "old.b", "old.b.0")


@pytest.mark.parametrize("pins", [(), (1,), (3, 4, 11)])
async def test_a_compacted_state(alone: Client, elsewhere: Client, state_id: str, pins: tuple[int, ...]) -> None:
    state = alone.state(state_id)
    for number in range(1, 21):
        old = {"old": {"a": 1, "b": [2]}} if number == 1 else {}
        revision = await state.update({f"m.k{number % 4}": {"n": number, "raw": b"\x00"}, **old})
        if revision in pins:
            await state.snapshot(str(revision))
        if number % 5 == 0:
            await state.delete("old.a" if number == 5 else f"m.k{number % 3}")
    await alone.set_retention(Retention(revisions=6), state_id)
    assert (await alone.compact(state_id)).revisions == 18 - len(pins)
    before = await seen_of_kept(state, pins)
    original = {path: await last_change(state, path) for path in PATHS}
    assert (original["old.a"], original["old.b"], original["old"]) == (6, 1, 6)
    lines = await exported(alone, state_id)
    kinds = [*["kept"] * len(pins), "floor", *["revision"] * 5, *["snapshot"] * len(pins), "end"]
    assert [next(iter(json.loads(line))) for line in lines[1:]] == kinds
    await elsewhere.import_state(state_id, lines)
    assert await seen_of_kept(elsewhere.state(state_id), pins) == before
    assert await exported(elsewhere, state_id) == lines
    # Back again, into a new life of it.
    await alone.delete_state(state_id)
    await alone.import_state(state_id, await exported(elsewhere, state_id))
    again = alone.state(state_id)
    assert await seen_of_kept(again, pins) == before
    # What was last changed before the floor is known, and so is what has gone there.
    changed_in = {path: await last_change(again, path) for path in PATHS}
    assert changed_in == original
    # And it can be compacted further.
    await alone.set_retention(Retention(revisions=2), state_id)
    assert (await alone.compact(state_id)).revisions == 4
    assert [encode(await again.get(at=at)) for at in pins] == before["contents"][: len(pins)]


async def last_change(state: SharedState, path: str) -> int | None:
    """The revision in which a path was last changed, as a refusal tells it."""
    with pytest.raises(RevisionConflictError) as refused:
        await state.set(path, 1, expected={path: 0})
    return refused.value.actual


async def seen_of_kept(state: SharedState, pins: tuple[int, ...]) -> dict[str, Any]:
    """All that can be asked of a state of which revisions 19 to 24 are left, and some that are pinned."""
    with pytest.raises(RevisionUnavailableError) as refused:
        await state.get(at=17)
    kept = (*pins, *range(19, 25))
    return {
        "contents": [encode(await state.get(at=at)) for at in kept],
        "names": [list(await state.get("m", at=at)) for at in kept],
        "history": [without_state(entry) for entry in await state.get_history()],
        "of a path": [without_state(entry) for entry in await state.get_history("m.k1")],
        "snapshots": [(each.snapshot_id, each.revision, each.created_at) for each in await state.list_snapshots()],
        "oldest": (refused.value.oldest, refused.value.newest),
    }


async def test_what_is_nested_as_deeply_as_can_be(client: Client, elsewhere: Client, state: SharedState) -> None:
    value: Any = 1
    for _ in range(60):
        value = {"x": [value]}
    path = ".".join(["p"] * 120)
    await state.set(path, value)
    await state.set("p", 1)
    await state.restore(1)
    lines = await exported(client, state.state_id)
    await elsewhere.import_state(state.state_id, lines)
    assert encode(await elsewhere.state(state.state_id).get(path)) == encode(value)
    assert await exported(elsewhere, state.state_id) == lines
    await client.set_retention(Retention(revisions=1), state.state_id)
    await client.compact(state.state_id)
    await elsewhere.delete_state(state.state_id)
    await elsewhere.import_state(state.state_id, await exported(client, state.state_id))
    assert encode(await elsewhere.state(state.state_id).get(path)) == encode(value)


@pytest.mark.slow
async def test_a_line_that_travels_in_pieces(client: Client, elsewhere: Client, state: SharedState) -> None:
    large = "\x01" * 4 * 1024 * 1024  # each of them takes six characters
    await state.set("large", large)
    await state.set("small", 1)
    assert await elsewhere.import_state(state.state_id, client.export_state(state.state_id)) == 2
    assert await elsewhere.state(state.state_id).get("large") == large
    assert await elsewhere.state(state.state_id).get("small") == 1


@pytest.mark.slow
async def test_nobody_sees_half_of_it(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.update({f"k{number}": "x" * 1000 for number in range(10)})
    await asyncio.gather(*(state.set("x", "x" * 1000 + str(number)) for number in range(3000)))
    lines = await exported(client, state.state_id)
    states = await elsewhere.list_states()
    looked = 0

    async def slowly() -> AsyncIterator[str]:
        nonlocal looked
        for number, line in enumerate(lines):
            if number % 500 == 499:
                assert await elsewhere.state(state.state_id).revision() == 0
                assert await elsewhere.list_states() == states
                looked += 1
            yield line

    assert await elsewhere.import_state(state.state_id, slowly()) == 3001
    assert looked == 6
    assert await elsewhere.list_states() == sorted([*states, state.state_id])


async def test_the_pages_are_of_one_moment(client: Client, elsewhere: Client, state: SharedState) -> None:
    await asyncio.gather(*(state.set("x", "x" * 1000 + str(number)) for number in range(1500)))
    lines = client.export_state(state.state_id)
    got = [await anext(lines)]
    await state.set("later", 1)
    await state.snapshot("later")
    got += [line async for line in lines]
    assert await elsewhere.import_state(state.state_id, got) == 1500
    assert await elsewhere.state(state.state_id).list_snapshots() == []
    assert not await elsewhere.state(state.state_id).exists("later")


async def test_what_is_there_already(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    lines = await exported(client, state.state_id)
    with pytest.raises(StateExistsError):
        await client.import_state(state.state_id, lines)
    snapshot = await state.snapshot()
    await client.delete_state(state.state_id)
    assert await client.import_state(state.state_id, lines) == 1
    again = client.state(state.state_id)
    assert await again.get("x") == 1
    assert await again.list_snapshots() == []
    with pytest.raises(StateNotFoundError):
        await state.get("x")
    await again.set("x", 2)
    assert await again.revision() == 2
    assert snapshot.revision == 1


async def test_somebody_writes_it_meanwhile(client: Client, state: SharedState, state_id: str) -> None:
    await state.set("x", "x" * 3_000_000)  # so that the import has begun by then
    lines = await exported(client, state.state_id)
    other = client.state(f"{state_id}-2")

    async def meanwhile() -> AsyncIterator[str]:
        for line in lines:
            yield line
        await other.set("mine", 1)

    with pytest.raises(StateExistsError):
        await client.import_state(other.state_id, meanwhile())
    assert await other.to_dict() == {"mine": 1}


async def test_only_snapshots(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.snapshot("nothing yet")
    assert await elsewhere.import_state(state.state_id, client.export_state(state.state_id)) == 0
    there = elsewhere.state(state.state_id)
    assert [taken.label for taken in await there.list_snapshots()] == ["nothing yet"]
    assert state.state_id not in await elsewhere.list_states()
    await there.set("x", 1)
    assert await there.revision() == 1


async def test_there_is_nothing_to_export(client: Client, state: SharedState) -> None:
    with pytest.raises(InvalidArgumentError, match="must name a state that has been written"):
        await exported(client, state.state_id)
    await state.set("x", 1)
    await client.delete_state(state.state_id)
    with pytest.raises(StateNotFoundError):
        await exported(client, state.state_id)


async def test_a_state_of_a_workflow_that_somebody_holds(client: Client, state: SharedState, state_id: str) -> None:
    await state.set("x", 1)
    lines = await exported(client, state.state_id)
    async with client.workflow(f"{state_id}-held"):
        with pytest.raises(lastgood.WorkflowBusyError):
            await client.import_state(f"{state_id}-held", lines)


def test_the_blocking_twin(daemon: DaemonProcess, state_id: str) -> None:
    with lastgood.sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        client.state(state_id).set("x", [1, b"\x00"])
        lines = list(client.export_state(state_id))
        assert client.import_state(f"{state_id}-copy", lines) == 1
        assert client.state(f"{state_id}-copy").get("x") == [1, b"\x00"]
        with pytest.raises(InvalidArgumentError, match="must be an iterable of lines"):
            client.import_state(f"{state_id}-other", "text")


async def test_by_age_of_what_was_imported(alone: Client) -> None:
    """Its revisions are as old as they were."""
    state = alone.state("trip")
    await state.set("x", 1)
    (entry,) = await state.get_history()
    await alone.import_state("copy", await exported(alone, "trip"))
    (copied,) = await alone.state("copy").get_history()
    assert copied.timestamp == entry.timestamp
    assert await alone.state("copy").get("x", at=entry.timestamp) == 1
    assert await alone.state("copy").get("x", at=entry.timestamp - timedelta(seconds=1)) is None
