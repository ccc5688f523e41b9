"""api.md, "Connecting": list_states, delete_state, server_info; ids of states; what a deletion leaves."""

import asyncio
from pathlib import Path

import pytest
from tests.api.verbs import CONTENT, WRITES
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    Client,
    InvalidArgumentError,
    RevisionConflictError,
    SharedState,
    SnapshotNotFoundError,
    StateNotFoundError,
)

ODD_IDS = [
    "wf/1",
    "wf_1",
    "wf\\1",
    "wf:1",
    "wf 1",
    "WF_1",
    "../x",
    "../../../../tmp/x",
    "x",
    "..",
    ".",
    "/",
    "/etc/passwd",
    "~",
    "a.b",
    "daemon.lock",
    "a\x00b",
    "a\x00",
    "a",
    "a ",
    "\n",
    "\u00e9",
    "e\u0301",
    "\u212b",
    "\u00c5",
    "\u202eabc",
    "\ufeffabc",
    "abc",
    "\uffff",
    "\U0010ffff",
    "\U0001f9d1\u200d\U0001f680" * 30,
    "%2e%2e%2f",
    "'; drop table records; --",
    "x" * 1000,
    "x" * 1001,
]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def test_every_id_is_a_state_of_its_own_and_touches_no_other_file(folder: Path) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            await client.state("first").set("x", 1)
            before = _files(folder.parent)
            for number, state_id in enumerate(ODD_IDS):
                state = client.state(state_id)
                assert await state.set("number", number) == 1
                await state.snapshot(state_id)
                await client.checkpoints.create_checkpoint(state_id, number, "a", "completed", state)
                await client.workflow(f"{state_id}-wf").try_resume()
            assert _files(folder.parent) == before
            assert await client.list_states() == sorted([*ODD_IDS, "first"], key=lambda each: each.encode())
            process.kill()
            process.start()
            for number, state_id in enumerate(ODD_IDS):
                state = client.state(state_id)
                assert state.state_id == state_id
                assert await state.to_dict() == {"number": number}
                assert [each.label for each in await state.list_snapshots()] == [state_id]
                (checkpoint,) = await client.checkpoints.list_checkpoints(state_id)
                assert (checkpoint.workflow_id, checkpoint.step) == (state_id, number)
    finally:
        process.close()


async def test_an_id_that_is_too_long(client: Client) -> None:
    with pytest.raises(InvalidArgumentError):
        await client.state("x" * 1_000_000).get()


@pytest.mark.slow
async def test_list_states(client: Client, state_id: str) -> None:
    ids = [f"{state_id}-{number:04}" for number in range(1100)]
    await asyncio.gather(*(client.state(each).set("x", 1) for each in reversed(ids)))
    listed = await client.list_states()
    assert [each for each in listed if each.startswith(state_id)] == ids
    await client.delete_state(ids[1000])
    await client.state(f"{state_id}-only-read").get()
    listed = await client.list_states()
    assert [each for each in listed if each.startswith(state_id)] == [*ids[:1000], *ids[1001:]]


async def test_server_info(client: Client, daemon: DaemonProcess) -> None:
    info = await client.server_info()
    assert info.version == lastgood.__version__
    assert info.address == daemon.address
    assert Path(info.data_dir) == daemon.folder
    async with lastgood.connect(info.address) as by_address:
        assert await by_address.server_info() == info


# Deletion


async def test_delete_state_tells_whether_there_was_one(client: Client, state: SharedState) -> None:
    assert await client.delete_state(state.state_id) is False
    await state.set("x", 1)
    assert await client.delete_state(state.state_id) is True
    assert await client.delete_state(state.state_id) is False
    assert state.state_id not in await client.list_states()


