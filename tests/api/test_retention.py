"""How long the past is kept: policies, and what goes by them."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
import lastgood.sync
from lastgood import (
    AgentStatus,
    Client,
    Compaction,
    FencedError,
    InvalidArgumentError,
    Retention,
    RetentionInForce,
    StateNotFoundError,
)

COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED
AT_ONCE = timedelta(microseconds=1)
LONG = timedelta(days=1)
ALL = Retention(
    revisions=7,
    age=timedelta(days=3, microseconds=1),
    bytes=10_000_000,
    ttl=timedelta(days=3_652_500),
    checkpoints=2**62,
    superseded=timedelta(0),
)


async def marked(client: Client, wf: str, *made: AgentStatus) -> None:
    """Make the checkpoints of a workflow, one a step, each of what the state was by then."""
    workflow = client.workflow(wf, initial_state={"step": -1})
    await workflow.try_resume()
    for step, status in enumerate(made):
        await workflow.state.set("step", step)
        await workflow.checkpoint(step, "agent", status)


async def went(client: Client, state_id: str | None = None) -> Compaction:
    """Apply the policies; by how much the file shrinks is left out, and copies, which may be those of other tests."""
    return replace(await client.compact(state_id), bytes=0, copies=0)


async def steps(client: Client, wf: str) -> list[int]:
    return [checkpoint.step for checkpoint in await client.checkpoints.list_checkpoints(wf)]


# Policies


async def test_what_was_set_is_in_force_after_a_crash_too(own_daemon: DaemonProcess, alone: Client) -> None:
    assert await alone.get_retention() == RetentionInForce(None, own=False)
    assert await alone.get_retention("s") == RetentionInForce(None, own=False)
    await alone.set_retention(ALL)
    await alone.set_retention(Retention(), "s")
    await alone.set_retention(Retention(revisions=1), "gone")
    await alone.set_retention(None, "gone")
    for _ in range(2):
        assert await alone.get_retention() == RetentionInForce(ALL, own=False)
        assert await alone.get_retention("s") == RetentionInForce(Retention(), own=True)
        assert await alone.get_retention("gone") == RetentionInForce(ALL, own=False)
        own_daemon.kill()
        own_daemon.start()
    await alone.set_retention(None)
    assert await alone.get_retention() == RetentionInForce(None, own=False)
    await alone.set_retention(None)
    assert await alone.list_states() == [], "a policy makes no state"


async def test_each_client_sees_it(client: Client, second_client: Client, state_id: str) -> None:
    await client.set_retention(Retention(checkpoints=3), state_id)
    assert await second_client.get_retention(state_id) == RetentionInForce(Retention(checkpoints=3), own=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"revisions": 0},
        {"revisions": -1},
        {"revisions": True},
        {"revisions": 1.0},
        {"revisions": 2**63},
        {"bytes": 0},
        {"bytes": "10MB"},
        {"checkpoints": 0},
        {"age": timedelta(0)},
        {"age": 7},
        {"ttl": timedelta(0)},
        {"ttl": timedelta(seconds=-1)},
        {"ttl": timedelta.max},
        {"superseded": timedelta(seconds=-1)},
        {"superseded": 0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Retention(**wrong)  # type: ignore[arg-type]
    (name,) = wrong
    assert refused.value.field == name
    assert name in str(refused.value)


async def test_only_a_policy_is_one(client: Client, state_id: str) -> None:
    with pytest.raises(InvalidArgumentError, match="retention"):
        await client.set_retention({"revisions": 3}, state_id)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="state_id"):
        await client.compact("")


# Checkpoints


async def test_the_last_checkpoints_stay_and_the_last_good_one(client: Client, state_id: str) -> None:
    await marked(client, state_id, COMPLETED, COMPLETED, FAILED, FAILED, FAILED)
    await client.set_retention(Retention(checkpoints=2), state_id)
    assert await went(client, state_id) == Compaction(states=1, checkpoints=2)
    assert await steps(client, state_id) == [1, 3, 4]
    assert await went(client, state_id) == Compaction()
    workflow = client.workflow(state_id)
    assert await workflow.try_resume() == 2
    assert await workflow.state.to_dict() == {"step": 1}


async def test_what_is_pruned_stays_so_after_a_restart(own_daemon: DaemonProcess, alone: Client) -> None:
    await marked(alone, "wf", COMPLETED, COMPLETED, COMPLETED)
    await alone.set_retention(Retention(checkpoints=1))
    await alone.compact()
    own_daemon.kill()
    own_daemon.start()
    assert await steps(alone, "wf") == [2]
    assert await alone.workflow("wf").try_resume() == 3


async def test_one_that_is_held_is_pruned_and_goes_on(client: Client, state_id: str) -> None:
    await client.set_retention(Retention(checkpoints=1), state_id)
    async with client.workflow(state_id) as workflow:
        for step in range(4):
            async with workflow.step(step, "agent") as at_work:
                await at_work.state.set("step", step)
                await client.compact(state_id)
    assert await steps(client, state_id) == [2, 3]
    await client.compact(state_id)
    assert await steps(client, state_id) == [3]


async def test_a_policy_of_its_own_replaces_the_default_as_a_whole(alone: Client) -> None:
    for wf in ("as-all", "own", "keeps-all"):
        await marked(alone, wf, *[COMPLETED] * 4)
    await alone.set_retention(Retention(checkpoints=1))
    await alone.set_retention(Retention(checkpoints=3), "own")
    await alone.set_retention(Retention(), "keeps-all")
    assert (await alone.compact("own")).checkpoints == 1
    assert len(await steps(alone, "as-all")) == 4, "it was about another"
    assert await went(alone) == Compaction(states=1, checkpoints=3)
    assert [len(await steps(alone, wf)) for wf in ("as-all", "own", "keeps-all")] == [1, 3, 4]
    await alone.set_retention(None, "own")
    assert (await alone.compact()).checkpoints == 2


# Superseded lines


async def test_what_a_rollback_has_put_aside_is_dropped(client: Client, state_id: str) -> None:
    called: list[int] = []
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    for step in range(3):
        async with workflow.step(step, "agent") as at_work:
            await at_work.once("call", called.append, step)
    await workflow.try_resume(step=0)
    await client.set_retention(Retention(superseded=LONG), state_id)
    assert await went(client, state_id) == Compaction()
    await client.set_retention(Retention(superseded=timedelta(0)), state_id)
    assert await went(client, state_id) == Compaction(states=1, checkpoints=2, effects=2)
    assert await steps(client, state_id) == [0]
    assert [effect.step for effect in await workflow.list_effects()] == [0]
    for step in (1, 2):
        async with workflow.step(step, "agent") as at_work:
            await at_work.once("call", called.append, step)
    assert called == [0, 1, 2, 1, 2]
    assert await went(client, state_id) == Compaction(), "what counts stays"


# Whole states


async def test_what_nobody_writes_any_more_is_deleted(own_daemon: DaemonProcess, alone: Client) -> None:
    old, young = alone.state("old"), alone.state("young")
    await old.set("x", 1)
    await young.set("x", 1)
    await alone.set_retention(Retention(ttl=AT_ONCE))
    await alone.set_retention(Retention(ttl=LONG), "young")
    assert await went(alone) == Compaction(states=1, deleted=1)
    assert await alone.list_states() == ["young"]
    with pytest.raises(StateNotFoundError):
        await old.set("x", 2)
    assert await went(alone) == Compaction(), "what is deleted is not deleted again"
    own_daemon.kill()
    own_daemon.start()
    assert await alone.list_states() == ["young"]
    fresh = alone.state("old")
    assert (await fresh.to_dict(), await fresh.revision()) == ({}, 0)
    assert await fresh.set("x", 3) == 1


async def test_a_workflow_goes_as_a_whole_and_begins_anew(client: Client, state_id: str) -> None:
    keys: list[str] = []
    before = client.workflow(state_id, initial_state={"x": 0})
    await before.try_resume()
    async with before.step(0, "agent") as step:
        keys.append(step.idempotency_key("mail"))
        await step.once("mail", str)
    await client.set_retention(Retention(ttl=AT_ONCE), state_id)
    assert await went(client, state_id) == Compaction(states=1, deleted=1)
    assert await client.workflow(state_id).status() is None
    assert state_id not in [each.workflow_id for each in await client.list_workflows()]
    assert await steps(client, state_id) == []
    assert await before.list_attempts() == []
    assert await before.list_effects() == []
    with pytest.raises(FencedError):
        await before.checkpoint(1, "agent", COMPLETED)

    after = client.workflow(state_id, initial_state={"x": 5})
    assert await after.try_resume() == 0
    assert not after.is_resumed
    assert await after.state.to_dict() == {"x": 5}
    async with after.step(0, "agent") as step:
        keys.append(step.idempotency_key("mail"))
    assert keys[0] != keys[1], "what the outside world has seen for the one before is not taken for this one's"
    with pytest.raises(FencedError):
        await before.checkpoint(1, "agent", COMPLETED)


async def test_nothing_of_it_comes_back_with_a_restart(own_daemon: DaemonProcess, alone: Client) -> None:
    workflow = alone.workflow("wf")
    await workflow.try_resume()
    for step in range(2):
        async with workflow.step(step, "agent") as at_work:
            await at_work.once("call", str)
    await workflow.try_resume(step=0)
    await alone.set_retention(Retention(ttl=AT_ONCE), "wf")
    assert (await alone.compact()).deleted == 1
    own_daemon.kill()
    own_daemon.start()
    assert await steps(alone, "wf") == []
    assert await workflow.list_attempts() == []
    assert await workflow.list_effects() == []
    assert await alone.list_workflows() == []


async def test_what_is_held_is_not_deleted(client: Client, state_id: str) -> None:
    await client.set_retention(Retention(ttl=AT_ONCE), state_id)
    async with client.workflow(state_id, initial_state={"x": 0}) as workflow:
        assert await went(client, state_id) == Compaction()
        await workflow.state.set("x", 1)
        assert await went(client, state_id) == Compaction()
        assert await workflow.state.get("x") == 1
    assert (await client.compact(state_id)).deleted == 1


async def test_what_a_checkpoint_of_another_workflow_is_made_of_is_not_deleted(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("x", 1)
    wf = f"wf-{state_id}"
    await client.checkpoints.create_checkpoint(wf, 0, "agent", COMPLETED, state)
    await client.set_retention(Retention(ttl=AT_ONCE), state_id)
    assert await went(client, state_id) == Compaction()
    workflow = client.workflow(wf)
    await workflow.try_resume()
    assert await workflow.state.get("x") == 1
    await client.checkpoints.delete_checkpoints(wf)
    assert (await client.compact(state_id)).deleted == 1


# Copies that were made for checkpoints


async def test_a_copy_goes_with_the_last_checkpoint_of_it(alone: Client) -> None:
    made = alone.checkpoints
    first = await made.create_checkpoint("wf", 0, "agent", COMPLETED, {"x": 0})
    other = await made.create_checkpoint("other", 0, "agent", COMPLETED, first.state_snapshot)
    assert await went(alone) == Compaction()
    await made.create_checkpoint("wf", 0, "agent", COMPLETED, {"x": 1})  # in its place
    assert (await alone.compact()).copies == 0, "another one is made of it"
    assert await alone.state("s").restore(other) == 1
    await made.delete_checkpoints("other")
    assert (await alone.compact()).copies == 1
    assert await alone.workflow("wf").try_resume() == 1
    assert await alone.state("wf").get("x") == 1
    await made.delete_checkpoints("wf")
    assert (await alone.compact()).copies == 1
    assert (await alone.compact()).copies == 0


async def test_one_that_somebody_took_a_snapshot_of_stays(alone: Client) -> None:
    made = await alone.checkpoints.create_checkpoint("wf", 0, "agent", COMPLETED, {"x": 0})
    taken = await alone.state(made.state_snapshot.state_id).snapshot()
    await alone.checkpoints.delete_checkpoints("wf")
    assert (await alone.compact()).copies == 0
    await alone.state("s").restore(taken)
    assert await alone.state("s").to_dict() == {"x": 0}


async def test_what_a_policy_prunes_and_its_copies_go_in_one_round(alone: Client, own_daemon: DaemonProcess) -> None:
    await alone.set_retention(Retention(checkpoints=2))
    for step in range(5):
        await alone.checkpoints.create_checkpoint(
            "wf", step, "agent", COMPLETED, {"x": random.Random(step).randbytes(200_000)}
        )
    before = _file_size(own_daemon.folder)
    found = await alone.compact()
    assert (found.checkpoints, found.copies) == (3, 3)
    assert found.bytes > 500_000
    assert await alone.workflow("wf").try_resume() == 5
    assert own_daemon.stop() == 0
    assert before - _file_size(own_daemon.folder) > 500_000, "the disk has it back"
    own_daemon.start()
    assert await alone.state("wf").get("x") == random.Random(4).randbytes(200_000)


def _file_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("lastgood.db*"))


# The blocking twin


def test_the_blocking_twin(daemon: DaemonProcess, state_id: str) -> None:
    with lastgood.sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        client.state(state_id).set("x", 1)
        client.set_retention(lastgood.sync.Retention(ttl=AT_ONCE), state_id)
        assert client.get_retention(state_id).own
        assert client.compact(state_id).deleted == 1


# What a history still says of it


async def test_who_made_the_oldest_revision_that_is_kept_is_known(own_daemon: DaemonProcess, alone: Client) -> None:
    state = alone.state("s", agent_id="ann")
    for number in range(5):
        await state.set("a.b", number)
    for revisions in (3, 1):
        await alone.set_retention(Retention(revisions=revisions), "s")
        await alone.compact("s")
        kept = [*range(6 - revisions, 6)]
        listed = await state.get_history()
        assert [entry.revision for entry in listed] == kept
        assert [entry.revision for entry in await state.get_history(newest_first=True)] == kept[::-1]
        assert [entry.revision for entry in await state.get_history(after=kept[0])] == kept[1:]
        assert [entry.revision for entry in await state.get_history(before=kept[0])] == []
        oldest = listed[0]
        assert (oldest.agent_id, oldest.operation, oldest.path, oldest.value) == ("ann", "set", "a.b", kept[0] - 1)
    own_daemon.kill()
    own_daemon.start()
    assert await state.get_history() == listed
    await state.set("a.b", 5)
    assert [entry.revision for entry in await state.get_history(limit=1, newest_first=True)] == [6]
    assert [entry.revision for entry in await state.get_history(limit=1)] == [5]


async def test_that_is_forgotten_where_it_has_a_text_that_is_redacted(own_daemon: DaemonProcess, alone: Client) -> None:
    state = alone.state("s", agent_id="ann")
    await state.set("sk-4711", 1)
    await state.delete("sk-4711")
    await alone.set_retention(Retention(revisions=1), "s")
    await alone.compact("s")
    assert [entry.path for entry in await state.get_history()] == ["sk-4711"]
    await state.set("a", "sk-4711")
    await state.redact("sk-4711")
    assert [entry.revision for entry in await state.get_history()] == [3, 4]
    assert own_daemon.stop() == 0
    assert b"sk-4711" not in (own_daemon.folder / "lastgood.db").read_bytes()
