"""What the calls that look after a store take: whatever else is given is refused by the name of the argument."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lastgood import (
    AgentStatus,
    Client,
    InvalidArgumentError,
    PathError,
    Retention,
    TooLargeError,
)

Call = Callable[[Client, Any], Awaitable[object]]


async def _export(client: Client, state_id: Any) -> list[str]:  # noqa: ANN401 - whatever somebody may give
    return [line async for line in client.export_state(state_id)]


WITH_ID: dict[str, Call] = {
    "set_retention": lambda client, wrong: client.set_retention(Retention(revisions=3), wrong),
    "get_retention": lambda client, wrong: client.get_retention(wrong),
    "compact": lambda client, wrong: client.compact(wrong),
    "export_state": _export,
    "import_state": lambda client, wrong: client.import_state(wrong, []),
}
WITH_TEXT: dict[str, tuple[str, Call]] = {
    "redact": ("text", lambda client, wrong: client.state("s").redact(wrong)),
    "redact with": ("replacement", lambda client, wrong: client.state("s").redact("what is to go", wrong)),
    "backup": ("path", lambda client, wrong: client.backup(wrong)),
}
WITH_TIMEOUT: dict[str, Call] = {
    "set_retention": lambda client, wrong: client.set_retention(None, timeout=wrong),
    "get_retention": lambda client, wrong: client.get_retention(timeout=wrong),
    "compact": lambda client, wrong: client.compact(timeout=wrong),
    "import_state": lambda client, wrong: client.import_state("s", [], timeout=wrong),
    "redact": lambda client, wrong: client.state("s").redact("what is to go", timeout=wrong),
    "backup": lambda client, wrong: client.backup("/nobody/has/this", timeout=wrong),
    "verify": lambda client, wrong: client.verify(timeout=wrong),
}
NO_TEXTS = ["", 5, b"x", "\ud800", ["a"]]


async def refused(client: Client, call: Call, wrong: object, field: str) -> None:
    with pytest.raises(InvalidArgumentError, match=field) as failure:
        await call(client, wrong)
    assert failure.value.field == field


@pytest.mark.parametrize("name", WITH_ID)
async def test_an_id_that_is_none(client: Client, name: str) -> None:
    for wrong in [*NO_TEXTS, "x" * 1025]:
        await refused(client, WITH_ID[name], wrong, "state_id")


LONG = "é" * 600
"""Of 1,200 bytes."""
TOO_LONG: dict[str, tuple[str, Call]] = {
    "state": ("state_id", lambda client, long: client.state(long).get()),
    "agent": ("agent_id", lambda client, long: client.state("s", agent_id=long).set("a", 1)),
    "label": ("label", lambda client, long: client.state("s").snapshot(long)),
    "fork": ("state_id", lambda client, long: client.state("s").fork(long)),
    "workflow": ("workflow_id", lambda client, long: client.workflow(long).try_resume()),
    "checkpoint": (
        "agent_id",
        lambda client, long: client.checkpoints.create_checkpoint("w", 0, long, AgentStatus.COMPLETED, {}),
    ),
    "replacement": ("replacement", lambda client, long: client.state("s").redact("what is to go", long)),
}


@pytest.mark.parametrize("name", TOO_LONG)
async def test_a_text_that_is_too_long(client: Client, name: str) -> None:
    field, call = TOO_LONG[name]
    with pytest.raises(InvalidArgumentError, match="has 1200 bytes; the limit is 1024") as failure:
        await call(client, LONG)
    assert failure.value.field == field


async def test_a_path_that_is_too_long(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    longest = "x" * 16384
    assert await state.set(longest, 1) == 1
    assert await state.get(longest) == 1
    for path in (longest + "x", "é" * 10_000_000, ".".join(["x"] * 129)):
        with pytest.raises(PathError) as failure:
            await state.set(path, 1)
        assert len(str(failure.value)) < 1000
        assert len(failure.value.path) <= 1024
    # A name inside a value may be longer, and comes back, also from elsewhere.
    await state.set("v", {"y" * 20_000: {"z": [1] * 50}})
    await state.set("v", {"y" * 20_000: {"z": [1] * 51}})
    lines = await _export(client, state_id)
    await client.import_state(f"{state_id}-2", lines)
    assert await client.state(f"{state_id}-2").get() == await state.get()


async def test_metadata_that_is_too_large(client: Client, state_id: str) -> None:
    state = client.state(state_id)
    metadata = {"k": "x" * 1024 * 1024}
    with pytest.raises(TooLargeError, match="metadata of"):
        await state.snapshot(metadata=metadata)
    with pytest.raises(TooLargeError, match="metadata of"):
        await client.checkpoints.create_checkpoint("w", 0, "a", AgentStatus.COMPLETED, {}, metadata=metadata)
    assert await state.list_snapshots() == []


async def test_a_failure_of_any_length_is_recorded(client: Client, state_id: str) -> None:
    """Or it would be in doubt whether it has happened."""
    workflow = client.workflow(state_id)
    kind = type("E" * 2000, (Exception,), {})
    async with workflow, workflow.step(0) as step:
        for _ in range(2):
            with pytest.raises(kind):
                await step.once("k", _failing, kind("é" * 100_000), failures=(kind,))


async def _failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("name", WITH_TEXT)
async def test_a_text_that_is_none(client: Client, name: str) -> None:
    field, call = WITH_TEXT[name]
    for wrong in [*NO_TEXTS, "x" * 70_000]:
        await refused(client, call, wrong, field)


@pytest.mark.parametrize("name", WITH_TIMEOUT)
async def test_a_time_that_is_none(client: Client, name: str) -> None:
    for wrong in (0, -1, "1", float("nan"), True):
        await refused(client, WITH_TIMEOUT[name], wrong, "timeout")
