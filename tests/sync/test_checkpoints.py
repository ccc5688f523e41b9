"""Checkpoints and workflows, blocking."""

import pytest

from lastgood.sync import (
    AgentStatus,
    Checkpoint,
    CheckpointNotFoundError,
    Client,
    ExecutionMetrics,
    FencedError,
    SharedState,
    Snapshot,
)


def test_checkpoints(client: Client, state: SharedState, state_id: str) -> None:
    manager = client.checkpoints
    assert manager.get_latest_checkpoint(state_id) is None
    assert manager.has_checkpoint(state_id) is False
    state.set("a", 1)
    good = manager.create_checkpoint(state_id, 1, "a", AgentStatus.COMPLETED, state, {"total_cost": 0.5}, {"k": 1})
    assert isinstance(good, Checkpoint)
    assert isinstance(good.state_snapshot, Snapshot)
    assert (good.status, good.metrics, good.metadata) == (AgentStatus.COMPLETED, ExecutionMetrics(total_cost=0.5), {"k": 1})
    state.set("a", 2)
    bad = manager.create_checkpoint(state_id, 2, "a", "failed", {"a": "garbage"})
    assert manager.list_checkpoints(state_id) == [good, bad]
    assert manager.get_latest_checkpoint(state_id) == bad
    assert manager.get_last_good_checkpoint(state_id) == good
    assert manager.get_checkpoint(state_id, 1) == good
    assert (manager.has_checkpoint(state_id, 2), manager.has_checkpoint(state_id, 3)) == (True, False)
    with pytest.raises(CheckpointNotFoundError):
        manager.get_checkpoint(state_id, 3)
    state.restore(bad)
    assert state.to_dict() == {"a": "garbage"}
    state.restore(good.state_snapshot)
    assert state.to_dict() == {"a": 1}
    assert manager.delete_checkpoints(state_id, 2) is True
    assert manager.delete_checkpoints(state_id, 2) is False


def test_a_workflow_resumes_at_its_last_good_checkpoint(client: Client, state_id: str) -> None:
    workflow = client.workflow(state_id, initial_state={"topic": "AI"})
    assert workflow.try_resume() == 0
    assert (workflow.is_resumed, workflow.attempt) == (False, 1)
    workflow.state.set("facts", ["a"])
    workflow.metrics.total_tokens += 10
    workflow.checkpoint(0, "researcher", AgentStatus.COMPLETED)
    assert workflow.current_step == 1
    workflow.state.set("facts", "garbage")

    resumed = client.workflow(state_id)
    assert resumed.try_resume() == 1
    assert (resumed.is_resumed, resumed.attempt, resumed.metrics.total_tokens) == (True, 2, 10)
    assert resumed.state.to_dict() == {"topic": "AI", "facts": ["a"]}
    with pytest.raises(FencedError):
        workflow.state.set("facts", "late")
    resumed.checkpoint(1, "analyst", "completed")
    assert resumed.try_resume(step=0) == 1
    assert [(each.step, each.superseded) for each in client.checkpoints.list_checkpoints(state_id)] == [
        (0, False),
        (1, True),
    ]
    assert resumed.clear_checkpoints() is True
