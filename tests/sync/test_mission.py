"""The snippets of the documentation page, as they are there: only the import line differs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import end_autostarted
from tests.support.processes import run_script

SNIPPETS = {
    "state snapshots": """
from splinter.coordination import SharedState

state = SharedState(initial_data={"topic": "AI"})

# Make changes
state.set("research.findings", ["finding1", "finding2"])

# Take snapshot
snapshot = state.snapshot()

# Make more changes
state.set("research.findings", ["bad data"])

# Rollback
state.restore(snapshot)
print(state.get("research.findings"))  # ["finding1", "finding2"]
""",
    "with checkpoints": """
from splinter.coordination import CheckpointManager, FileCheckpointStorage

manager = CheckpointManager(
    storage=FileCheckpointStorage("./checkpoints"),
)

# Automatic checkpoint after each agent
manager.create_checkpoint(
    workflow_id="wf-123",
    step=5,
    agent_id="researcher",
    status=AgentStatus.COMPLETED,
    state=current_state,
    metrics=current_metrics,
)

# On failure, rollback to last good checkpoint
checkpoint = manager.get_latest_checkpoint("wf-123")
state.restore(checkpoint.state_snapshot)
""",
    "rollback strategies": """
# Last good checkpoint: get the most recent successful checkpoint
checkpoint = manager.get_latest_checkpoint("wf-123")
if checkpoint.status == AgentStatus.COMPLETED:
    state.restore(checkpoint.state_snapshot)

# Specific step
checkpoint = manager.get_checkpoint("wf-123", step=3)
state.restore(checkpoint.state_snapshot)
""",
    "state history": """
state = SharedState()

# Make changes
state.set("key", "value1")
state.set("key", "value2")
state.set("key", "value3")

# View history
history = state.get_history("key")

# Restore from history
state.restore(history[0].snapshot)  # Back to value1
""",
    "automatic rollback": """
from splinter.coordination import ResumableWorkflow

resumable = ResumableWorkflow(
    workflow_id="wf-123",
    checkpoint_manager=manager,
)

# On error, automatically rollback to last checkpoint
resume_step = resumable.try_resume()
if resumable.is_resumed:
    print(f"Rolled back to step {resume_step}")
""",
}


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    """An empty folder to work in; HOME is empty too."""
    place = tmp_path / "work"
    place.mkdir()
    yield place
    for folder in (place / "checkpoints", tmp_path / "home" / "state" / "lastgood"):
        end_autostarted(folder)


def test_the_page_from_the_top_to_the_end(workplace: Path) -> None:
    """As one script, twice, with what the page leaves out; the daemons are started by what it does."""
    page = "\n".join(
        [
            "from lastgood.sync import AgentStatus, ExecutionMetrics",
            SNIPPETS["state snapshots"],
            "current_state = state",
            "current_metrics = ExecutionMetrics(total_tokens=1200, total_steps=5)",
            SNIPPETS["with checkpoints"],
            "print(state.to_dict(), checkpoint.step, checkpoint.metrics.total_tokens)",
            'manager.create_checkpoint("wf-123", 3, "researcher", AgentStatus.COMPLETED, {"third": True})',
            SNIPPETS["rollback strategies"],
            "print(state.to_dict(), checkpoint.step)",
            SNIPPETS["state history"],
            'print([entry.value for entry in history], state.get("key"))',
            SNIPPETS["automatic rollback"],
            "print(resumable.state.to_dict(), resumable.metrics.total_tokens)",
        ]
    ).replace("splinter.coordination", "lastgood.sync")
    for _ in range(2):
        done = run_script(page, cwd=workplace, flags=("-W", "error"))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "['finding1', 'finding2']",
            "{'topic': 'AI', 'research': {'findings': ['finding1', 'finding2']}} 5 1200",
            "{'third': True} 3",
            "['value1', 'value2', 'value3'] value1",
            "Rolled back to step 6",
            "{'topic': 'AI', 'research': {'findings': ['finding1', 'finding2']}} 1200",
        ]
    assert (workplace / "checkpoints").is_dir()
