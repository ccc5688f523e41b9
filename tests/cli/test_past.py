"""``history`` and ``diff``."""

import re
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from tests.cli.running import Command, Terminal

import lastgood

NASTY = "\x1b]0;title\x07\x9b[bold]x[/bold]\n\u202e"


@pytest.fixture
async def trip(client: lastgood.Client, state_id: str) -> str:
    """A state with a past: written, spoiled, rolled back."""
    state = client.state(state_id, agent_id="researcher")
    await state.set("topic", "AI")
    await state.set("research.findings", ["finding1", "finding2"])
    await state.snapshot("before-review")
    spoiler = client.state(state_id, agent_id="analyst")
    await spoiler.update({"research.findings": ["bad data"], "research.rank": 1})
    await spoiler.delete("topic")
    await client.state(state_id, agent_id="operator").restore(2)
    return state_id


def lines(said: str) -> list[str]:
    """The lines, without the times."""
    return [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in said.splitlines()]


def test_history_of_a_state(command: Command, trip: str) -> None:
    done = command.process("history", trip)

    assert (done.status, done.err) == (0, "")
    day, *rows = lines(done.out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d, UTC([+-]\d\d:\d\d)?", day)
    assert rows == [
        '1  TIME  researcher  set        topic = "AI"',
        '2  TIME  researcher  set        research.findings = ["finding1", "finding2"]',
        "3  TIME  analyst     update     ~ research.findings, + research.rank",
        "4  TIME  analyst     delete     - topic",
        "5  TIME  operator    ⟲ restore  back to revision 2: ~ research.findings, - research.rank, + topic",
    ]


def test_history_of_a_path(command: Command, trip: str) -> None:
    assert lines(command.says("history", trip, "topic"))[1:] == [
        '1  TIME  researcher  set        "AI"',
        "4  TIME  analyst     delete     (nothing)",
        '5  TIME  operator    ⟲ restore  back to revision 2: "AI"',
    ]


async def test_history_of_other_operations(command: Command, client: lastgood.Client, trip: str) -> None:
    await client.state(trip, agent_id="me").restore(3, paths=["research.rank"])
    await client.state(trip, agent_id="me").restore(3, paths=["research.rank"])
    await client.state(trip, agent_id="me").set("", {"a": 1})
    fork = await client.state(trip).fork(f"{trip}-fork", at=2)
    await client.state(fork.state_id, agent_id="me").restore(await client.state(trip).snapshot())

    assert lines(command.says("history", trip))[6:] == [
        "6  TIME  me          ⟲ restore  research.rank back to revision 3: research.rank = 1",
        "7  TIME  me          ⟲ restore  research.rank back to revision 3: nothing changed",
        '8  TIME  me          set        (all) = {"a": 1}',
    ]
    first, second = lines(command.says("history", fork.state_id))[1:]
    assert first.endswith(f"fork       of {trip} at revision 2")
    assert f"⟲ restore  back to revision 8 of {trip}: " in second


async def test_history_of_a_workflow(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id, initial_state={"x": 0})
    await workflow.try_resume()
    async with workflow.step(0, "researcher") as step:
        await step.state.set("x", 1)
    await client.state(state_id, agent_id="helper").set("y", 2)
    await workflow.state.set("x", 3)
    await workflow.try_resume()

    assert lines(command.says("history", state_id))[1:] == [
        '1  TIME  -                      set        (all) = {"x": 0}',
        "2  TIME  researcher  #1 step 0  set        x = 1",
        "3  TIME  helper                 set        y = 2",
        "4  TIME  -           #1         set        x = 3",
        "5  TIME  -           #2         ⟲ restore  back to revision 2: ~ x, - y",
    ]
    entries = command.json("history", state_id)["history"]
    assert [(each["attempt"], each["step"]) for each in entries] == [
        (None, None),
        (1, 0),
        (None, None),
        (1, None),
        (2, None),
    ]


def test_which_part_of_the_history(command: Command, trip: str) -> None:
    def revisions(*words: str) -> list[int]:
        return [entry["revision"] for entry in command.json("history", trip, *words)["history"]]

    assert revisions() == [1, 2, 3, 4, 5]
    assert revisions("--limit", "2") == [4, 5]
    assert revisions("--limit", "2", "--newest-first") == [5, 4]
    assert revisions("--limit", "0", "--newest-first") == [5, 4, 3, 2, 1]
    assert revisions("--after", "before-review") == [3, 4, 5]
    assert revisions("--before", "before-review", "--limit", "1") == [1]
    assert revisions("--after", datetime.now(UTC).isoformat()) == []

    note = "earlier revisions are not shown: --limit 0 shows all"
    assert command.says("history", trip, "--limit", "2").splitlines()[0] == note
    assert command.says("history", trip, "--limit", "2", "--newest-first").splitlines()[-1] == note
    assert note not in command.says("history", trip, "--limit", "5")


async def test_without_a_limit_people_see_the_last_fifty(command: Command, client: lastgood.Client, state_id: str) -> None:
    for number in range(60):
        await client.state(state_id).set("x", number)

    shown = command.says("history", state_id).splitlines()

    assert [line.split()[0] for line in shown[2:]] == [str(revision) for revision in range(11, 61)]
    assert len(command.json("history", state_id)["history"]) == 60


def test_nothing_in_the_history(command: Command, trip: str) -> None:
    assert command.says("history", trip, "nothing.there") == (
        f"nothing of that in the history of {trip}, which is at revision 5\n"
    )


def test_the_document_of_history(command: Command, trip: str) -> None:
    found = command.json("history", trip, "topic", "--limit", "2")

    assert {name: found[name] for name in ("state", "path", "revision", "earlier")} == {
        "state": trip,
        "path": "topic",
        "revision": 5,
        "earlier": True,
    }
    deleted, restored = found["history"]
    times = [datetime.fromisoformat(each.pop("timestamp")) for each in (deleted, restored)]
    assert times == sorted(times)
    assert times[0].tzinfo == UTC
    common = {"path": "topic", "attempt": None, "step": None}
    assert deleted == common | {
        "revision": 4, "operation": "delete", "agent_id": "analyst", "existed": False, "source": None,
    }  # fmt: skip
    assert restored == common | {
        "revision": 5, "operation": "restore", "agent_id": "operator", "existed": True, "value": "AI",
        "source": {"state": trip, "revision": 2},
    }  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
async def test_lines_fit_the_terminal(command: Command, client: lastgood.Client, trip: str, columns: int) -> None:
    wide = client.state(trip, agent_id="日本" * 20)
    await wide.set("long", {"list": list(range(5000)), "text": "日本" * 500})
    await wide.set(".".join(["segment"] * 30), "x" * 500)
    await wide.restore(2)

    terminal = Terminal(command, "history", trip, columns=columns)
    done = terminal.end()

    assert done.status == 0
    assert len(done.out.splitlines()) == 9
    assert max(cell_len(line) for line in done.out.splitlines()) <= columns
    assert "…" in done.out
    assert "\x1b[" in terminal.raw


async def test_nothing_reaches_the_terminal_raw(command: Command, client: lastgood.Client, state_id: str) -> None:
    name = f"{state_id}{NASTY}"
    state = client.state(name, agent_id=NASTY)
    await state.set("a", NASTY)
    await state.snapshot(NASTY)
    await state.set(lastgood.join(NASTY), [NASTY])

    command.environment["COLUMNS"] = "400"
    for words in (["history", name], ["history", name, "a"], ["diff", name, "1"], ["diff", name, "0"], ["snapshots", name]):
        said = command.says(*words)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said), said
        assert "[bold]x[/bold]" in said
    assert "\\x1b]0;title\\x07\\x9b[bold]x[/bold]\\n\\u202e" in command.says("history", name)
    assert "\\x1b]0;title" in command.complains(1, "restore", name, "nonesuch")


