"""api.md: ``get_history(…, values=…)``, ``iter_history``; a history costs what is looked at, however large values are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import HistoryEntry, SharedState, ValueNotCarriedError
from lastgood_daemon.rpc import history as rpc_history
from lastgood_daemon.rpc import responses

TRIES = 20
LARGE = 200_000


def carried_bytes(history: list[HistoryEntry]) -> int:
    return sum(len(entry.encoded or b"") for entry in history)


async def roll_back_again_and_again(state: SharedState) -> None:
    good = await state.set("document", "x" * LARGE)
    for attempt in range(TRIES):
        await state.set("attempt", attempt)
        await state.restore(good)


async def test_a_rollback_does_not_carry_the_whole_state(state: SharedState) -> None:
    await roll_back_again_and_again(state)
    history = await state.get_history()
    assert [entry.operation for entry in history] == ["set", *(["set", "restore"] * TRIES)]
    assert [entry.value for entry in history if entry.path == "attempt"] == list(range(TRIES))
    assert carried_bytes(history) < LARGE


async def test_a_value_that_is_not_carried_is_said_to_be_so_and_can_be_fetched(state: SharedState) -> None:
    await roll_back_again_and_again(state)
    last = (await state.get_history(limit=1, newest_first=True))[0]
    assert last.existed
    assert not last.carried
    with pytest.raises(ValueNotCarriedError, match=r"await state\.get\('', at=41\)") as refused:
        _ = last.value
    assert (refused.value.path, refused.value.revision) == ("", last.revision)
    assert await state.get(last.path, at=last.snapshot) == {"document": "x" * LARGE}
    assert "<not carried>" in repr(last)


async def test_the_history_of_a_path_carries_its_values(state: SharedState) -> None:
    await state.set("document", "x" * LARGE)
    await state.set("document", "y" * LARGE)
    assert [entry.value[0] for entry in await state.get_history("document")] == ["x", "y"]


@pytest.mark.parametrize("path", [None, "", "a", "a.b"])
async def test_without_values(state: SharedState, path: str | None) -> None:
    await state.set("a.b", 1)
    await state.set("a.b", 2)
    await state.delete("a.b")
    full = await state.get_history(path)
    bare = await state.get_history(path, values=False)
    assert [(e.revision, e.path, e.existed, e.operation) for e in bare] == [
        (e.revision, e.path, e.existed, e.operation) for e in full
    ]
    assert [entry.carried for entry in bare] == [not entry.existed for entry in bare]
    assert all(entry.carried for entry in full)


@pytest.mark.slow
@pytest.mark.parametrize("path", [None, "", "numbers"])
@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_are_fetched_as_they_are_asked_for(state: SharedState, path: str | None, newest_first: bool) -> None:
    for number in range(12):
        await state.append("numbers", "x" * 300_000, number)
    listed = await state.get_history(path, newest_first=newest_first)
    iterated = [entry async for entry in state.iter_history(path, newest_first=newest_first)]
    assert [entry.revision for entry in listed] == sorted(range(1, 13), reverse=newest_first)
    assert iterated == listed
    limited = [entry.revision async for entry in state.iter_history(path, limit=7, newest_first=newest_first)]
    assert limited == [entry.revision for entry in listed[:7]]


def _carry_no_more_than_a_megabyte() -> None:
    for module in (rpc_history, responses):
        setattr(module, "MAX_BYTES", 1 << 20)  # noqa: B010 - mypy lets nobody assign what the module has imported


@pytest.fixture
async def small_answers(tmp_path: Path) -> AsyncIterator[SharedState]:
    """A state of a daemon whose answers carry no more than a megabyte, instead of 64."""
    process = DaemonProcess(tmp_path / "data", forked=True, mutant=_carry_no_more_than_a_megabyte).start()
    async with lastgood.connect(data_dir=process.folder, autostart=False, timeout=20.0) as client:
        yield client.state("large")
    process.close()


async def test_a_value_that_no_answer_can_carry_does_not_hinder_the_others(small_answers: SharedState) -> None:
    state, half = small_answers, b"x" * 600_000
    await state.append("list", half)
    await state.append("list", half)  # each call is small enough, and the list is not
    await state.append("list", 1)
    await state.delete("list.0")
    history = await state.get_history("list")
    assert [(entry.revision, entry.carried) for entry in history] == [(1, True), (2, False), (3, False), (4, True)]
    assert history[3].value == [half, 1]
    [second] = await state.get_history("list", limit=1, after=1)
    assert not second.carried
    assert len(await state.get_history()) == 4
    assert await state.get("list.2", at=second.revision + 1) == 1
