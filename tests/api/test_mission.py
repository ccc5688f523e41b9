"""The snippets of the documentation page that started all this: only the import line differs, and ``await`` is added."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import end_autostarted
from tests.support.processes import run_script

SNIPPETS = {
    "state snapshots": """
from lastgood import SharedState

state = SharedState(initial_data={"topic": "AI"})

# Make changes
await state.set("research.findings", ["finding1", "finding2"])

# Take snapshot
snapshot = await state.snapshot()

# Make more changes
await state.set("research.findings", ["bad data"])

# Rollback
await state.restore(snapshot)
print(await state.get("research.findings"))  # ["finding1", "finding2"]
""",
    "with checkpoints": """
from lastgood import CheckpointManager, FileCheckpointStorage

manager = CheckpointManager(
    storage=FileCheckpointStorage("./checkpoints"),
)

# Automatic checkpoint after each agent
await manager.create_checkpoint(
    workflow_id="wf-123",
    step=5,
    agent_id="researcher",
    status=AgentStatus.COMPLETED,
    state=current_state,
    metrics=current_metrics,
)

# On failure, rollback to last good checkpoint
checkpoint = await manager.get_latest_checkpoint("wf-123")
await state.restore(checkpoint.state_snapshot)
""",
    "rollback strategies": """
# Last good checkpoint: get the most recent successful checkpoint
checkpoint = await manager.get_latest_checkpoint("wf-123")
if checkpoint.status == AgentStatus.COMPLETED:
    await state.restore(checkpoint.state_snapshot)

# Specific step
checkpoint = await manager.get_checkpoint("wf-123", step=3)
await state.restore(checkpoint.state_snapshot)
""",
    "state history": """
state = SharedState()

# Make changes
await state.set("key", "value1")
await state.set("key", "value2")
await state.set("key", "value3")

# View history
history = await state.get_history("key")

# Restore from history
await state.restore(history[0].snapshot)  # Back to value1
""",
    "automatic rollback": """
from lastgood import ResumableWorkflow

resumable = ResumableWorkflow(
    workflow_id="wf-123",
    checkpoint_manager=manager,
)

# On error, automatically rollback to last checkpoint
resume_step = await resumable.try_resume()
if resumable.is_resumed:
    print(f"Rolled back to step {resume_step}")
""",
}

SUPPLIED = "from lastgood import AgentStatus, CheckpointManager, ExecutionMetrics, FileCheckpointStorage, SharedState"
"""What the page leaves out, and what a snippet needs of the ones before it where it is run alone."""

RUN = """
import ast, asyncio, sys
code = compile(sys.argv[1], "the page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code, {}))
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    """An empty folder to work in, and an empty HOME."""
    place = tmp_path / "work"
    place.mkdir()
    yield place
    for folder in (place / "checkpoints", tmp_path / "home" / "state" / "lastgood"):
        end_autostarted(folder)


def _run(workplace: Path, *parts: str) -> list[str]:
    """Run them as a user would, with all warnings as errors: the daemons are started by what they do."""
    done = run_script(RUN, "\n".join([SUPPLIED, *parts]), cwd=workplace, flags=("-W", "error"))
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def test_the_page_from_the_top_to_the_end(workplace: Path) -> None:
    """Twice: what the first run leaves behind is no trouble to the second one."""
    for _ in range(2):
        printed = _run(
            workplace,
            SNIPPETS["state snapshots"],
            'current_state = {"research": {"findings": ["third"]}}',
            'current_metrics = {"total_cost": 0.25}',
            "manager = CheckpointManager(storage=FileCheckpointStorage('./checkpoints'))",
            'await manager.create_checkpoint("wf-123", 3, "researcher", AgentStatus.COMPLETED, current_state)',
            "current_state = state",
            "current_metrics = ExecutionMetrics(total_tokens=1200, total_steps=5)",
            SNIPPETS["with checkpoints"],
            "print(await state.to_dict(), checkpoint.step, checkpoint.metrics.total_tokens)",
            SNIPPETS["rollback strategies"],
            "print(await state.to_dict(), checkpoint.step)",
            SNIPPETS["state history"],
            'print([entry.value for entry in history], await state.get("key"))',
            SNIPPETS["automatic rollback"],
            "print(await resumable.state.to_dict(), resumable.metrics.total_tokens)",
        )
        assert printed == [
            "['finding1', 'finding2']",
            "{'topic': 'AI', 'research': {'findings': ['finding1', 'finding2']}} 5 1200",
            "{'research': {'findings': ['third']}} 3",
            "['value1', 'value2', 'value3'] value1",
            "Rolled back to step 6",
            "{'topic': 'AI', 'research': {'findings': ['finding1', 'finding2']}} 1200",
        ]
    assert (workplace / "checkpoints").is_dir()


def test_on_failure_the_state_is_what_the_checkpoint_was_made_of(workplace: Path) -> None:
    printed = _run(
        workplace,
        'state = current_state = SharedState(initial_data={"n": 1})',
        "current_metrics = None",
        SNIPPETS["with checkpoints"].replace(
            "# On failure", 'await state.set("n", "garbage")\nawait state.delete("n")\n# On failure'
        ),
        "print(await state.to_dict(), await state.revision())",
        "print([entry.operation for entry in await state.get_history()])",
    )
    assert printed == ["{'n': 1} 4", "['set', 'set', 'delete', 'restore']"]


def test_without_a_checkpoint_there_is_nothing_to_roll_back_to(workplace: Path) -> None:
    printed = _run(
        workplace,
        "manager = CheckpointManager(storage=FileCheckpointStorage('./checkpoints'))",
        SNIPPETS["automatic rollback"],
        "print(resume_step, resumable.is_resumed, await manager.get_latest_checkpoint('wf-123'))",
    )
    assert printed == ["0 False None"]