def test_diff(command: Command, trip: str) -> None:
    assert command.process("diff", trip, "2", "4") == (
        0,
        '- topic              "AI"\n~ research.findings  ["finding1", "finding2"] → ["bad data"]\n+ research.rank      1\n',
        "",
    )
    assert command.says("diff", trip, "before-review") == (
        f"no difference between snapshot before-review (revision 2 of {trip}) and now\n"
    )
    assert command.says("diff", trip, "4", "before-review").endswith('+ topic              "AI"\n')


def test_the_document_of_diff(command: Command, trip: str) -> None:
    assert command.json("diff", trip, "2", "4") == {
        "state": trip,
        "old": "2",
        "new": "4",
        "differences": [
            {"path": "topic", "kind": "removed", "old": "AI"},
            {"path": "research.findings", "kind": "changed", "old": ["finding1", "finding2"], "new": ["bad data"]},
            {"path": "research.rank", "kind": "added", "new": 1},
        ],
    }


def test_colours_on_a_terminal_only(command: Command, trip: str) -> None:
    terminal = Terminal(command, "diff", trip, "2", "4")
    terminal.end()

    removed, changed, added = terminal.raw.splitlines()
    assert removed.startswith("\x1b[31m- topic")
    assert changed.startswith("\x1b[33m~ research.findings")
    assert added.startswith("\x1b[32m+ research.rank")
    assert "\x1b" not in command.process("diff", trip, "2", "4").out


