"""api.md, SharedState: snapshot, list_snapshots, get_snapshot, delete_snapshot; ``Snapshot``."""

import asyncio
import copy
import dataclasses
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import printed

from lastgood import Client, InvalidArgumentError, InvalidValueError, SharedState, Snapshot, SnapshotNotFoundError


async def test_a_snapshot_names_the_present_revision(state: SharedState) -> None:
    await state.set("a", 1)
    before = datetime.now(UTC) - timedelta(seconds=1)
    snapshot = await state.snapshot()
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.state_id, snapshot.revision) == (state.state_id, 1)
    assert snapshot.label is None
    assert snapshot.metadata is None
    assert snapshot.snapshot_id
    assert snapshot.created_at is not None
    assert before < snapshot.created_at < before + timedelta(minutes=5)
    assert snapshot.created_at.utcoffset() == timedelta(0)


async def test_taking_one_is_no_revision(state: SharedState) -> None:
    await state.set("a", 1)
    await state.snapshot("label")
    assert await state.revision() == 1
    assert len(await state.get_history()) == 1


async def test_label_and_metadata(state: SharedState) -> None:
    metadata = {"why": "before the risky part", "n": [1, None, b"x"], "when": datetime(2026, 1, 1, tzinfo=UTC)}
    snapshot = await state.snapshot("risky", metadata=metadata)
    assert (snapshot.label, snapshot.metadata) == ("risky", metadata)
    assert snapshot.snapshot_id is not None
    assert await state.get_snapshot(snapshot.snapshot_id) == snapshot
    empty = await state.snapshot("", metadata={})
    assert (empty.label, empty.metadata) == ("", {})


async def test_metadata_is_a_map_of_values(state: SharedState) -> None:
    for metadata in ([1], {"bad": {1}}, "text"):
        with pytest.raises(InvalidValueError):
            await state.snapshot(metadata=metadata)  # type: ignore[arg-type]
    assert await state.list_snapshots() == []


async def test_list_get_and_delete(state: SharedState) -> None:
    await state.set("a", 1)
    first = await state.snapshot("first")
    again = await state.snapshot("first")
    await state.set("a", 2)
    second = await state.snapshot()
    assert await state.list_snapshots() == [first, again, second]
    assert first.snapshot_id != again.snapshot_id
    assert await state.delete_snapshot(first) is True
    assert await state.delete_snapshot(first) is False
    assert await state.list_snapshots() == [again, second]
    assert first.snapshot_id is not None
    with pytest.raises(SnapshotNotFoundError) as caught:
        await state.get_snapshot(first.snapshot_id)
    assert caught.value.snapshot_id == first.snapshot_id
    assert second.snapshot_id is not None
    assert await state.delete_snapshot(second.snapshot_id) is True
    assert await state.list_snapshots() == [again]
    assert len(await state.get_history()) == 2, "the history stays as it is"


async def test_delete_takes_only_a_snapshot_that_was_taken_of_this_state(client: Client, state: SharedState) -> None:
    await state.set("a", 1)
    other = client.state(f"{state.state_id}-other")
    taken = await other.snapshot()
    (entry,) = await state.get_history()
    for wrong in (taken, entry.snapshot):
        with pytest.raises(InvalidArgumentError):
            await state.delete_snapshot(wrong)
    assert await other.list_snapshots() == [taken]


async def test_more_than_a_page_of_them(state: SharedState) -> None:
    await state.set("a", 1)
    taken = [await state.snapshot(str(number)) for number in range(3)]
    taken += await asyncio.gather(*(state.snapshot(str(number)) for number in range(3, 1100)))
    listed = await state.list_snapshots()
    assert [snapshot.label for snapshot in listed] == [str(number) for number in range(1100)]
    assert listed == taken


async def test_snapshots_of_different_states_are_apart(client: Client, state: SharedState) -> None:
    snapshot = await state.snapshot()
    other = client.state(f"{state.state_id}-other")
    assert await other.list_snapshots() == []
    assert snapshot.snapshot_id is not None
    with pytest.raises(SnapshotNotFoundError):
        await other.get_snapshot(snapshot.snapshot_id)


