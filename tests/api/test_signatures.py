"""The signatures of api.md, as they are written there: a call that fits one of them fits the real one."""

import inspect
from typing import Any

import pytest

import lastgood
from lastgood import CheckpointManager, Client, FileCheckpointStorage, ResumableWorkflow, SharedState, Step, Transaction

SIGNATURES: dict[str, tuple[Any, str]] = {
    "connect": (
        lastgood.connect,
        "address=None, *, data_dir=None, agent_id=None, token=None, tls=None, timeout=5.0, autostart=None",
    ),
    "join": (lastgood.join, "*segments"),
    "Client.state": (Client.state, "self, state_id, *, agent_id=None, initial_data=None"),
    "Client.workflow": (
        Client.workflow,
        "self, workflow_id, *, initial_state=None, lease=30.0, wait=False, poison_after=3",
    ),
    "Client.join": (Client.join, "self, token, *, agent_id=None"),
    "Client.list_workflows": (Client.list_workflows, "self"),
    "Client.list_states": (Client.list_states, "self"),
    "Client.delete_state": (Client.delete_state, "self, state_id"),
    "Client.server_info": (Client.server_info, "self"),
    "SharedState": (SharedState, "state_id=None, *, initial_data=None, agent_id=None, client=None"),
    "get": (SharedState.get, 'self, path="", default=None, *, at=None'),
    "read": (SharedState.read, 'self, path="", *, at=None'),
    "set": (SharedState.set, "self, path, value, *, expected=None"),
    "update": (SharedState.update, "self, values, *, expected=None"),
    "merge": (SharedState.merge, 'self, data, path="", *, expected=None'),
    "append": (SharedState.append, "self, path, *items"),
    "increment": (SharedState.increment, "self, path, by=1"),
    "delete": (SharedState.delete, "self, path, *, expected=None"),
    "exists": (SharedState.exists, "self, path"),
    "keys": (SharedState.keys, 'self, path=""'),
    "to_dict": (SharedState.to_dict, "self"),
    "revision": (SharedState.revision, "self"),
    "snapshot": (SharedState.snapshot, "self, label=None, *, metadata=None"),
    "list_snapshots": (SharedState.list_snapshots, "self"),
    "get_snapshot": (SharedState.get_snapshot, "self, snapshot_id"),
    "delete_snapshot": (SharedState.delete_snapshot, "self, snapshot"),
    "restore": (SharedState.restore, "self, target, *, paths=None, expected=None"),
    "preview": (SharedState.preview, "self, target, *, paths=None"),
    "get_history": (
        SharedState.get_history,
        "self, path=None, *, limit=None, newest_first=False, before=None, after=None",
    ),
    "diff": (SharedState.diff, "self, old, new=None"),
    "fork": (SharedState.fork, "self, state_id=None, *, at=None"),
    "lineage": (SharedState.lineage, "self"),
    "transaction": (SharedState.transaction, "self"),
    "transact": (SharedState.transact, "self, function"),
    "tx.get": (Transaction.get, 'self, path="", default=None'),
    "tx.set": (Transaction.set, "self, path, value"),
    "tx.delete": (Transaction.delete, "self, path"),
    "tx.append": (Transaction.append, "self, path, *items"),
    "FileCheckpointStorage": (FileCheckpointStorage, "path"),
    "CheckpointManager": (CheckpointManager, "storage=None, *, client=None"),
    "create_checkpoint": (
        CheckpointManager.create_checkpoint,
        "self, workflow_id, step, agent_id, status, state, metrics=None, metadata=None",
    ),
    "get_latest_checkpoint": (CheckpointManager.get_latest_checkpoint, "self, workflow_id"),
    "get_last_good_checkpoint": (CheckpointManager.get_last_good_checkpoint, "self, workflow_id"),
    "get_checkpoint": (CheckpointManager.get_checkpoint, "self, workflow_id, step"),
    "has_checkpoint": (CheckpointManager.has_checkpoint, "self, workflow_id, step=None"),
    "list_checkpoints": (CheckpointManager.list_checkpoints, "self, workflow_id"),
    "delete_checkpoints": (CheckpointManager.delete_checkpoints, "self, workflow_id, step=None"),
    "ResumableWorkflow": (
        ResumableWorkflow,
        "workflow_id, checkpoint_manager, *, initial_state=None, lease=30.0, wait=False, poison_after=3",
    ),
    "try_resume": (ResumableWorkflow.try_resume, "self, step=None, *, force=False"),
    "checkpoint": (ResumableWorkflow.checkpoint, "self, step, agent_id, status, *, metrics=None, metadata=None"),
    "clear_checkpoints": (ResumableWorkflow.clear_checkpoints, "self"),
    "status": (ResumableWorkflow.status, "self"),
    "release": (ResumableWorkflow.release, "self"),
    "list_attempts": (ResumableWorkflow.list_attempts, "self"),
    "list_effects": (ResumableWorkflow.list_effects, "self"),
    "step": (ResumableWorkflow.step, "self, number, agent_id=None, *, metadata=None, retry=None"),
    "step.run": (Step.run, "self, function, *args"),
    "step.once": (Step.once, 'self, key, function, *args, in_doubt="run", failures=()'),
    "step.idempotency_key": (Step.idempotency_key, "self, key"),
}


def _parameters(text: str) -> dict[str, inspect.Parameter]:
    """Read a signature, as written in the document."""
    namespace: dict[str, Any] = {}
    exec(f"def written({text}): pass", namespace)  # noqa: S102 - what stands above
    return dict(inspect.signature(namespace["written"]).parameters)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signature_is_as_written(name: str) -> None:
    """More parameters are fine where they are optional and by name only."""
    real, text = SIGNATURES[name]
    has, written = dict(inspect.signature(real).parameters), _parameters(text)
    for parameter in written.values():
        found = has.pop(parameter.name)
        assert (found.kind, found.default) == (parameter.kind, parameter.default), parameter.name
    for more in has.values():
        assert more.kind is inspect.Parameter.KEYWORD_ONLY, more.name
        assert more.default is not inspect.Parameter.empty, more.name
    positional = [p.name for p in inspect.signature(real).parameters.values() if p.name in written]
    assert positional == list(written)


CALLS = [
    name
    for name, (real, _) in SIGNATURES.items()
    if inspect.iscoroutinefunction(real) and not name.startswith(("tx.", "step."))  # they have one for all of their calls
]


@pytest.mark.parametrize("name", CALLS)
def test_each_call_takes_a_timeout_of_its_own(name: str) -> None:
    real, _ = SIGNATURES[name]
    timeout = inspect.signature(real).parameters["timeout"]
    assert (timeout.kind, timeout.default) == (inspect.Parameter.KEYWORD_ONLY, None)