@pytest.mark.parametrize("verb", WRITES)
async def test_late_writes_are_refused_and_do_not_resurrect_it(
    client: Client, second_client: Client, state: SharedState, verb: str
) -> None:
    await state.set("", CONTENT)
    await second_client.delete_state(state.state_id)
    with pytest.raises(StateNotFoundError) as caught:
        await WRITES[verb](state)
    assert caught.value.state_id == state.state_id
    assert isinstance(caught.value, LookupError)
    assert state.state_id not in await client.list_states()
    assert await client.state(state.state_id).revision() == 0


async def test_old_handles_are_refused_whatever_they_ask(client: Client, state: SharedState) -> None:
    await state.set("", CONTENT)
    snapshot = await state.snapshot()
    assert snapshot.snapshot_id is not None
    await client.delete_state(state.state_id)
    for call in (
        state.get("text"),
        state.read("text"),
        state.exists("text"),
        state.keys(),
        state.to_dict(),
        state.revision(),
        state.get_history(),
        state.snapshot(),
        state.list_snapshots(),
        state.get_snapshot(snapshot.snapshot_id),
        state.preview(1),
        state.diff(0),
        state.fork(),
        state.lineage(),
        state.get("text", at=1),
    ):
        with pytest.raises(StateNotFoundError):
            await call


async def test_old_handles_stay_refused_when_a_new_life_has_begun(client: Client, state: SharedState) -> None:
    await state.set("x", "old")
    await client.delete_state(state.state_id)
    new = client.state(state.state_id)
    assert await new.set("x", "new") == 1
    with pytest.raises(StateNotFoundError):
        await state.set("x", "late")
    with pytest.raises(StateNotFoundError):
        await state.get("x")
    assert await new.get("x") == "new"


async def test_a_new_handle_starts_at_revision_0(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    await state.set("x", 2)
    snapshot = await state.snapshot()
    await client.delete_state(state.state_id)
    new = client.state(state.state_id, initial_data={"fresh": True})
    assert await client.state(state.state_id).revision() == 0
    assert await new.revision() == 1
    assert await new.to_dict() == {"fresh": True}
    assert [entry.revision for entry in await new.get_history()] == [1]
    assert await new.list_snapshots() == []
    assert await new.set("x", 1, expected={"x": 0}) == 2, "nothing of the old life counts"
    assert snapshot.snapshot_id is not None
    with pytest.raises(SnapshotNotFoundError):
        await new.get_snapshot(snapshot.snapshot_id)


async def test_what_names_the_old_life_names_nothing_any_more(client: Client, state: SharedState) -> None:
    await state.set("x", "old")
    snapshot = await state.snapshot()
    (entry,) = await state.get_history()
    await client.delete_state(state.state_id)
    new = client.state(state.state_id)
    await new.set("x", "new")
    for target in (snapshot, entry.snapshot):
        for call in (new.restore(target), new.preview(target), new.get("x", at=target), new.fork(at=target)):
            with pytest.raises(StateNotFoundError):
                await call
    assert await new.to_dict() == {"x": "new"}


async def test_it_may_be_deleted_and_begun_again_many_times(client: Client, state_id: str) -> None:
    for number in range(5):
        state = client.state(state_id)
        assert await state.set("x", number, expected=0) == 1
        assert await client.delete_state(state_id) is True
    assert await client.state(state_id).to_dict() == {}


async def test_a_fork_outlives_its_origin(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    fork = await state.fork()
    await client.delete_state(state.state_id)
    assert await fork.to_dict() == {"x": 1}
    origin = await fork.lineage()
    assert origin is not None
    assert (origin.state_id, origin.revision) == (state.state_id, 1)


async def test_a_deletion_survives_a_restart(folder: Path) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            old = client.state("s")
            await old.set("x", 1)
            await old.snapshot()
            await client.delete_state("s")
            process.kill()
            process.start()
            with pytest.raises(StateNotFoundError):
                await old.set("x", 2)
            new = client.state("s")
            assert await new.revision() == 0
            assert await new.list_snapshots() == []
            with pytest.raises(RevisionConflictError):
                await new.set("x", 1, expected=1)
            assert await client.list_states() == []
    finally:
        process.close()
