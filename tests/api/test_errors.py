"""api.md, "Errors"."""

import inspect
import os
import pickle
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import Client, LastgoodError, SharedState

REASONS: dict[str, tuple[str, tuple[type[Exception], ...]]] = {
    "DaemonUnavailableError": ("UNAVAILABLE", (TimeoutError,)),
    "PathError": ("PATH", (ValueError,)),
    "InvalidValueError": ("INVALID_VALUE", (ValueError,)),
    "NotFoundError": ("NOT_FOUND", (LookupError,)),
    "StateNotFoundError": ("STATE_NOT_FOUND", (LookupError, lastgood.NotFoundError)),
    "SnapshotNotFoundError": ("SNAPSHOT_NOT_FOUND", (LookupError, lastgood.NotFoundError)),
    "CheckpointNotFoundError": ("CHECKPOINT_NOT_FOUND", (LookupError, lastgood.NotFoundError)),
    "StateExistsError": ("STATE_EXISTS", (ValueError,)),
    "RevisionConflictError": ("REVISION_CONFLICT", ()),
    "RevisionUnavailableError": ("REVISION_UNAVAILABLE", (LookupError,)),
    "FencedError": ("FENCED", ()),
    "WorkflowBusyError": ("WORKFLOW_BUSY", ()),
    "LeaseLostError": ("LEASE_LOST", ()),
    "StepOrderError": ("STEP_ORDER", ()),
    "InDoubtError": ("IN_DOUBT", ()),
    "PoisonedStepError": ("POISONED_STEP", ()),
    "NotRedactableError": ("NOT_REDACTABLE", ()),
    "PermissionDeniedError": ("PERMISSION_DENIED", (PermissionError,)),
    "UnauthenticatedError": ("UNAUTHENTICATED", (PermissionError,)),
    "TooLargeError": ("TOO_LARGE", (ValueError,)),
    "OverloadedError": ("OVERLOADED", ()),
    "OutcomeUnknownError": ("OUTCOME_UNKNOWN", (TimeoutError,)),
}
"""Of each error of api.md: its reason, and what it also is. Neither may ever change."""


@pytest.mark.parametrize("name", REASONS)
def test_each_has_a_stable_reason_and_its_bases(name: str) -> None:
    kind = getattr(lastgood, name)
    reason, bases = REASONS[name]
    assert issubclass(kind, LastgoodError)
    assert kind.reason == reason
    assert kind("message").reason == reason
    for base in bases:
        assert issubclass(kind, base)


def test_all_that_is_exported_is_under_lastgood_error_and_reasons_are_unique() -> None:
    kinds: list[Any] = [kind for _, kind in inspect.getmembers(lastgood, inspect.isclass) if issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds} >= REASONS.keys()
    assert all(issubclass(kind, LastgoodError) for kind in kinds)
    assert len({kind.reason for kind in kinds}) == len(kinds)


Scene = Callable[[Client, SharedState], Awaitable[object]]


async def _fenced(client: Client, state: SharedState) -> None:
    workflow = client.workflow(state.state_id)
    await workflow.try_resume()
    await client.workflow(state.state_id).try_resume()
    await workflow.state.set("x", 1)


