"""api.md, SharedState: fork and lineage."""

import pytest

from lastgood import Client, Lineage, RevisionUnavailableError, SharedState, StateExistsError, Step


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


async def test_from_a_checkpoint_it_goes_on_as_a_new_workflow(client: Client, state_id: str) -> None:
    workflow = client.workflow(state_id, initial_state={"done": []})
    async with workflow:
        for number in range(3):
            async with workflow.step(number) as step:
                await step.state.append("done", number)
    made = await client.checkpoints.get_checkpoint(state_id, 1)
    fork = await client.state(state_id).fork(at=made)
    assert await fork.to_dict() == {"done": [0, 1]}
    origin = await fork.lineage()
    assert origin is not None
    assert (origin.state_id, origin.revision) == (state_id, made.state_snapshot.revision)
    other = client.workflow(fork.state_id, initial_state={"done": "ignored, since it has begun"})
    async with other:
        assert (other.current_step, other.is_resumed, other.attempt) == (2, True, 1)
        async with other.step(2) as step:
            await step.state.append("done", "another way")
    assert await other.state.get("done") == [0, 1, "another way"]
    assert await workflow.state.get("done") == [0, 1, 2], "the origin stays as it is"
    assert await other.try_resume() == 3


async def half_of_it(step: Step) -> None:
    await step.state.set("x", "half")
    raise ZeroDivisionError


async def test_from_a_failed_checkpoint_the_step_is_done_again_in_the_state_as_it_was(client: Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    async with workflow:
        async with workflow.step(0) as step:
            await step.state.set("x", 1)
        with pytest.raises(ZeroDivisionError):
            await workflow.step(1).run(half_of_it)
    failed = await client.checkpoints.get_latest_checkpoint(state_id)
    fork = await client.state(state_id).fork(at=failed)
    other = client.workflow(fork.state_id)
    assert await other.try_resume() == 1
    assert await other.state.to_dict() == {"x": "half"}
