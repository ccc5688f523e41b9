"""Mistakes that everyone makes once: each is an error that says what was wrong, and what to do."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

import lastgood
from lastgood import (
    Client,
    ClientUnusableError,
    InvalidArgumentError,
    InvalidValueError,
    RevisionUnavailableError,
    StepOrderError,
    Transaction,
    WorkflowBusyError,
)


async def test_update_names_the_path_of_a_value_that_cannot_be_stored(client: Client, state_id: str) -> None:
    state = client.state(state_id)

    with pytest.raises(InvalidValueError, match=r"'b\.c'") as refused:
        await state.update({"a": 1, "b.c": {"d": (2,)}})

    assert (refused.value.path, refused.value.type_name) == ("b.c.d", "tuple")
    with pytest.raises(InvalidValueError, match="in item 1"):
        await state.append("list", 1, {2})
    assert await state.revision() == 0


async def test_a_write_of_a_transaction_that_is_awaited(client: Client, state_id: str) -> None:
    state = client.state(state_id)

    with pytest.raises(InvalidArgumentError, match=r"plain calls that buffer"):
        async with state.transaction() as tx:
            await tx.set("x", 1)  # type: ignore[func-returns-value, misc]  # the mistake

    assert await state.revision() == 0


async def test_another_type_error_in_a_transaction_goes_on(client: Client, state_id: str) -> None:
    async def mistake(tx: Transaction) -> None:
        tx.set("x", 1)
        _ = 1 + "x"  # type: ignore[operator]  # the mistake

    with pytest.raises(TypeError, match="unsupported operand"):
        await client.state(state_id).transact(mistake)


async def test_a_plain_function_in_transact(client: Client, state_id: str) -> None:
    state = client.state(state_id)

    def write(tx: Transaction) -> None:
        tx.set("x", 1)

    await state.transact(write)  # type: ignore[arg-type]  # not async

    assert await state.get("x") == 1
    with pytest.raises(InvalidArgumentError, match="function must be a function"):
        await state.transact(1)  # type: ignore[arg-type]  # the mistake


async def test_writing_past_one_s_own_claim(client: Client, state_id: str) -> None:
    state = client.state(state_id)

    async with client.workflow(state_id) as workflow:
        with pytest.raises(WorkflowBusyError, match=r"write through workflow\.state") as refused:
            await state.set("x", 1)
        assert refused.value.workflow_id == state_id
        await workflow.state.set("x", 2)

    await state.set("x", 3)


async def test_a_step_after_its_claim_has_ended(client: Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    async with workflow, workflow.step(0, "a") as step:
        await step.state.set("x", 1)

    assert workflow.current_step == 1
    with pytest.raises(StepOrderError, match="after its claim has ended"):
        async with workflow.step(1, "a"):
            pass
    await workflow.try_resume()
    async with workflow.step(1, "a"):
        pass


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_what_belongs_to_one_process_is_not_taken_elsewhere(client: Client, state_id: str, take: object) -> None:
    assert callable(take)
    state, workflow = client.state(state_id), client.workflow(state_id)
    for thing in (client, state, client.checkpoints, workflow, workflow.step(0), state.transaction()):
        with pytest.raises(ClientUnusableError, match="cannot be pickled or copied") as refused:
            take(thing)
        assert refused.value.reason == "CLIENT_NOT_PICKLABLE"


@pytest.mark.parametrize(
    "time",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
async def test_a_time_that_utc_cannot_say(client: Client, state_id: str, time: datetime) -> None:
    state = client.state(state_id)
    await state.set("x", 1)

    for call in (state.get("x", at=time), state.restore(time), state.get_history(after=time)):
        with pytest.raises(InvalidArgumentError, match="year"):
            await call


async def test_the_nearest_revision_that_is_there(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    for number in range(5):
        await state.set("x", number)
    await client.set_retention(lastgood.Retention(revisions=2), state_id)
    await client.compact(state_id)

    with pytest.raises(RevisionUnavailableError) as refused:
        await state.get("x", at=2)

    assert (refused.value.oldest, refused.value.newest, refused.value.nearest) == (4, 5, 4)


async def test_extremes_of_time_that_utc_can_say(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("x", 1)
    assert await state.get("x", at=datetime.max.replace(tzinfo=UTC)) == 1
    assert await state.get("x", at=datetime.min.replace(tzinfo=UTC)) is None
    for number in range(3):
        await state.set("x", number)
    await client.set_retention(lastgood.Retention(revisions=1), state_id)
    await client.compact(state_id)
    assert await state.get("x", at=datetime.min.replace(tzinfo=UTC)) is None, "before the state was made it was empty"
