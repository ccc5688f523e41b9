"""The blocking twin against the async client: the same names, the same classes of data, the same signatures."""

import asyncio
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
import lastgood.sync

HAVE_CALLS = {
    "CheckpointManager",
    "Client",
    "FileCheckpointStorage",
    "ResumableWorkflow",
    "SharedState",
    "Step",
    "Transaction",
    "connect",
}
"""What there is twice. The rest is one and the same."""

RENAMED = {
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
DROPPED = {"__await__"}
CLASSES = sorted(HAVE_CALLS - {"connect"})


def test_the_names_are_the_same() -> None:
    assert lastgood.sync.__all__ == lastgood.__all__
    assert lastgood.sync.__version__ == lastgood.__version__


def test_there_is_twice_only_what_has_calls() -> None:
    twice = {name for name in lastgood.__all__ if getattr(lastgood, name) is not getattr(lastgood.sync, name)}
    assert twice == HAVE_CALLS


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_of_its_twin(name: str) -> None:
    ours, theirs = getattr(lastgood.sync, name), getattr(lastgood, name)
    expected = {RENAMED.get(member, member) for member in _own(theirs) - DROPPED}
    assert _own(ours) == expected


@pytest.mark.parametrize("name", sorted(HAVE_CALLS))
def test_signatures_are_those_of_the_twin(name: str) -> None:
    ours, theirs = getattr(lastgood.sync, name), getattr(lastgood, name)
    assert _signature(ours) == _blocking(_signature(theirs))
    if not inspect.isclass(ours):
        return
    for member in _own(theirs) - DROPPED:
        one, other = inspect.getattr_static(ours, RENAMED.get(member, member)), inspect.getattr_static(theirs, member)
        assert type(one) is type(other), member
        if isinstance(other, property):
            assert other.fget is not None
            one, other = one.fget, other.fget
        assert _signature(one) == _blocking(_signature(other)), member


@pytest.mark.parametrize("name", CLASSES)
def test_nothing_is_async_and_no_docstring_says_so(name: str) -> None:
    kind = getattr(lastgood.sync, name)
    assert [member for member in _own(kind) if inspect.iscoroutinefunction(getattr(kind, member))] == []
    texts = [inspect.getdoc(kind) or "", *(inspect.getdoc(getattr(kind, member)) or "" for member in _own(kind))]
    assert [text for text in texts if re.search(r"\b(async|await|aclose)\b", text)] == []


async def test_objects_of_one_work_in_the_other(daemon: DaemonProcess, state_id: str) -> None:
    def blocking(given: lastgood.Snapshot, checkpoint: lastgood.Checkpoint) -> tuple[lastgood.Snapshot, lastgood.Checkpoint]:
        with lastgood.sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            state = client.state(state_id)
            assert state.get("a", at=given) == 1
            state.restore(given)
            taken = state.snapshot()
            assert (taken.daemon_id, taken.address) == (given.daemon_id, given.address)
            other = client.state(f"{state_id}-other")
            other.restore(checkpoint)
            assert other.to_dict() == {"a": 2}
            manager = client.checkpoints
            copied = pickle.loads(pickle.dumps(given))  # noqa: S301 - made here
            made = manager.create_checkpoint(state_id, 2, "a", lastgood.AgentStatus.COMPLETED, copied)
            with pytest.raises(lastgood.NotFoundError):
                manager.get_checkpoint(state_id, 9)
            return taken, made

    async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        state = client.state(state_id)
        await state.set("a", 1)
        snapshot = await state.snapshot()
        await state.set("a", 2)
        checkpoint = await client.checkpoints.create_checkpoint(state_id, 1, "a", "completed", state)
        taken, made = await asyncio.to_thread(blocking, snapshot, checkpoint)
        await state.set("a", 3)
        assert await state.get("a", at=taken) == 1
        await state.restore(made)
        assert await state.to_dict() == {"a": 1}
        assert await client.checkpoints.get_latest_checkpoint(state_id) == made


def test_the_handles_of_one_are_refused_by_the_other(client: lastgood.sync.Client, state: lastgood.sync.SharedState) -> None:
    other: Any = lastgood.connect("unix:/nowhere")
    for make in (
        lambda: lastgood.sync.SharedState("s", client=other),
        lambda: lastgood.sync.CheckpointManager(client=other),
    ):
        with pytest.raises(lastgood.InvalidArgumentError, match=r"must be a lastgood\.sync\.Client, got <lastgood\.Client"):
            make()
    blocking: Any = client
    with pytest.raises(lastgood.InvalidArgumentError, match=r"must be a lastgood\.Client, got <lastgood\.sync\.Client"):
        lastgood.SharedState("s", client=blocking)
    storage: Any = lastgood.FileCheckpointStorage("x")
    with pytest.raises(lastgood.InvalidArgumentError, match=r"got lastgood\.storage\."):
        lastgood.sync.CheckpointManager(storage)
    manager: Any = lastgood.CheckpointManager()
    with pytest.raises(lastgood.InvalidArgumentError, match=r"got lastgood\.checkpoints\."):
        lastgood.sync.ResumableWorkflow("w", manager)
    handle: Any = lastgood.SharedState("s")
    with pytest.raises(lastgood.InvalidArgumentError, match=r"got lastgood\.state\."):
        client.checkpoints.create_checkpoint(state.state_id, 1, "a", "completed", handle)


def _own(kind: type) -> set[str]:
    """The public members of a class, and the protocols that it follows."""
    protocols = RENAMED.keys() | set(RENAMED.values()) | DROPPED
    return {name for name in dir(kind) if not name.startswith("_") or name in protocols}


def _signature(thing: Callable[..., Any]) -> str:
    return str(inspect.signature(thing))


def _blocking(signature: str) -> str:
    """What becomes of an async signature."""
    signature = re.sub(r"[\w.]*\bUnion\[[\w.]*\bAwaitable\[([^\[\]]+)\], \1\]", r"\1", signature)
    signature = re.sub(r"[\w.]*\bAwaitable\[([^\[\]]+)\]", r"\1", signature)
    signature = re.sub(r"([\w.]*\bIterable\[\w+\]) \| [\w.]*\bAsyncIterable\[\w+\]", r"\1", signature)
    signature = re.sub(r"\bAsync(Iterator|Generator)\b", r"\1", signature)
    return re.sub(r"\blastgood\.(checkpoints|client|state|storage|transport|workflow)\b", r"lastgood.sync.\1", signature)
