"""api.md, SharedState: fork and lineage."""

import pytest

from lastgood import Client, Lineage, RevisionUnavailableError, SharedState, StateExistsError


async def test_a_fork_is_a_new_state_with_that_content_as_revision_1(client: Client, state: SharedState) -> None:
    await state.set("b", {"y": 1, "x": [1]})
    await state.set("a", 2)
    fork = await state.fork(f"{state.state_id}-fork")
    assert isinstance(fork, SharedState)
    assert fork.state_id == f"{state.state_id}-fork"
    assert await fork.to_dict() == {"b": {"y": 1, "x": [1]}, "a": 2}
    assert list(await fork.to_dict()) == ["b", "a"]
    assert await fork.revision() == 1
    (entry,) = await fork.get_history()
    assert (entry.revision, entry.operation, entry.agent_id) == (1, "fork", "tester")
    assert fork.state_id in await client.list_states()


async def test_both_go_their_own_way(state: SharedState) -> None:
    await state.set("a", 1)
    fork = await state.fork()
    await fork.set("a", "fork")
    await state.set("a", "origin")
    await state.set("b", "origin")
    assert await fork.to_dict() == {"a": "fork"}
    assert await state.to_dict() == {"a": "origin", "b": "origin"}
    await fork.restore(1)
    assert await fork.to_dict() == {"a": 1}
    assert await fork.list_snapshots() == []


async def test_without_an_id_it_gets_one_of_its_own(state: SharedState) -> None:
    first, second = await state.fork(), await state.fork()
    assert len({state.state_id, first.state_id, second.state_id}) == 3


async def test_at(client: Client, state: SharedState) -> None:
    await state.set("a", 1)
    snapshot = await state.snapshot()
    checkpoint = await client.checkpoints.create_checkpoint(state.state_id, 0, "a", "completed", state)
    (entry,) = await state.get_history()
    await state.set("a", 2)
    for at in (1, snapshot, checkpoint, entry.snapshot, entry.timestamp):
        fork = await state.fork(at=at)
        assert await fork.to_dict() == {"a": 1}
        assert await fork.lineage() == Lineage(state.state_id, 1, 1)
        assert await fork.revision() == 1
    with pytest.raises(RevisionUnavailableError):
        await state.fork(f"{state.state_id}-never", at=9)
    assert f"{state.state_id}-never" not in await client.list_states()


async def test_an_id_in_use(client: Client, state: SharedState) -> None:
    await state.set("a", 1)
    other = client.state(f"{state.state_id}-other")
    await other.set("mine", 1)
    for taken in (state.state_id, other.state_id):
        with pytest.raises(StateExistsError) as caught:
            await state.fork(taken)
        assert caught.value.state_id == taken
    assert await other.to_dict() == {"mine": 1}
    await client.delete_state(other.state_id)
    assert await (await state.fork(other.state_id)).to_dict() == {"a": 1}


async def test_lineage_names_the_origin(state: SharedState) -> None:
    await state.set("a", 1)
    await state.set("a", 2)
    assert await state.lineage() is None
    fork = await state.fork()
    origin = await fork.lineage()
    assert origin is not None
    assert (origin.state_id, origin.revision) == (state.state_id, 2)
    again = await (await fork.fork()).lineage()
    assert again is not None
    assert (again.state_id, again.revision) == (fork.state_id, 1)


async def test_of_a_state_that_nobody_has_written(client: Client, state: SharedState) -> None:
    fork = await state.fork()
    assert await fork.to_dict() == {}
    assert await fork.revision() == 1
    assert fork.state_id in await client.list_states()


async def test_at_a_snapshot_of_another_state_or_daemon(client: Client, elsewhere: Client, state: SharedState) -> None:
    for owner in (client, elsewhere):
        other = owner.state(f"{state.state_id}-other", initial_data={"x": repr(owner)})
        fork = await state.fork(at=await other.snapshot())
        assert await fork.to_dict() == {"x": repr(owner)}
        assert await state.revision() == 0


async def test_an_id_is_valid_text(state: SharedState) -> None:
    with pytest.raises(ValueError, match="state_id"):
        await state.fork("")