async def test_a_difference_inside_something_long_is_seen(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("list", list(range(1000)))
    await state.set("list", [*range(500), "here", *range(501, 1000)])

    [line] = command.says("diff", state_id, "1").splitlines()

    assert cell_len(line) <= 140
    old, new = line.split(" → ")
    assert "499, 500, 501" in old
    assert '499, "here", 501' in new


def test_targets_that_are_none(command: Command, trip: str) -> None:
    complaint = command.complains(1, "diff", trip, "nonesuch")
    assert f"state '{trip}' has no snapshot 'nonesuch' (it has 'before-review'), and that is no revision, time" in complaint
    assert "has no time zone: append Z" in command.complains(2, "diff", trip, "2026-11-23T05:50")
    assert "names no step: step:3 does" in command.complains(2, "diff", trip, "step:x")
    assert f"workflow '{trip}' has no checkpoint of step 3" in command.complains(1, "diff", trip, "step:3")

    command.says("snapshot", trip, "before-review")
    complaint = command.complains(1, "diff", trip, "before-review")
    assert "2 snapshots have the label 'before-review': name one by its id, such as " in complaint
    [first, _] = command.json("snapshots", trip)["snapshots"]
    assert command.json("diff", trip, first["snapshot_id"])["differences"] == []


async def test_an_append_shows_what_was_appended(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id, agent_id="me")
    await state.append("log", "first")
    await state.append("log", {"n": 2}, 3)

    assert lines(command.says("history", state_id))[1:] == [
        '1  TIME  me  append  log = ["first"]',
        '2  TIME  me  append  log + [{"n": 2}, 3]',
    ]


@pytest.mark.parametrize("columns", ["120", "80", "40"])
async def test_appended_messages_are_told_apart(
    command: Command, client: lastgood.Client, state_id: str, columns: str
) -> None:
    state = client.state(state_id, agent_id="me")
    for number in range(12):
        role = "assistant" if number % 2 else "user"
        await state.append("messages", {"role": role, "content": f"message number {number} " + "blah " * 30})

    command.environment["COLUMNS"] = columns
    listed = [line for line in lines(command.says("history", state_id)) if "blah" in line]

    assert len(listed) == 12
    assert all(f"{number} bl" in line for number, line in enumerate(listed)), listed
    assert max(map(len, command.says("history", state_id).splitlines())) <= int(columns)


async def test_a_redaction_says_so(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id, agent_id="me")
    await state.set("key", "sk-live-0123456789")
    await state.redact("sk-live-0123456789")

    assert lines(command.says("history", state_id))[-1].endswith("redact  a text was replaced in all revisions up to here")


async def test_what_retention_has_dropped_is_mentioned(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id, agent_id="me")
    for number in range(5):
        await state.set("x", number)
    await client.set_retention(lastgood.Retention(revisions=2), state_id)
    await client.compact(state_id)

    gone = "what came before revision 4 has been compacted"
    assert command.says("history", state_id).splitlines()[0] == gone
    assert command.says("history", state_id, "--newest-first").splitlines()[-1] == gone
    assert command.json("history", state_id)["oldest"] == 4

    await client.set_retention(lastgood.Retention(revisions=1), state_id)
    await client.compact(state_id)
    said = command.says("history", state_id).splitlines()
    assert said[0] == "what came before revision 5 has been compacted"
    assert said[-1].endswith("me  set  x = 4")
    [found] = [each for each in command.json("states")["states"] if each["state"] == state_id]
    assert (found["revision"], found["agent_id"]) == (5, "me")
    assert found["timestamp"] is not None
