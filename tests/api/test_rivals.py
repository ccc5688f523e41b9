"""What users of its rivals suffer from (field-notes.md): the rows that are about what there is so far."""

import asyncio
import enum
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    AgentStatus,
    Client,
    FencedError,
    InvalidValueError,
    PathError,
    ResumableWorkflow,
    RevisionConflictError,
    SharedState,
    StateNotFoundError,
)

COMPLETED = AgentStatus.COMPLETED


async def test_langgraph_8796_two_writers_do_not_both_succeed(
    client: Client, second_client: Client, state: SharedState
) -> None:
    """And nothing becomes unreachable: every acknowledged write is a revision in the one history."""
    base = await state.set("x", 0)
    writers = [client.state(state.state_id, agent_id="a"), second_client.state(state.state_id, agent_id="b")]
    results = await asyncio.gather(*(each.set("x", 1, expected=base) for each in writers), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["RevisionConflictError", "int"]
    assert [entry.revision for entry in await state.get_history()] == [1, 2]


class Mood(enum.Enum):
    GOOD = "good"


class Custom:
    x = 1


@pytest.mark.parametrize("value", [Custom(), {"nested": [Mood.GOOD]}, {"m": Mood.GOOD}, [AgentStatus.FAILED]], ids=range(4))
async def test_langgraph_7066_6718_unknown_types_are_refused_by_name(state: SharedState, value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"Custom|Mood|AgentStatus"):
        await state.set("x", value)
    assert await state.revision() == 0


async def test_langgraph_7206_a_late_write_does_not_resurrect(
    client: Client, second_client: Client, state: SharedState
) -> None:
    await state.set("x", 1)
    late = [state.increment("x") for _ in range(20)]
    results = await asyncio.gather(second_client.delete_state(state.state_id), *late, return_exceptions=True)
    assert results[0] is True
    assert all(isinstance(result, int | StateNotFoundError) for result in results)
    with pytest.raises(StateNotFoundError):
        await state.increment("x")
    assert await client.state(state.state_id).revision() == 0
    assert state.state_id not in await client.list_states()


async def test_adk_python_4751_concurrent_resumes_leave_one_writer_and_a_sound_state(
    client: Client, second_client: Client, state_id: str
) -> None:
    first = client.workflow(state_id, initial_state={"n": 0})
    await first.try_resume()
    await first.state.set("n", 1)
    await first.checkpoint(0, "a", COMPLETED)
    await first.state.set("n", "dirty")
    rivals = [each.workflow(state_id) for each in (client, second_client) for _ in range(5)]
    assert await asyncio.gather(*(rival.try_resume() for rival in rivals)) == [1] * 10
    assert sorted(rival.attempt for rival in rivals) == list(range(2, 12))

    async def go_on(rival: ResumableWorkflow) -> bool:
        try:
            await rival.state.set("n", rival.attempt)
            await rival.checkpoint(1, "a", COMPLETED)
        except FencedError:
            return False
        return True

    done = await asyncio.gather(*(go_on(rival) for rival in rivals))
    assert [rival.attempt for rival, was in zip(rivals, done, strict=True) if was] == [11]
    assert await first.state.get("n") == 11
    assert [(c.step, c.attempt) for c in await client.checkpoints.list_checkpoints(state_id)] == [(0, 1), (1, 11)]


async def test_adk_go_1229_a_second_writer_elsewhere_in_the_state_is_no_conflict(state: SharedState) -> None:
    reading = await state.set("", {"turn": {"text": ""}, "telemetry": 0})
    for _ in range(5):
        await state.increment("telemetry")
        reading = await state.set("turn.text", "more", expected={"turn": reading})
    with pytest.raises(RevisionConflictError):
        await state.set("turn.text", "whole-session version", expected=1)


async def test_adk_python_4933_going_back_keeps_what_was_set_at_creation(client: Client, state_id: str) -> None:
    state = client.state(state_id, initial_data={"user": "ann", "prefs": {"lang": "de"}})
    await state.set("prefs.lang", "en")
    await state.set("x", 1)
    await state.restore(2)
    assert await state.to_dict() == {"user": "ann", "prefs": {"lang": "en"}}
    await state.restore(1)
    assert await state.to_dict() == {"user": "ann", "prefs": {"lang": "de"}}
    workflow = client.workflow(f"{state_id}-wf", initial_state={"user": "ann"})
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.try_resume()
    assert await workflow.state.to_dict() == {"user": "ann"}


async def test_agent_framework_8513_latest_is_by_step_where_times_are_equal(client: Client, state: SharedState) -> None:
    """Sent together, they are committed together, at the same time by the clock."""
    manager, wf, steps = client.checkpoints, f"wf-{state.state_id}", (2, 9, 4, 7, 1)
    snapshots = {step: (await state.set("step", step), await state.snapshot())[1] for step in steps}
    await manager.create_checkpoint(wf, 0, "a", COMPLETED, snapshots[2])  # has the daemon read what there is of it
    made = await asyncio.gather(*(manager.create_checkpoint(wf, step, "a", COMPLETED, snapshots[step]) for step in steps))
    assert len({checkpoint.created_at for checkpoint in made}) == 1
    latest, good = await manager.get_latest_checkpoint(wf), await manager.get_last_good_checkpoint(wf)
    assert latest is not None
    assert latest == good
    assert latest.step == 9
    await state.restore(latest)
    assert await state.get("step") == 9


# splinter-agent 0.1.1


async def test_splinter_exists_is_true_for_none(state: SharedState) -> None:
    await state.set("x", None)
    assert await state.exists("x") is True


async def test_splinter_update_does_not_fail_half_way(state: SharedState) -> None:
    await state.set("text", "t")
    with pytest.raises(PathError):
        await state.update({"a": 1, "b": 2, "text.below": 3, "c": 4})
    assert await state.to_dict() == {"text": "t"}


async def test_splinter_ids_do_not_collide(client: Client, state_id: str) -> None:
    for number, name in enumerate((f"{state_id}/1", f"{state_id}_1")):
        await client.state(name).set("n", number)
        await client.checkpoints.create_checkpoint(name, 1, "a", COMPLETED, {"n": number})
    for number, name in enumerate((f"{state_id}/1", f"{state_id}_1")):
        assert await client.state(name).get("n") == number
        target = client.state(f"{name}-target")
        await target.restore(await client.checkpoints.get_checkpoint(name, 1))
        assert await target.get("n") == number


async def test_splinter_bytes_in_a_checkpoint(client: Client, state: SharedState) -> None:
    wf = f"wf-{state.state_id}"
    await state.set("blob", b"\x00\xff")
    await client.checkpoints.create_checkpoint(wf, 1, "a", COMPLETED, state, metadata={"raw": b"\x01"})
    await state.set("blob", b"")
    found = await client.checkpoints.get_latest_checkpoint(wf)
    assert found is not None
    assert found.metadata == {"raw": b"\x01"}
    await state.restore(found.state_snapshot)
    assert await state.get("blob") == b"\x00\xff"


async def test_splinter_tuples_and_datetimes_do_not_change_type(state: SharedState) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    await state.set("when", moment)
    back = await state.get("when")
    assert (type(back), back) == (datetime, moment)
    with pytest.raises(InvalidValueError, match="tuple"):
        await state.set("pair", (1, 2))


async def test_splinter_resuming_does_not_take_over_the_dirty_state(client: Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    await workflow.state.set("facts", ["good"])
    await workflow.checkpoint(0, "a", COMPLETED)
    await workflow.state.set("facts", ["garbage"])
    await workflow.checkpoint(1, "b", AgentStatus.FAILED)
    fresh = client.workflow(state_id)
    assert await fresh.try_resume() == 1
    assert await fresh.state.to_dict() == {"facts": ["good"]}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
async def test_splinter_history_keeps_no_full_copy_per_write(folder: Path) -> None:
    """Of a state of 1 MB: 300 writes, snapshots, checkpoints and rollbacks would be as many megabytes."""
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            state = client.state("s")
            tree: dict[str, Any] = {"big": {f"k{number}": "x" * 1000 for number in range(1000)}, "n": 0}
            await state.set("", tree)
            for number in range(100):
                await state.set("n", number)
                await state.set(f"big.k{number}", "y")
                await state.snapshot()
                await client.checkpoints.create_checkpoint("wf", number, "a", COMPLETED, state)
                await state.restore(1 + 2 * number)
            assert await state.revision() == 301
        assert process.stop() == 0
        assert _size(folder) < 8 * 1024 * 1024
    finally:
        process.close()
