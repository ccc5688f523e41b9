"""Where an event loop runs, the blocking client refuses before it does anything; not in an IPython kernel."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import sync


@pytest.fixture
def default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the default daemon, which is not there."""
    path = tmp_path / "absent" / "data"
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(path))
    return path


CALLS: list[Callable[[Path], object]] = [
    lambda folder: sync.connect(data_dir=folder).list_states(),
    lambda _: sync.connect().__enter__(),
    lambda _: sync.SharedState("s").get("a"),
    lambda _: sync.SharedState("s", initial_data={"a": 1}).set("a", 1),
    lambda _: sync.SharedState("s").restore(sync.Snapshot("s", 1, daemon_id="x", address="/nowhere")),
    lambda _: sync.SharedState("s").transaction().__enter__().get("a"),
    lambda _: sync.SharedState("s").transact(lambda tx: tx.get("a")),
    lambda _: sync.CheckpointManager().get_latest_checkpoint("w"),
    lambda folder: sync.CheckpointManager(sync.FileCheckpointStorage(folder)).list_checkpoints("w"),
    lambda folder: sync.ResumableWorkflow("w", sync.CheckpointManager(sync.FileCheckpointStorage(folder))).try_resume(),
]


@pytest.mark.parametrize("call", CALLS)
async def test_it_refuses_before_any_io(default_folder: Path, call: Callable[[Path], object]) -> None:
    with pytest.raises(RuntimeError, match="use the async client, lastgood") as caught:
        call(default_folder)
    assert isinstance(caught.value, lastgood.ClientUnusableError)
    assert caught.value.reason == "CLIENT_IN_EVENT_LOOP"
    assert not default_folder.parent.exists()


async def test_connecting_does_no_io_and_is_allowed_anywhere(daemon: DaemonProcess) -> None:
    client = sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0)  # as at an import within a running loop
    with pytest.raises(RuntimeError, match="use the async client, lastgood"):
        client.list_states()
    assert await asyncio.to_thread(client.list_states) is not None
    client.close()


def test_a_client_from_outside_is_refused_inside_and_goes_on_outside(client: sync.Client, state: sync.SharedState) -> None:
    state.set("a", 1)

    async def inside() -> None:
        calls: list[Callable[[], object]] = [client.list_states, client.server_info, lambda: state.set("a", 2), state.get]
        for call in calls:
            with pytest.raises(RuntimeError, match="async client"):
                call()
        assert await asyncio.to_thread(state.get, "a") == 1

    asyncio.run(inside())
    assert state.get("a") == 1


async def test_closing_is_allowed_anywhere(daemon: DaemonProcess) -> None:
    client = await asyncio.to_thread(sync.connect, daemon.address, timeout=20.0)
    assert await asyncio.to_thread(client.list_states) is not None
    client.close()
    with pytest.raises(sync.ClientUnusableError, match="closed"):
        await asyncio.to_thread(client.list_states)


async def test_in_an_ipython_kernel_it_works(
    daemon: DaemonProcess, default_folder: Path, monkeypatch: pytest.MonkeyPatch, state_id: str
) -> None:
    shell = SimpleNamespace(kernel=object())
    _pretend(monkeypatch, shell)
    with sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        state = client.state(state_id)
        assert state.set("a", 1) == 1
        assert state.transact(lambda tx: tx.get("a")) == 1
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(daemon.folder))
    assert sync.SharedState(state_id).get("a") == 1
    assert not default_folder.exists()


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
async def test_ipython_without_a_kernel_is_as_anything_else(
    default_folder: Path, monkeypatch: pytest.MonkeyPatch, shell: object
) -> None:
    _pretend(monkeypatch, shell)
    with pytest.raises(RuntimeError, match="async client"):
        sync.connect(data_dir=default_folder).list_states()


def _pretend(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    """Let it look as if IPython had been imported, with that shell."""
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
