"""``snapshot``, ``snapshots`` and ``restore``."""

import json
import re
from datetime import UTC, datetime

import pytest
from tests.cli.running import Command, Terminal
from tests.cli.workflows import leave_in_doubt

import lastgood


@pytest.fixture
async def spoiled(client: lastgood.Client, state_id: str) -> str:
    """A state that has a snapshot of revision 1, and is at revision 3."""
    state = client.state(state_id)
    await state.set("", {"x": "good", "y": "good"})
    await state.snapshot("good")
    await state.set("x", "bad")
    await state.set("y", "bad")
    return state_id


def content(command: Command, state: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(command.says("get", state))
    return found


def test_taking_snapshots(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    done = command.process("snapshot", state_id, "a label", "--metadata", '{"by": {"$bytes": "AA=="}}')
    assert done.status == 0
    assert re.fullmatch(rf"snapshot \w+, a label, is {state_id} at revision 1\n", done.out)

    taken = command.json("snapshot", state_id)
    assert datetime.fromisoformat(taken.pop("created_at")).tzinfo == UTC
    assert taken.pop("snapshot_id") in command.says("snapshots", state_id)
    assert taken == {"state": state_id, "revision": 1, "label": None, "metadata": None}

    [first, second] = command.json("snapshots", state_id)["snapshots"]
    assert (first["label"], first["metadata"]) == ("a label", {"by": {"$bytes": "AA=="}})
    assert second["label"] is None
    head, row, _ = command.process("snapshots", state_id).out.splitlines()
    assert head.split() == ["snapshot", "revision", "taken", "label"]
    assert row.split()[:2] == [first["snapshot_id"], "1"]
    assert row.endswith("  a label")


def test_no_snapshots(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    assert command.says("snapshots", state_id).startswith(f"{state_id} has no snapshots: lastgood snapshot {state_id} ")
    assert command.json("snapshots", state_id) == {"state": state_id, "snapshots": []}
    assert "metadata must be a dict" in command.complains(2, "snapshot", state_id, "--metadata", "[]")


def test_a_dry_run_changes_nothing(command: Command, spoiled: str) -> None:
    done = command.process("restore", spoiled, "good", "--dry-run")

    assert done == (
        0,
        (
            f"{spoiled}, now at revision 3, would go back to snapshot good (revision 1 of {spoiled}):\n"
            '~ x  "bad" → "good"\n~ y  "bad" → "good"\n'
        ),
        "",
    )
    assert command.json("restore", spoiled, "1", "--path", "x", "--dry-run") == {
        "state": spoiled,
        "target": "1",
        "differences": [{"path": "x", "kind": "changed", "old": "bad", "new": "good"}],
        "effects": [],
    }
    assert command.says("restore", spoiled, "3", "--dry-run").endswith("revision 3:\nnothing would change\n")
    assert content(command, spoiled) == {"x": "bad", "y": "bad"}


def test_without_a_terminal_it_does_not_ask(command: Command, spoiled: str) -> None:
    done = command.process("restore", spoiled, "good")

    assert done == (
        0,
        (
            f"{spoiled} is at revision 4: it is as in snapshot good (revision 1 of {spoiled})\n"
            f"to undo that: lastgood restore {spoiled} 3\n"
        ),
        "",
    )
    assert content(command, spoiled) == {"x": "good", "y": "good"}

    assert command.json("restore", spoiled, "3") == {"state": spoiled, "target": "3", "revision": 5}
    assert content(command, spoiled) == {"x": "bad", "y": "bad"}


def test_single_paths(command: Command, spoiled: str) -> None:
    assert "is at revision 4: x in it is as in revision 1\n" in command.says("restore", spoiled, "1", "--path", "x")
    assert content(command, spoiled) == {"x": "good", "y": "bad"}


@pytest.mark.parametrize(("answer", "status", "value"), [("y\n", 0, "good"), ("n\n", 1, "bad"), ("\x04", 1, "bad")])
def test_a_terminal_is_asked(command: Command, spoiled: str, answer: str, status: int, value: str) -> None:
    terminal = Terminal(command, "restore", spoiled, "good")
    terminal.wait_for(f"Restore {spoiled}? [y/N] ")
    assert '~ x  "bad" → "good"\n' in terminal.shown
    assert content(command, spoiled)["x"] == "bad"

    terminal.type(answer)
    done = terminal.end()

    assert done.status == status
    assert content(command, spoiled)["x"] == value
    assert ("lastgood restore: nothing was changed\n" in done.out) == (status == 1)


def test_an_interrupt_at_the_question(command: Command, spoiled: str) -> None:
    terminal = Terminal(command, "restore", spoiled, "good")
    terminal.wait_for("[y/N] ")
    terminal.type("\x03")

    done = terminal.end()

    assert done.status == 130
    assert done.out.endswith("\nlastgood restore: interrupted\n")
    assert content(command, spoiled)["x"] == "bad"


def test_a_terminal_is_not_asked_with_yes(command: Command, spoiled: str) -> None:
    done = Terminal(command, "restore", spoiled, "good", "--yes").end()

    assert done.status == 0
    assert "[y/N]" not in done.out
    assert content(command, spoiled)["x"] == "good"


async def test_what_was_seen_is_what_is_done(command: Command, client: lastgood.Client, spoiled: str) -> None:
    terminal = Terminal(command, "restore", spoiled, "good")
    terminal.wait_for("[y/N] ")
    await client.state(spoiled).set("x", "new")
    terminal.type("y\n")

    done = terminal.end()

    assert done.status == 1
    assert "expected the state at revision 3, but it is at 4: look at it again" in done.out.replace("\n", " ")
    assert content(command, spoiled)["x"] == "new"


async def test_effects_past_a_checkpoint(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    for number in range(2):
        async with workflow.step(number, "agent") as step:
            await step.state.set("x", number)
            await step.once(f"send {number}", lambda: "sent")
    await leave_in_doubt(workflow.step(2, "agent"), "pay")
    sent, pay = [each for each in await workflow.list_effects() if each.step > 0]

    assert command.says("restore", state_id, "step:0", "--dry-run").splitlines() == [
        f"{state_id}, now at revision 2, would go back to the checkpoint of step 0 (revision 1 of {state_id}):",
        "~ x  1 → 0",
        "not undone: 2 effects, 1 in doubt; put aside, and run again with their steps",
        f"  step 1  → effect    send 1: recorded, key {sent.idempotency_key[:4]}…{sent.idempotency_key[-4:]}",
        "  step 2  ? in doubt  pay: begun, its end unknown",
        f"                      key {pay.idempotency_key}",
    ]
    found = command.json("restore", state_id, "step:0", "--dry-run")["effects"]
    assert [(each["key"], each["status"], each["in_doubt"]) for each in found] == [
        ("send 1", "recorded", False),
        ("pay", "claimed", True),
    ]
    assert command.json("restore", state_id, "1", "--dry-run")["effects"] == []
    assert command.json("restore", state_id, "step:0", "--path", "x", "--dry-run")["effects"] == []

    terminal = Terminal(command, "restore", state_id, "step:0")
    terminal.wait_for("[y/N] ")
    assert "not undone: 2 effects, 1 in doubt;" in terminal.shown
    terminal.type("n\n")
    terminal.end()


def test_by_time_and_by_checkpoint(command: Command, spoiled: str) -> None:
    history = command.json("history", spoiled)["history"]
    assert "it is as in what it was at 2" in command.says("restore", spoiled, history[1]["timestamp"])
    assert content(command, spoiled) == {"x": "bad", "y": "good"}

    assert "CheckpointNotFound" not in command.complains(1, "restore", spoiled, "step:1")
    assert "its revisions are 0 to 4" in command.complains(1, "restore", spoiled, "99")
    assert "expected the state at revision 2" in command.complains(1, "restore", spoiled, "1", "--expected", "2")