async def test_a_snapshot_of_a_state_that_nobody_has_written(client: Client, state: SharedState) -> None:
    snapshot = await state.snapshot("empty")
    assert snapshot.revision == 0
    assert state.state_id not in await client.list_states()
    await state.set("a", 1)
    assert await state.get("", at=snapshot) == {}
    assert await state.restore(snapshot) == 2
    assert await state.to_dict() == {}


async def test_it_keeps_what_was_there_however_much_follows(state: SharedState) -> None:
    await state.set("a", {"deep": [1, 2]})
    snapshot = await state.snapshot()
    await asyncio.gather(*(state.set("a.deep", number) for number in range(400)))
    await state.delete("a")
    assert await state.get("a.deep", at=snapshot) == [1, 2]


# The object


async def test_it_is_immutable_and_compares_by_content(state: SharedState) -> None:
    snapshot = await state.snapshot("x", metadata={"a": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.revision = 5  # type: ignore[misc]
    (listed,) = await state.list_snapshots()
    assert listed == snapshot
    assert hash(listed) == hash(snapshot)
    assert copy.deepcopy(snapshot) == snapshot
    assert len({snapshot, listed}) == 1


async def test_it_pickles(state: SharedState) -> None:
    snapshot = await state.snapshot("x", metadata={"a": [1]})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(snapshot, protocol)) == snapshot  # noqa: S301 - our own


async def test_everything_else_that_calls_return_pickles_too(client: Client, state: SharedState) -> None:
    await state.set("a", [1])
    made = await client.checkpoints.create_checkpoint(state.state_id, 1, "a", "completed", state, {"total_cost": 1.5})
    returned = [
        *await state.get_history("a"),
        *await state.diff(0),
        await state.read("a"),
        await (await state.fork()).lineage(),
        made,
        await client.server_info(),
    ]
    for each in returned:
        assert pickle.loads(pickle.dumps(each)) == each  # noqa: S301 - our own


async def test_a_pickled_one_is_restored_by_another_client(state: SharedState, second_client: Client) -> None:
    await state.set("a", "good")
    pickled = pickle.dumps(await state.snapshot())
    await state.set("a", "bad")
    await second_client.state(state.state_id).restore(pickle.loads(pickled))  # noqa: S301 - our own
    assert await state.get("a") == "good"


async def test_a_pickled_one_is_restored_in_another_process(
    daemon: DaemonProcess, state: SharedState, client: Client
) -> None:
    """Into its own state, and into a new one, by the default client of that process."""
    await state.set("a", "good")
    pickled = pickle.dumps(await state.snapshot())
    await state.set("a", "bad")
    lines = printed(
        """
        import asyncio, pickle, sys
        from lastgood import SharedState

        async def main():
            snapshot = pickle.loads(bytes.fromhex(sys.argv[1]))
            print(await SharedState(snapshot.state_id).restore(snapshot))
            new = SharedState(snapshot.state_id + "-new")
            print(await new.restore(snapshot))
            print(await new.get("a"))

        asyncio.run(main())
        """,
        pickled.hex(),
        changes={"LASTGOOD_DATA_DIR": str(daemon.folder), "LASTGOOD_AUTOSTART": "0"},
    )
    assert lines == ["3", "1", "good"]
    assert await state.get("a") == "good"
    assert await client.state(f"{state.state_id}-new").to_dict() == {"a": "good"}


async def test_it_knows_its_daemon(
    state: SharedState, elsewhere: Client, other_daemon: DaemonProcess, state_id: str
) -> None:
    """Restored in a process that has a connection to another daemon only."""
    await state.set("a", {"x": ["good"]})
    pickled = pickle.dumps(await state.snapshot())
    await state.set("a", "bad")
    await elsewhere.state(state_id).set("b", "of the same id, but of the other daemon")
    lines = printed(
        """
        import asyncio, pickle, sys
        import lastgood

        async def main():
            snapshot = pickle.loads(bytes.fromhex(sys.argv[1]))
            async with lastgood.connect(data_dir=sys.argv[2], autostart=False) as client:
                print(await client.state(snapshot.state_id).restore(snapshot))

        asyncio.run(main())
        """,
        pickled.hex(),
        other_daemon.folder,
        changes={"LASTGOOD_AUTOSTART": "0"},
    )
    assert lines == ["2"]
    assert await elsewhere.state(state_id).to_dict() == {"a": {"x": ["good"]}}
    assert await state.get("a") == "bad"
