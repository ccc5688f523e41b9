"""What ``import lastgood`` offers, and nothing by accident."""

import inspect

import lastgood

_SURFACE = {
    "AgentStatus",
    "Attempt",
    "Backup",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "Client",
    "ClientUnusableError",
    "Compaction",
    "CorruptDataError",
    "DaemonUnavailableError",
    "Difference",
    "Effect",
    "EffectFailedError",
    "ExecutionMetrics",
    "FencedError",
    "FileCheckpointStorage",
    "HistoryEntry",
    "InDoubtError",
    "IncompatibleDaemonError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidValueError",
    "LastgoodError",
    "LeaseLostError",
    "LeaseStatus",
    "Lineage",
    "NOT_DONE",
    "NotFoundError",
    "OutcomeUnknownError",
    "OverloadedError",
    "PathError",
    "PermissionDeniedError",
    "RequestMismatchError",
    "NotRedactableError",
    "PoisonedStepError",
    "Preview",
    "Problem",
    "Reading",
    "ResumableWorkflow",
    "Retention",
    "RetentionInForce",
    "Retry",
    "RevisionConflictError",
    "RevisionUnavailableError",
    "Rollback",
    "Redaction",
    "ServerInfo",
    "SharedState",
    "Snapshot",
    "SnapshotNotFoundError",
    "StateExistsError",
    "StateNotFoundError",
    "Step",
    "StepOrderError",
    "StoreReplacedError",
    "StepStatus",
    "TooLargeError",
    "Transaction",
    "UnauthenticatedError",
    "ValueNotCarriedError",
    "UndoneRevision",
    "Verification",
    "WorkflowBusyError",
    "WorkflowStatus",
    "__version__",
    "connect",
    "join",
}


def test_the_surface_is_this() -> None:
    assert set(lastgood.__all__) == _SURFACE
    assert len(lastgood.__all__) == len(_SURFACE)


def test_everything_else_in_the_package_is_a_module() -> None:
    rest = {name for name in vars(lastgood) if not name.startswith("_")} - _SURFACE

    assert [name for name in sorted(rest) if not inspect.ismodule(getattr(lastgood, name))] == []


def test_everything_public_is_documented() -> None:
    bare = []
    for name in sorted(_SURFACE - {"__version__", "NOT_DONE"}):
        thing = getattr(lastgood, name)
        members = inspect.getmembers(thing) if inspect.isclass(thing) else []
        own = [(f"{name}.{part}", member) for part, member in members if _is_ours(part, member)]
        bare += [title for title, member in [(name, thing), *own] if not inspect.getdoc(member)]

    assert bare == []


def _is_ours(name: str, member: object) -> bool:
    if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
        return False
    return isinstance(member, property) or member.__module__.startswith("lastgood")


def test_calls_take_a_timeout() -> None:
    without = [
        f"{kind.__name__}.{name}"
        for kind in (lastgood.Client, lastgood.SharedState, lastgood.CheckpointManager, lastgood.ResumableWorkflow)
        for name, member in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "aclose" and "timeout" not in inspect.signature(member).parameters
    ]

    assert without == []
