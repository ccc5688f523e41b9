"""``workflow show``: what has happened."""

import asyncio
import re
from datetime import datetime

import pytest
from rich.cells import cell_len
from tests.cli.running import Command, Terminal
from tests.cli.workflows import die_as_holder, events, fail, leave_in_doubt, lines
from tests.support.daemons import DaemonProcess

import lastgood

NASTY = "\x1b]0;title\x07[bold]x[/bold]\n\u202e"
LONG = "the table 'prices' has no column 'eur', only 'usd' and 'gbp': it was made before the change of October"


@pytest.fixture
async def rich(daemon: DaemonProcess, client: lastgood.Client, state_id: str) -> str:
    """A workflow to which much has happened."""
    workflow = client.workflow(state_id, initial_state={"order": 4711})
    await workflow.try_resume()
    async with workflow.step(0, "researcher") as step:
        await step.state.set("prices", {"usd": 12})
        await step.once("quote", lambda: 12)
        workflow.metrics.total_tokens += 1200
    await fail(workflow.step(1, "writer"), ValueError(LONG), offer="12 eur")
    await die_as_holder(daemon, client, state_id, 1)
    async with client.workflow(state_id, wait=True) as again:
        await leave_in_doubt(again.step(1, "writer"), "mail")
    return state_id


async def test_a_workflow_with_a_past(command: Command, client: lastgood.Client, rich: str) -> None:
    command.environment["COLUMNS"] = "120"
    quote, mail = await client.workflow(rich).list_effects()

    done = command.process("workflow", "show", rich)

    assert (done.status, done.err) == (0, "")
    said = lines(done.out, quote.idempotency_key, mail.idempotency_key)
    holder = events(said)[9].partition("by ")[2].partition(",")[0]
    assert said[:7] == [
        f"workflow    {rich}",
        "condition   idle: nobody holds it",
        "step        1 is next, last tried by writer in attempt 3, TIME, 1 death so far",
        "attempt     3",
        "last heard  TIME (AGE ago)",
        "",
        "time      attempt  step  what",
    ]
    assert events(said) == [
        "        1        ▶ resumed    by -, begins at step 0",
        "        1     0  → effect     quote: recorded, key KEY-0",
        "        1     0  ✔ completed  by researcher, revision 2, 1,200 tokens, last good",
        "        1     1  ✘ failed     by writer, revision 3, 1,200 tokens",
        "                              ValueError: the table 'prices' has no column 'eur', only 'usd' and 'gbp': it was",
        "                              made before the change of October",
        "        1     1  ⟲ rollback   revision 3 → 4, back to revision 2",
        "        2        ▶ claimed    by holder, goes on at step 1",
        "        2     1  ✘ died       found when attempt 3 began",
        f"        3        ▶ claimed    by {holder}, goes on at step 1",
        "        3     1  ? in doubt   mail: begun, its end unknown",
        "                              key KEY-1",
        "        3     1  ✘ failed     by writer, revision 4, 1,200 tokens",
        "                              TimeoutError: no answer",
        f"        3        ■ ended      given back by {holder}",
    ]
    assert holder.startswith("process ")


async def test_the_document_of_a_workflow(command: Command, rich: str) -> None:
    found = command.json("workflow", "show", rich)

    head = {name: found[name] for name in ("workflow", "condition", "attempt", "line", "next_step", "lease", "last_good")}
    assert head == {
        "workflow": rich, "condition": "idle", "attempt": 3, "line": 0, "next_step": 1, "lease": None, "last_good": 0,
    }  # fmt: skip
    assert (found["step"]["step"], found["step"]["open"], found["step"]["deaths"]) == (1, False, 1)

    attempts = found["attempts"]
    times = [datetime.fromisoformat(each.pop("began_at")) for each in attempts]
    assert times == sorted(times)
    assert [each.pop("end") for each in attempts] == ["replaced", "died", "given_back"]
    assert [each.pop("ended_at") is None for each in attempts] == [True, True, False]
    assert attempts[1] == {
        "attempt": 2, "agent_id": "holder", "holder": "holder", "line": 0, "next_step": 1, "back": False, "from_revision": 4,
        "revision": 4, "died_step": None,
    }  # fmt: skip
    assert [each["died_step"] for each in attempts] == [None, None, 1]

    checkpoints = [(each["step"], each["attempt"], each["status"], each["revision"]) for each in found["checkpoints"]]
    assert checkpoints == [(0, 1, "completed", 2), (1, 1, "failed", 3), (1, 3, "failed", 4)]
    assert found["checkpoints"][1]["metadata"] == {"error": {"type": "ValueError", "message": LONG}}
    assert [(each["key"], each["status"], each["in_doubt"]) for each in found["effects"]] == [
        ("quote", "recorded", False),
        ("mail", "claimed", True),
    ]
    [rollback] = found["rollbacks"]
    assert datetime.fromisoformat(rollback.pop("timestamp"))
    assert rollback.pop("step") in {1, None}
    assert rollback == {
        "revision": 4, "from_revision": 3, "path": "", "source": {"state": rich, "revision": 2}, "agent_id": "writer",
        "attempt": 1,
    }  # fmt: skip


