"""Redaction, as its callers see it, with a real daemon."""

from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import AgentStatus, InvalidArgumentError, NotRedactableError, Redaction

KEY = "sk-live-0123456789"


def remains(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and KEY.encode() in path.read_bytes()]


async def test_a_leaked_key_is_nowhere_any_more(own_daemon: DaemonProcess) -> None:
    """While the daemon runs, and when it has ended: in no file of its folder."""
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0, agent_id="ann") as client:
        state = client.state("trip")
        await state.set("config", {"url": "u", "key": KEY, KEY: [KEY.encode(), f"Bearer {KEY}"]})
        taken = await state.snapshot(f"with {KEY}", metadata={"why": KEY})
        await state.set("other", 1)
        await state.delete("config.key")
        async with client.workflow("trip") as workflow, workflow.step(0) as step:
            assert await step.once("ask", lambda: {"answer": KEY}) == {"answer": KEY}
        await client.checkpoints.create_checkpoint(
            "trip", 7, "ann", AgentStatus.COMPLETED, {"copied": KEY}, metadata={"k": KEY}
        )
        before = await state.revision()
        assert remains(folder)

        done = await state.redact(KEY)

        assert done.revision == before + 1 == await state.revision()
        assert done.revisions == 2
        assert done.records >= 3
        assert remains(folder) == []
        assert await state.get("config", at=taken.revision) == {
            "url": "u",
            "key": "[redacted]",
            "[redacted]": [b"[redacted]", "Bearer [redacted]"],
        }
        assert await state.get("config") == {"url": "u", "[redacted]": [b"[redacted]", "Bearer [redacted]"]}
        (snapshot,) = await state.list_snapshots()
        assert (snapshot.label, snapshot.metadata) == ("with [redacted]", {"why": "[redacted]"})
        made = await client.checkpoints.get_checkpoint("trip", 7)
        assert made.metadata == {"k": "[redacted]"}
        copied = client.state("copied")
        await copied.restore(made)
        assert await copied.to_dict() == {"copied": "[redacted]"}
        (last,) = await state.get_history(limit=1, newest_first=True)
        assert (last.operation, last.agent_id) == ("redact", "ann")
        assert await state.redact(KEY) == Redaction(done.revision, 0, 0)
        await state.restore(taken)
        assert await state.get("config.key") == "[redacted]"
    own_daemon.stop()
    assert remains(folder) == []


async def test_what_it_takes(client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("k", KEY)
    for text, replacement, field in [("abc", "x", "text"), (KEY, f"<{KEY}>", "replacement")]:
        with pytest.raises(InvalidArgumentError) as caught:
            await state.redact(text, replacement)
        assert caught.value.field == field
    with pytest.raises(InvalidArgumentError):
        await state.redact(KEY, "")
    with pytest.raises(InvalidArgumentError):
        await state.redact(b"bytes")  # type: ignore[arg-type]
    assert await state.get("k") == KEY
    assert await state.redact(KEY, "gone") == Redaction(2, 1, 0)
    assert await state.get("k") == "gone"


async def test_what_cannot_be_replaced_is_said_where(client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("k", KEY)
    await state.set(f"keys.{KEY}", 1)
    with pytest.raises(NotRedactableError) as caught:
        await state.redact(KEY)
    assert (caught.value.reason, caught.value.revision) == ("NOT_REDACTABLE", 2)
    assert "keys.[redacted]" in caught.value.where
    assert KEY not in str(caught.value)
    assert await state.get("k") == KEY


async def test_who_wrote_before_goes_on(client: lastgood.Client, state_id: str) -> None:
    """Conditions of others hold where nothing was replaced, and do not where it was."""
    state = client.state(state_id)
    await state.set("a", {"key": KEY, "n": 1})
    await state.set("b", 1)
    await state.redact(KEY)
    await state.set("b", 2, expected={"b": 2, "a.n": 1})
    with pytest.raises(lastgood.RevisionConflictError) as caught:
        await state.set("b", 3, expected={"a.key": 1})
    assert caught.value.actual == 3


async def test_a_state_that_nobody_has_written(client: lastgood.Client, state_id: str) -> None:
    assert await client.state(state_id).redact(KEY) == Redaction(0, 0, 0)


async def test_one_that_was_deleted_is_refused(client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("k", KEY)
    await client.delete_state(state_id)
    with pytest.raises(lastgood.StateNotFoundError):
        await state.redact(KEY)
