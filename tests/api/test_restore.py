"""api.md, SharedState: restore and preview."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import (
    CheckpointNotFoundError,
    Client,
    Difference,
    InvalidArgumentError,
    LastgoodError,
    PathError,
    RevisionUnavailableError,
    SharedState,
)


async def test_restore_of_a_snapshot_is_a_new_revision(state: SharedState) -> None:
    await state.set("research.findings", ["finding1", "finding2"])
    snapshot = await state.snapshot()
    await state.set("research.findings", ["bad data"])
    await state.set("more", 1)
    assert await state.restore(snapshot) == 4
    assert await state.to_dict() == {"research": {"findings": ["finding1", "finding2"]}}
    assert await state.revision() == 4


async def test_restore_of_a_revision(state: SharedState) -> None:
    for number in range(1, 5):
        await state.set("x", number)
    await state.restore(2)
    assert await state.get("x") == 2
    await state.restore(0)
    assert await state.to_dict() == {}
    await state.restore(4)
    assert await state.get("x") == 4


async def test_restore_of_a_checkpoint_and_of_its_snapshot(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    checkpoint = await client.checkpoints.create_checkpoint(f"wf-{state.state_id}", 1, "a", "completed", state)
    await state.set("x", 2)
    await state.restore(checkpoint)
    assert await state.get("x") == 1
    await state.set("x", 3)
    await state.restore(checkpoint.state_snapshot)
    assert await state.get("x") == 1


async def test_restore_of_a_moment(state: SharedState) -> None:
    for number in range(1, 4):
        await state.set("x", number)
    times = [entry.timestamp for entry in await state.get_history()]
    await state.restore(times[1])
    assert await state.get("x") == 2
    await state.restore(times[2] - timedelta(microseconds=1))
    assert await state.get("x") == 2
    await state.restore(times[0] - timedelta(microseconds=1))
    assert await state.to_dict() == {}
    await state.restore(datetime.now(UTC) + timedelta(hours=1))
    assert await state.to_dict() == {}
    assert await state.revision() == 7


async def test_restore_of_a_naive_moment_is_refused(state: SharedState) -> None:
    await state.set("x", 1)
    with pytest.raises(InvalidArgumentError):
        await state.restore(datetime.now())  # noqa: DTZ005 - that is the point
    assert await state.revision() == 1


async def test_restore_never_loses_history(state: SharedState) -> None:
    await state.set("x", 1)
    await state.set("x", 2)
    await state.restore(1)
    history = await state.get_history("x")
    assert [(entry.revision, entry.value, entry.operation) for entry in history] == [
        (1, 1, "set"),
        (2, 2, "set"),
        (3, 1, "restore"),
    ]
    assert await state.get("x", at=2) == 2


async def test_a_restore_is_undone_by_a_restore(state: SharedState) -> None:
    content = {"z": {"y": [1, {"a": None}]}, "a": 1, "m": {}}
    await state.set("", {"old": True})
    await state.set("", content)
    before = await state.revision()
    await state.restore(1)
    assert await state.to_dict() == {"old": True}
    await state.restore(before)
    assert await state.to_dict() == content
    assert list(await state.to_dict()) == ["z", "a", "m"]
    await state.restore(3)
    assert await state.to_dict() == {"old": True}


@pytest.mark.parametrize("far", [False, True])
async def test_restore_keeps_the_order_of_maps(state: SharedState, *, far: bool) -> None:
    await state.set("", {"c": 1, "a": {"z": 1, "y": 2, "x": 3}, "b": 3})
    await state.delete("c")
    await state.delete("a.z")
    await state.set("a.w", 4)
    await state.set("c", 5)
    await state.set("b", 6)
    await asyncio.gather(*(state.set("d", number) for number in range(300 if far else 0)))
    await state.restore(1)
    restored = await state.to_dict()
    assert list(restored) == ["c", "a", "b"]
    assert list(restored["a"]) == ["z", "y", "x"]
    assert await state.keys() == ["c", "a", "b"]
    assert restored == {"c": 1, "a": {"z": 1, "y": 2, "x": 3}, "b": 3}
    await state.restore(6)
    restored = await state.to_dict()
    assert list(restored) == ["a", "b", "c"]
    assert list(restored["a"]) == ["y", "x", "w"]


async def test_restore_of_lists(state: SharedState) -> None:
    await state.set("list", ["a", "b", {"x": 1}, "d"])
    await state.delete("list.1")
    await state.set("list.1.x", 2)
    await state.append("list", "e", "f")
    await state.restore(1)
    assert await state.get("list") == ["a", "b", {"x": 1}, "d"]
    await state.restore(4)
    assert await state.get("list") == ["a", {"x": 2}, "d", "e", "f"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (1, 1.0), ({}, []), (None, 0), ("", b""), (0.0, -0.0), ([1], [True]), ({"a": 1}, {"a": 1.0})],
    ids=repr,
)
async def test_restore_tells_types_apart_that_python_finds_equal(state: SharedState, old: Any, new: Any) -> None:  # noqa: ANN401
    await state.set("x", old)
    await state.set("x", new)
    assert repr(await state.get("x")) == repr(new)
    await state.restore(1)
    assert repr(await state.get("x")) == repr(old)


async def test_restore_of_what_is_there_is_a_revision_in_no_history_of_a_path(state: SharedState) -> None:
    await state.set("x", 1)
    assert await state.restore(1) == 2
    assert [entry.operation for entry in await state.get_history()] == ["set", "restore"]
    assert len(await state.get_history("x")) == 1


async def test_restore_of_a_revision_not_reached_yet(state: SharedState) -> None:
    await state.set("x", 1)
    with pytest.raises(RevisionUnavailableError):
        await state.restore(2)
    assert await state.revision() == 1


async def test_restore_of_nonsense(state: SharedState) -> None:
    for target in (None, "1", 1.5, {"a": 1}, [1], True):
        with pytest.raises(InvalidArgumentError):
            await state.restore(target)  # type: ignore[arg-type]


async def test_restore_after_more_revisions_than_are_at_hand(state: SharedState) -> None:
    await state.set("", {"keep": 1, "x": 0})
    await asyncio.gather(*(state.update({"x": number, f"k{number}": number}) for number in range(1, 500)))
    await state.restore(3)
    assert await state.to_dict() == {"keep": 1, "x": 2, "k1": 1, "k2": 2}
    await state.restore(1)
    assert await state.to_dict() == {"keep": 1, "x": 0}


# paths


async def test_restore_of_paths_leaves_the_rest(state: SharedState) -> None:
    await state.set("", {"a": {"x": 1, "y": 1}, "b": 1, "c": 1, "gone": 1})
    await state.set("", {"a": {"x": 2, "y": 2}, "b": 2, "c": 2, "new": {"z": 2}})
    assert await state.restore(1, paths=["a.x", "c"]) == 3
    assert await state.to_dict() == {"a": {"x": 1, "y": 2}, "b": 2, "c": 1, "new": {"z": 2}}
    assert await state.restore(1, paths=["new", "gone"]) == 4
    assert await state.to_dict() == {"a": {"x": 1, "y": 2}, "b": 2, "c": 1, "gone": 1}
    with pytest.raises(PathError, match="neither now nor in the target") as refused:
        await state.restore(1, paths=["b", "never"])
    assert refused.value.path == "never"
    with pytest.raises(PathError):
        await state.preview(1, paths=["never"])
    assert await state.revision() == 4


async def test_restore_of_paths_is_undone_by_a_restore(state: SharedState) -> None:
    await state.set("", {"a": {"p": 1, "q": {"r": 1}}, "b": 1})
    await state.set("", {"b": 2, "a": {"q": 5}})
    await state.restore(1, paths=["a"])
    assert await state.to_dict() == {"b": 2, "a": {"p": 1, "q": {"r": 1}}}
    assert list(await state.get("a")) == ["p", "q"]
    await state.restore(2)
    assert await state.to_dict() == {"b": 2, "a": {"q": 5}}
    assert list(await state.to_dict()) == ["b", "a"]


async def test_restore_of_paths_makes_missing_parents(state: SharedState) -> None:
    await state.set("a.b.c", 1)
    await state.delete("a")
    await state.restore(1, paths=["a.b.c"])
    assert await state.to_dict() == {"a": {"b": {"c": 1}}}


async def test_restore_of_nested_paths_and_of_the_root(state: SharedState) -> None:
    await state.set("", {"a": {"x": 1, "y": 1}, "b": 1})
    await state.set("", {"a": {"x": 2}, "b": 2})
    await state.restore(1, paths=["a.x", "a"])
    assert await state.to_dict() == {"a": {"x": 1, "y": 1}, "b": 2}
    await state.restore(1, paths=[""])
    assert await state.to_dict() == {"a": {"x": 1, "y": 1}, "b": 1}


async def test_restore_of_a_path_whose_parent_is_a_scalar_now_changes_nothing(state: SharedState) -> None:
    await state.set("", {"a": {"x": 1}, "b": 1})
    await state.set("", {"a": "text", "b": 2})
    with pytest.raises(PathError):
        await state.restore(1, paths=["a.x", "b"])
    assert await state.to_dict() == {"a": "text", "b": 2}
    assert await state.revision() == 2


async def test_restore_of_no_paths_is_a_mistake(state: SharedState) -> None:
    """Not the whole tree: a list that happened to be empty must not roll everything back."""
    await state.set("a", 1)
    with pytest.raises(InvalidArgumentError):
        await state.restore(0, paths=[])
    with pytest.raises(InvalidArgumentError):
        await state.restore(0, paths="a")
    with pytest.raises(PathError):
        await state.restore(0, paths=["a..b"])
    assert await state.to_dict() == {"a": 1}


# Of other states and daemons


async def test_a_snapshot_of_another_state_writes_its_content_here(client: Client, state: SharedState) -> None:
    other = client.state(f"{state.state_id}-other")
    for number in range(5):
        await other.set("x", number)
    snapshot = await other.snapshot()
    await state.set("y", 1)
    assert await state.restore(snapshot) == 2, "revision numbers are this state's own"
    assert await state.to_dict() == {"x": 4}
    assert await other.revision() == 5
    await state.restore(1)
    assert await state.restore(snapshot, paths=["x"]) == 4
    assert await state.to_dict() == {"y": 1, "x": 4}
    assert await state.get("x", at=snapshot) == 4


async def test_a_snapshot_of_another_daemon_writes_its_content_here(
    state: SharedState, elsewhere: Client, state_id: str
) -> None:
    theirs = elsewhere.state(state_id)
    content = {"z": {"deep": [1, None, b"x"]}, "a": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)}
    await theirs.set("", content)
    snapshot = await theirs.snapshot()
    await theirs.set("", {"later": 1})
    await state.set("mine", 1)
    expected = [
        Difference("mine", "removed", 1, None),
        Difference("z", "added", None, content["z"]),
        Difference("a", "added", None, content["a"]),
    ]
    assert await state.preview(snapshot) == expected
    assert await state.diff(snapshot) == [Difference(d.path, _TURNED[d.kind], d.new, d.old) for d in _reordered(expected)]
    assert await state.get("z.deep", at=snapshot) == [1, None, b"x"]
    assert await state.restore(snapshot) == 2
    assert await state.to_dict() == content
    assert list(await state.to_dict()) == ["z", "a"]
    await state.restore(1)
    assert await state.restore(snapshot, paths=["a"]) == 4
    assert await state.to_dict() == {"mine": 1, "a": content["a"]}
    (entry, *_) = await theirs.get_history()
    await state.restore(entry.snapshot)
    assert await state.to_dict() == content


_TURNED: Any = {"added": "removed", "removed": "added", "changed": "changed"}


def _reordered(differences: list[Difference]) -> list[Difference]:
    return [*differences[1:], differences[0]]


async def test_a_checkpoint_of_another_daemon_writes_its_content_here(
    client: Client, elsewhere: Client, state: SharedState, state_id: str
) -> None:
    theirs = elsewhere.state(state_id, initial_data={"x": "theirs"})
    checkpoint = await elsewhere.checkpoints.create_checkpoint(state_id, 1, "a", "completed", theirs)
    await state.restore(checkpoint)
    assert await state.to_dict() == {"x": "theirs"}
    await state.restore(0)
    await state.restore(checkpoint.state_snapshot)
    assert await state.to_dict() == {"x": "theirs"}
    assert await client.checkpoints.list_checkpoints(state_id) == []


async def test_an_old_content_of_a_daemon_that_is_gone(
    tmp_path_factory: pytest.TempPathFactory, state: SharedState, client: Client
) -> None:
    process = DaemonProcess(tmp_path_factory.mktemp("third") / "data", forked=True).start()
    try:
        async with lastgood.connect(data_dir=process.folder, autostart=False) as third:
            await third.state("x").set("a", 1)
            snapshot = await third.state("x").snapshot()
    finally:
        assert process.stop() == 0
    (process.folder / "managed-by-service").touch()
    with pytest.raises(lastgood.DaemonUnavailableError):
        await state.restore(snapshot, timeout=0.2)
    assert await client.state(state.state_id).revision() == 0


# preview


async def test_preview_tells_what_restore_would_change_and_changes_nothing(state: SharedState) -> None:
    await state.set("", {"same": 1, "changed": [1], "gone": {"x": 1}, "m": {"k": 1, "l": 2}})
    snapshot = await state.snapshot()
    await state.set("", {"same": 1, "changed": [1, 2], "new": {"y": 2}, "m": {"k": 5, "l": 2}})
    foreseen = await state.preview(snapshot)
    assert sorted(foreseen, key=lambda difference: difference.path) == [
        Difference("changed", "changed", [1, 2], [1]),
        Difference("gone", "added", None, {"x": 1}),
        Difference("m.k", "changed", 5, 1),
        Difference("new", "removed", {"y": 2}, None),
    ]
    assert await state.revision() == 2
    before = await state.revision()
    await state.restore(snapshot)
    assert await state.diff(before) == foreseen
    assert await state.preview(snapshot) == []


async def test_preview_of_paths(state: SharedState) -> None:
    await state.set("", {"a": {"x": 1}, "b": 1})
    await state.set("", {"a": {"x": 2}, "b": 2})
    assert await state.preview(1, paths=["a"]) == [Difference("a.x", "changed", 2, 1)]
    assert await state.preview(2) == []
    with pytest.raises(InvalidArgumentError):
        await state.preview(1, paths=[])


async def test_preview_of_every_kind_of_target(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    checkpoint = await client.checkpoints.create_checkpoint(state.state_id, 0, "a", "completed", state)
    (entry,) = await state.get_history()
    await state.set("x", 2)
    for target in (1, entry.snapshot, checkpoint, entry.timestamp):
        assert await state.preview(target) == [Difference("x", "changed", 2, 1)]


async def test_preview_and_diff_beyond_one_page(state: SharedState) -> None:
    names = [f"k{number}" for number in range(2500)]
    await state.set("", dict.fromkeys(names, 1))
    await state.set("", dict.fromkeys(names, 2))
    assert await state.preview(1) == [Difference(name, "changed", 2, 1) for name in names]
    assert await state.diff(1) == [Difference(name, "changed", 1, 2) for name in names]


async def test_preview_refuses_what_restore_refuses(client: Client, state: SharedState) -> None:
    await state.set("", {"a": {"x": 1}})
    made = await client.checkpoints.create_checkpoint(state.state_id, 0, "a", "completed", state)
    await client.checkpoints.delete_checkpoints(state.state_id)
    await state.set("a", "text")
    cases: list[tuple[Any, list[str] | None, type[LastgoodError]]] = [
        (9, None, RevisionUnavailableError),
        (made, None, CheckpointNotFoundError),
        (1, ["a.x"], PathError),
    ]
    for target, paths, error in cases:
        with pytest.raises(error):
            await state.preview(target, paths=paths)
        with pytest.raises(error):
            await state.restore(target, paths=paths)
    assert await state.revision() == 2