async def _deleted(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    await client.delete_state(state.state_id)
    await state.set("x", 2)


async def _exists(client: Client, state: SharedState) -> None:
    await client.state(f"{state.state_id}-taken").set("x", 1)
    await state.fork(f"{state.state_id}-taken")


async def _below_a_scalar(client: Client, state: SharedState) -> None:
    del client
    await state.set("x", 1)
    await state.set("x.y", 1)


SCENES: dict[str, tuple[Scene, type[Exception], dict[str, object]]] = {
    "PathError": (lambda _, s: s.set("a..b", 1), ValueError, {"path": "a..b"}),
    "PathError of the daemon": (_below_a_scalar, ValueError, {"path": "x.y"}),
    "InvalidValueError": (lambda _, s: s.set("x", [{"y": {1}}]), ValueError, {"path": "0.y", "type_name": "set"}),
    "InvalidValueError of the daemon": (lambda _, s: s.set("", 5), ValueError, {}),
    "TooLargeError": (lambda _, s: s.set("x", bytes(65 * 1024 * 1024)), ValueError, {}),
    "StateNotFoundError": (_deleted, LookupError, {}),
    "SnapshotNotFoundError": (lambda _, s: s.get_snapshot("none"), LookupError, {"snapshot_id": "none"}),
    "CheckpointNotFoundError": (lambda c, _: c.checkpoints.get_checkpoint("none", 3), LookupError, {"step": 3}),
    "StateExistsError": (_exists, ValueError, {}),
    "RevisionConflictError": (
        lambda _, s: s.set("x", 1, expected=7),
        LastgoodError,
        {"path": None, "expected": 7, "actual": 0},
    ),
    "RevisionUnavailableError": (lambda _, s: s.get(at=9), LookupError, {"revision": 9, "newest": 0}),
    "FencedError": (_fenced, LastgoodError, {"attempt": 1, "current": 2}),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_each_is_raised_with_what_it_says_and_caught_by_a_plain_except(
    client: Client, state: SharedState, scene: str
) -> None:
    name = scene.partition(" ")[0]
    play, plain, attributes = SCENES[scene]
    with pytest.raises(plain) as caught:
        await play(client, state)
    error = caught.value
    assert isinstance(error, LastgoodError)
    assert type(error) is getattr(lastgood, name)
    assert error.reason == REASONS[name][0]
    assert str(error)
    assert {key: getattr(error, key) for key in attributes} == attributes
    again: Any = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert (str(again), again.__dict__) == (str(error), error.__dict__)


@pytest.mark.parametrize("address", ["unix:/nowhere/at/all.sock", "127.0.0.1:1"])
async def test_an_address_without_a_daemon_says_what_starts_one(address: str) -> None:
    with pytest.raises(TimeoutError, match="lastgood serve") as caught:
        await lastgood.connect(address, timeout=0.3)
    assert type(caught.value) is lastgood.DaemonUnavailableError
    assert address.removeprefix("unix:") in str(caught.value)


async def test_a_folder_without_a_daemon_that_may_not_be_started(tmp_path: Path) -> None:
    with pytest.raises(lastgood.DaemonUnavailableError, match="lastgood serve --data-dir"):
        await lastgood.connect(data_dir=tmp_path / "data", autostart=False, timeout=0.3)
    assert not (tmp_path / "data").exists()


async def test_a_read_that_runs_out_of_time_and_a_write_that_was_sent(folder: Path) -> None:
    process = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            state = client.state("s")
            await state.set("x", 1)
            os.kill(process.process.pid, signal.SIGSTOP)
            try:
                with pytest.raises(TimeoutError) as read:
                    await state.get("x", timeout=0.2)
                with pytest.raises(TimeoutError) as write:
                    await state.set("x", 2, timeout=0.2)
            finally:
                os.kill(process.process.pid, signal.SIGCONT)
            assert type(read.value) is lastgood.DaemonUnavailableError
            assert type(write.value) is lastgood.OutcomeUnknownError
            assert await state.get("x") in {1, 2}, "the client goes on"
    finally:
        process.close()


async def test_a_wrong_token_is_a_permission_error(folder: Path) -> None:
    process = DaemonProcess(folder, environment={"LASTGOOD_TOKEN": "secret"}, forked=True).start()
    try:
        for token in (None, "wrong"):
            with pytest.raises(PermissionError) as caught:
                await lastgood.connect(data_dir=folder, autostart=False, token=token)
            assert type(caught.value) is lastgood.UnauthenticatedError
        async with lastgood.connect(data_dir=folder, autostart=False, token="secret") as client:  # noqa: S106 - a test's
            assert await client.state("x").set("a", 1) == 1
    finally:
        process.close()


async def test_a_refused_call_leaves_the_client_usable(client: Client, state: SharedState) -> None:
    for scene in ("PathError of the daemon", "RevisionUnavailableError", "InvalidValueError"):
        with pytest.raises(LastgoodError):
            await SCENES[scene][0](client, state)
    assert await state.set("y", 1) == 2


async def test_a_closed_client_says_so(daemon: DaemonProcess) -> None:
    client = await lastgood.connect(data_dir=daemon.folder, autostart=False)
    state = client.state("closed")
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await state.get()
