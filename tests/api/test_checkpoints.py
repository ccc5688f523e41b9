"""api.md, "Checkpoints"."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess, end_autostarted

import lastgood
from lastgood import (
    AgentStatus,
    Checkpoint,
    CheckpointManager,
    CheckpointNotFoundError,
    Client,
    ExecutionMetrics,
    FileCheckpointStorage,
    InvalidArgumentError,
    InvalidValueError,
    RevisionUnavailableError,
    SharedState,
    Snapshot,
    StateNotFoundError,
)

COMPLETED, FAILED, RUNNING = AgentStatus.COMPLETED, AgentStatus.FAILED, AgentStatus.RUNNING


@pytest.fixture
def manager(client: Client) -> CheckpointManager:
    return client.checkpoints


@pytest.fixture
def wf(state_id: str) -> str:
    """A workflow that has nothing to do with the state ``state``."""
    return f"wf-{state_id}"


def _steps(checkpoints: list[Checkpoint]) -> list[int]:
    return [checkpoint.step for checkpoint in checkpoints]


async def test_everything_that_a_checkpoint_has(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    before = datetime.now(UTC)
    made = await manager.create_checkpoint(
        workflow_id=wf,
        step=5,
        agent_id="researcher",
        status=COMPLETED,
        state=state,
        metrics=ExecutionMetrics(1.5, 2, 30, 10, 20, 4.25),
        metadata={"note": [1, None]},
    )
    assert (made.workflow_id, made.step, made.attempt, made.agent_id) == (wf, 5, 0, "researcher")
    assert made.status is AgentStatus.COMPLETED
    assert made.superseded is False
    assert before <= made.created_at <= datetime.now(UTC)
    assert made.created_at.utcoffset() == timedelta(0)
    snapshot = made.state_snapshot
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.state_id, snapshot.revision, snapshot.snapshot_id) == (state.state_id, 1, None)
    assert made.metrics == ExecutionMetrics(
        total_cost=1.5, total_steps=2, total_tokens=30, input_tokens=10, output_tokens=20, elapsed_seconds=4.25
    )
    assert made.metadata == {"note": [1, None]}
    assert await manager.get_checkpoint(wf, 5) == made
    assert await manager.get_latest_checkpoint(wf) == made
    assert await manager.list_checkpoints(wf) == [made]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.step = 6  # type: ignore[misc]


async def test_what_may_be_left_out(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    made = await manager.create_checkpoint(wf, 0, "", RUNNING, state)
    assert (made.metrics, made.metadata, made.agent_id, made.step) == (None, None, "", 0)
    assert made.state_snapshot.revision == 0
    assert await state.revision() == 0


@pytest.mark.parametrize("status", list(AgentStatus))
async def test_every_status(manager: CheckpointManager, state: SharedState, wf: str, status: AgentStatus) -> None:
    made = await manager.create_checkpoint(wf, 1, "a", status, state)
    assert made.status is status
    assert (await manager.get_checkpoint(wf, 1)).status is status
    by_text = await manager.create_checkpoint(wf, 2, "a", status.value, state)
    assert by_text.status is status


def test_the_statuses() -> None:
    assert [status.name for status in AgentStatus] == ["PENDING", "RUNNING", "COMPLETED", "FAILED", "BLOCKED"]


async def test_metrics_may_be_a_dict(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, state, {"total_cost": 2, "total_tokens": 7})
    assert made.metrics == ExecutionMetrics(total_cost=2.0, total_tokens=7)
    made = await manager.create_checkpoint(wf, 2, "a", COMPLETED, state, metrics={})
    assert made.metrics == ExecutionMetrics()


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": {"cost": 1}},
        {"metrics": {"total_tokens": "7"}},
        {"metrics": {"total_tokens": 1.5}},
        {"metrics": {"total_tokens": 2**63}},
        {"metrics": 5},
        {"status": "done"},
        {"status": None},
        {"status": 3},
        {"step": -1},
        {"step": 1.0},
        {"step": True},
        {"step": "1"},
        {"step": 2**64},
        {"workflow_id": ""},
        {"workflow_id": 5},
        {"agent_id": None},
        {"state": None},
        {"state": [1]},
        {"state": 5},
    ],
    ids=str,
)
async def test_arguments_that_make_no_sense(
    manager: CheckpointManager, state: SharedState, wf: str, wrong: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"workflow_id": wf, "step": 1, "agent_id": "a", "status": COMPLETED, "state": state}
    with pytest.raises(InvalidArgumentError):
        await manager.create_checkpoint(**{**arguments, **wrong})
    assert await manager.list_checkpoints(wf) == []


async def test_metadata_and_content_are_maps_of_values(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    for metadata in ([1], "text", {"x": {1}}):
        with pytest.raises(InvalidValueError):
            await manager.create_checkpoint(wf, 1, "a", COMPLETED, state, metadata=metadata)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        await manager.create_checkpoint(wf, 1, "a", COMPLETED, {"x": (1,)})
    assert not await manager.has_checkpoint(wf)


# What it is made of


async def test_of_a_state_it_is_the_present_revision(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, state)
    assert await state.revision() == 1, "taking it is no revision"
    await state.set("x", 2)
    assert await state.get("x", at=made) == 1
    await state.restore(made.state_snapshot)
    assert await state.get("x") == 1


async def test_of_a_state_with_initial_data(manager: CheckpointManager, client: Client, state_id: str, wf: str) -> None:
    fresh = client.state(state_id, initial_data={"x": 1})
    made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, fresh)
    assert made.state_snapshot.revision == 1
    assert await fresh.get("x", at=made) == 1


async def test_of_a_snapshot(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    taken = await state.snapshot("label")
    (entry,) = await state.get_history()
    await state.set("x", 2)
    for snapshot in (taken, entry.snapshot):
        made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, snapshot)
        assert (made.state_snapshot.state_id, made.state_snapshot.revision) == (state.state_id, 1)
        assert await state.get("x", at=made) == 1


async def test_of_a_snapshot_not_reached_yet(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    snapshot = dataclasses.replace(await state.snapshot(), revision=7)
    with pytest.raises(RevisionUnavailableError):
        await manager.create_checkpoint(wf, 1, "a", COMPLETED, snapshot)
    assert not await manager.has_checkpoint(wf)


async def test_of_a_dict(manager: CheckpointManager, client: Client, state: SharedState, wf: str) -> None:
    content = {"z": [1, b"x", None], "a": {"when": datetime(2026, 1, 1, tzinfo=UTC)}}
    made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, content)
    assert await state.restore(made) == 1
    assert await state.to_dict() == content
    assert list(await state.to_dict()) == ["z", "a"]
    assert made.state_snapshot.state_id not in await client.list_states(), "copies are not listed"


async def test_of_another_daemons_state(
    manager: CheckpointManager, client: Client, elsewhere: Client, state: SharedState, wf: str
) -> None:
    theirs = elsewhere.state(state.state_id, initial_data={"x": "theirs"})
    snapshot = await theirs.snapshot()
    before = await client.list_states()
    sources: list[SharedState | Snapshot] = [theirs, snapshot]
    for number, source in enumerate(sources):
        made = await manager.create_checkpoint(wf, number, "a", COMPLETED, source)
        assert made.state_snapshot.state_id != state.state_id
        assert await state.get("x", at=made) == "theirs"
    assert await client.list_states() == before, "copies are not listed"
    assert await elsewhere.checkpoints.list_checkpoints(wf) == []
    await theirs.set("x", "later")
    await state.restore(await manager.get_checkpoint(wf, 0))
    assert await state.to_dict() == {"x": "theirs"}
    await theirs.restore((await manager.get_checkpoint(wf, 1)).state_snapshot)
    assert await theirs.get("x") == "theirs"


async def test_the_same_step_and_attempt_replaces(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    await manager.create_checkpoint(wf, 1, "first", RUNNING, state, {"total_steps": 1}, {"a": 1})
    await state.set("x", 2)
    second = await manager.create_checkpoint(wf, 1, "second", COMPLETED, state)
    assert await manager.list_checkpoints(wf) == [second]
    found = await manager.get_checkpoint(wf, 1)
    assert (found.agent_id, found.status, found.metrics, found.metadata) == ("second", COMPLETED, None, None)
    assert await state.get("x", at=found) == 2


# Finding them


async def test_latest_and_last_good_are_by_step_not_by_time(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    assert await manager.get_latest_checkpoint(wf) is None
    assert await manager.get_last_good_checkpoint(wf) is None
    await manager.create_checkpoint(wf, 7, "a", FAILED, state)
    assert await manager.get_last_good_checkpoint(wf) is None
    for step, status in ((3, COMPLETED), (5, COMPLETED), (10, RUNNING), (4, COMPLETED), (9, AgentStatus.PENDING)):
        await manager.create_checkpoint(wf, step, "a", status, state)
    latest, good = await manager.get_latest_checkpoint(wf), await manager.get_last_good_checkpoint(wf)
    assert latest is not None
    assert good is not None
    assert (latest.step, good.step) == (10, 5)
    assert _steps(await manager.list_checkpoints(wf)) == [3, 4, 5, 7, 9, 10]


async def test_get_checkpoint_of_a_step(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    for step in (1, 3):
        await manager.create_checkpoint(wf, step, "a", COMPLETED, state)
    assert (await manager.get_checkpoint(wf, step=3)).step == 3
    with pytest.raises(CheckpointNotFoundError) as caught:
        await manager.get_checkpoint(wf, step=2)
    assert (caught.value.workflow_id, caught.value.step) == (wf, 2)
    with pytest.raises(LookupError):
        await manager.get_checkpoint(f"{wf}-other", 1)


async def test_has_checkpoint(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    assert not await manager.has_checkpoint(wf)
    assert not await manager.has_checkpoint(wf, 0)
    await manager.create_checkpoint(wf, 0, "a", FAILED, state)
    assert await manager.has_checkpoint(wf)
    assert await manager.has_checkpoint(wf, 0)
    assert not await manager.has_checkpoint(wf, step=1)


async def test_of_one_step_by_attempt(client: Client, manager: CheckpointManager, wf: str) -> None:
    await manager.create_checkpoint(wf, 1, "outside", COMPLETED, {"from": "outside"})
    workflow = client.workflow(wf)
    for expected in (1, 2):
        await workflow.try_resume(step=1)
        await workflow.checkpoint(1, f"attempt{expected}", COMPLETED)
    await manager.create_checkpoint(wf, 1, "outside again", COMPLETED, {})
    listed = await manager.list_checkpoints(wf)
    assert [(each.step, each.attempt) for each in listed] == [(1, 0), (1, 1), (1, 2)]
    assert [each.agent_id for each in listed] == ["outside again", "attempt1", "attempt2"]
    for found in (
        await manager.get_checkpoint(wf, 1),
        await manager.get_latest_checkpoint(wf),
        await manager.get_last_good_checkpoint(wf),
    ):
        assert found is not None
        assert found.agent_id == "attempt2"


async def test_the_last_good_one_of_a_step_that_failed_in_a_later_attempt(
    client: Client, manager: CheckpointManager, wf: str
) -> None:
    workflow = client.workflow(wf)
    for status in (COMPLETED, FAILED):
        await workflow.try_resume()
        await workflow.checkpoint(1, "a", status)
    good, latest = await manager.get_last_good_checkpoint(wf), await manager.get_latest_checkpoint(wf)
    assert good is not None
    assert latest is not None
    assert (good.attempt, latest.attempt) == (1, 2)


async def test_more_than_a_page(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    count = 1300
    await asyncio.gather(*(manager.create_checkpoint(wf, step, "a", COMPLETED, state) for step in range(count, 0, -1)))
    assert _steps(await manager.list_checkpoints(wf)) == list(range(1, count + 1))


async def test_workflows_are_apart(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    ids = [f"{wf}/1", f"{wf}_1", f"{wf}.1", f"{wf}/1/", f"{wf}\x001", f"../{wf}"]
    for number, workflow_id in enumerate(ids):
        await manager.create_checkpoint(workflow_id, number, "a", COMPLETED, state)
    for number, workflow_id in enumerate(ids):
        assert _steps(await manager.list_checkpoints(workflow_id)) == [number]
    assert await manager.delete_checkpoints(ids[0])
    assert [await manager.has_checkpoint(workflow_id) for workflow_id in ids] == [False] + [True] * 5


# Deleting


async def test_delete_checkpoints(manager: CheckpointManager, state: SharedState, wf: str) -> None:
    await state.set("x", 1)
    assert await manager.delete_checkpoints(wf) is False
    for step in range(4):
        await manager.create_checkpoint(wf, step, "a", COMPLETED, state)
    assert await manager.delete_checkpoints(wf, step=9) is False
    assert await manager.delete_checkpoints(wf, step=0) is True
    assert await manager.delete_checkpoints(wf, 0) is False
    assert _steps(await manager.list_checkpoints(wf)) == [1, 2, 3]
    third = await manager.get_checkpoint(wf, 3)
    assert await manager.delete_checkpoints(wf) is True
    assert await manager.list_checkpoints(wf) == []
    assert await manager.get_latest_checkpoint(wf) is None
    assert not await manager.has_checkpoint(wf)
    assert await state.to_dict() == {"x": 1}
    with pytest.raises(CheckpointNotFoundError):
        await state.restore(third)
    assert await state.revision() == 1


async def test_a_checkpoint_of_a_state_that_was_deleted(
    client: Client, manager: CheckpointManager, state: SharedState, wf: str
) -> None:
    await state.set("x", 1)
    made = await manager.create_checkpoint(wf, 1, "a", COMPLETED, state)
    await client.delete_state(state.state_id)
    assert await manager.get_checkpoint(wf, 1) == made
    new = client.state(state.state_id)
    for target in (made, made.state_snapshot):
        with pytest.raises(StateNotFoundError):
            await new.restore(target)
    with pytest.raises(StateNotFoundError):
        await manager.create_checkpoint(wf, 2, "a", COMPLETED, state)


# Managers


async def test_a_manager_on_a_storage(
    daemon: DaemonProcess, manager: CheckpointManager, state: SharedState, wf: str
) -> None:
    storage = FileCheckpointStorage(daemon.folder)
    assert storage.path == daemon.folder
    other = CheckpointManager(storage=storage)
    made = await other.create_checkpoint(wf, 1, "a", COMPLETED, state)
    assert await manager.get_checkpoint(wf, 1) == made
    assert made.state_snapshot.state_id == state.state_id, "the same daemon: nothing was copied"
    assert await CheckpointManager(FileCheckpointStorage(str(daemon.folder))).has_checkpoint(wf, 1)


async def test_a_manager_on_the_default_client(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, manager: CheckpointManager, wf: str
) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(daemon.folder))
    await CheckpointManager().create_checkpoint(wf, 1, "a", COMPLETED, {"x": 1})
    assert await manager.has_checkpoint(wf, 1)


async def test_a_manager_of_a_client(client: Client, wf: str) -> None:
    await CheckpointManager(client=client).create_checkpoint(wf, 1, "a", COMPLETED, {"x": 1})
    assert await client.checkpoints.has_checkpoint(wf, 1)
    with pytest.raises(InvalidArgumentError):
        CheckpointManager(FileCheckpointStorage("./x"), client=client)
    for wrong in ("./checkpoints", 5):
        with pytest.raises(InvalidArgumentError):
            CheckpointManager(wrong)  # type: ignore[arg-type]


@pytest.fixture
async def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    end_autostarted(tmp_path / "checkpoints")


async def test_a_storage_starts_the_daemon_of_its_folder(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FileCheckpointStorage("./checkpoints")
    assert not (in_tmp / "checkpoints").exists(), "no I/O"
    monkeypatch.chdir("/")
    manager = CheckpointManager(storage=storage)
    made = await manager.create_checkpoint("wf", 1, "a", COMPLETED, {"x": 1}, timeout=30)
    async with lastgood.connect(data_dir=in_tmp / "checkpoints", autostart=False) as client:
        assert await client.checkpoints.list_checkpoints("wf") == [made]
        assert await client.list_states() == []