async def test_back_to_an_earlier_step(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    for number in range(2):
        async with workflow.step(number, "a") as step:
            await step.state.set("x", number)
            await step.once("send", lambda: 1)
    await fail(workflow.step(2, "a"), KeyError("gone"))
    async with client.workflow(state_id) as claimed:
        await claimed.try_resume(step=0)
    await client.state(state_id, agent_id="operator").restore(2)
    await client.state(state_id, agent_id="operator").restore(1, paths=["x"])
    keys = [each.idempotency_key for each in await workflow.list_effects()]

    said = lines(command.says("workflow", "show", state_id), *keys)

    assert "attempt     3, line 1" in said
    holder = events(said)[7].partition("by ")[2].partition(",")[0]
    assert events(said) == [
        "        1        ▶ resumed    by -, begins at step 0",
        "        1     0  → effect     send: recorded, key KEY-0",
        "        1     0  ✔ completed  by a, revision 1, last good",
        "        1     1  → effect     send: recorded, key KEY-1, superseded",
        "        1     1  ✔ completed  by a, revision 2, superseded",
        "        1     2  ✘ failed     by a, revision 2, superseded",
        "                              KeyError: 'gone'",
        f"        2        ▶ claimed    by {holder}, goes on at step 2",
        "        2        ■ replaced   by attempt 3; it had not been given back",
        f"        3        ▶ claimed    by {holder}, goes back to step 1, on line 1",
        "        3        ⟲ rollback   revision 2 → 3, back to revision 1",
        f"        3        ■ ended      given back by {holder}",
        "        -        ⟲ rollback   revision 3 → 4, back to revision 2, by operator",
        "        -        ⟲ rollback   revision 4 → 5, back to revision 1, only x, by operator",
    ]
    ends = [each["end"] for each in command.json("workflow", "show", state_id)["attempts"]]
    assert ends == ["replaced", "replaced", "given_back"]


async def test_effects_of_all_kinds(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    async with workflow.step(0, "a") as step:
        with pytest.raises(ValueError, match="declined"):
            await step.once("1 fails", declined, failures=ValueError)
        with pytest.raises(lastgood.InvalidValueError):
            await step.once("2 is done", object)
    await leave_in_doubt(workflow.step(1, "a"), "3 runs twice")
    await leave_in_doubt(workflow.step(1, "a"), "3 runs twice")
    await workflow.try_resume()
    async with workflow.step(1, "a") as step:
        await step.once("3 runs twice", lambda: 1)
    keys = [each.idempotency_key for each in await workflow.list_effects()]

    said = events(lines(command.says("workflow", "show", state_id), *keys))

    assert [line for line in said if "→" in line and "revision" not in line] == [
        "        1     0  → effect     1 fails: failed for good: ValueError: declined, key KEY-0",
        "        1     0  → effect     2 is done: done, its result not stored, key KEY-1",
        "        2     1  → effect     3 runs twice: recorded, begun 3 times, so perhaps more than once, key KEY-2",
    ]


def declined() -> None:
    message = "declined"
    raise ValueError(message)


async def test_checkpoints_alone(command: Command, client: lastgood.Client, state_id: str) -> None:
    other = client.state(f"{state_id}-other")
    await other.set("x", 1)
    manager = client.checkpoints
    await manager.create_checkpoint(state_id, 0, "a", "completed", other)
    await manager.create_checkpoint(state_id, 1, "a", "failed", other, metadata={"error": "a plain\ntext"})
    await manager.create_checkpoint(state_id, 2, "a", "blocked", other, metadata={"error": {"code": 5}})

    said = lines(command.says("workflow", "show", state_id))

    assert said[1:3] == ["condition   idle: nobody holds it", "step        1 is next"]
    assert events(said) == [
        f"        -     0  ✔ completed  by a, revision 1 of {state_id}-other, last good",
        f"        -     1  ✘ failed     by a, revision 1 of {state_id}-other",
        "                              a plain",
        "                              text",
        f"        -     2  ● blocked    by a, revision 1 of {state_id}-other",
        '                              {"code": 5}',
    ]


async def test_rollbacks_far_back(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id, agent_id="operator")
    workflow = client.workflow(state_id, initial_state={"x": 0})
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.try_resume()
    await fail(workflow.step(0, "a"), KeyError(), x=2)
    await state.restore(2)
    await asyncio.gather(*(state.set("x", number) for number in range(1100)))
    await state.restore(2)

    found = command.json("workflow", "show", state_id)["rollbacks"]

    assert [(each["revision"], each["source"]["revision"], each["attempt"]) for each in found] == [
        (3, 1, 2),
        (5, 1, 2),
        (1107, 2, None),
    ]


async def test_what_the_history_does_not_tell_any_more(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.try_resume()
    await client.state(state_id).set("x", 2)
    await client.set_retention(lastgood.Retention(revisions=1), state_id)
    await client.compact(state_id)

    shown = command.says("workflow", "show", state_id)

    assert "⟲ rollback  revision 1 → 2\n" in shown
    assert command.json("workflow", "show", state_id)["rollbacks"][0]["source"] is None


async def test_only_the_last_events(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    for number in range(60):
        async with workflow.step(number, "a"):
            pass

    said = lines(command.says("workflow", "show", state_id))

    assert said[said.index("") + 1] == "11 earlier events are not shown: --limit 0 shows all"
    assert [line.split()[1] for line in events(said)] == [str(step) for step in range(10, 60)]
    assert len(events(lines(command.says("workflow", "show", state_id, "--limit", "0")))) == 61
    assert len(events(lines(command.says("workflow", "show", state_id, "--limit", "3")))) == 3
    assert "earlier" not in command.says("workflow", "show", state_id, "--limit", "61")
    assert len(command.json("workflow", "show", state_id)["checkpoints"]) == 60


@pytest.mark.parametrize("columns", [80, 120])
async def test_lines_fit_the_terminal(command: Command, client: lastgood.Client, rich: str, columns: int) -> None:
    workflow = client.workflow(rich)
    await workflow.try_resume()
    await leave_in_doubt(workflow.step(1, "日本" * 20), "日本" * 40)
    await fail(workflow.step(1, "a" * 100), ValueError("x" * 2000 + "\n" * 30))

    terminal = Terminal(command, "workflow", "show", rich, columns=columns)
    done = terminal.end()

    assert done.status == 0
    assert max(cell_len(line) for line in done.out.splitlines()) <= columns
    assert "\x1b[1;31m✘ failed" in terminal.raw
    assert "\x1b" not in command.process("workflow", "show", rich).out


async def test_nothing_reaches_the_terminal_raw(command: Command, client: lastgood.Client, state_id: str) -> None:
    name = f"{state_id}{NASTY}"
    workflow = client.workflow(name)
    await workflow.try_resume()
    await leave_in_doubt(workflow.step(0, NASTY), NASTY)
    await workflow.try_resume()
    await fail(workflow.step(0, NASTY), ValueError(NASTY))
    await client.checkpoints.create_checkpoint(name, 1, NASTY, "failed", {}, metadata={"error": {NASTY: NASTY}})

    command.environment["COLUMNS"] = "400"
    for words in (["workflow", "show", name], ["resume", name], ["workflows"], ["checkpoints", name]):
        said = command.says(*words)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said), said
        assert "[bold]x[/bold]" in said


def test_an_unknown_workflow(command: Command, state_id: str) -> None:
    complaint = command.complains(1, "workflow", "show", state_id)
    assert complaint == f"lastgood workflow show: there is no workflow '{state_id}': lastgood workflows lists them\n"
