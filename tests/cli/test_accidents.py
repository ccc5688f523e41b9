"""What a typo, or a command that loses something, must not do without a word."""

import subprocess
from pathlib import Path

import pytest
from tests.cli.running import COMMAND, SECONDS, Command, Terminal

import lastgood
from lastgood import AgentStatus, Retention


@pytest.mark.parametrize(
    "words",
    [
        ["get", "NONE"],
        ["get", "NONE", "a.b"],
        ["history", "NONE"],
        ["diff", "NONE", "0"],
        ["snapshot", "NONE"],
        ["snapshots", "NONE"],
        ["restore", "NONE", "0"],
        ["restore", "NONE", "0", "--dry-run"],
        ["restore", "NONE", "2026-11-23T05:50:12Z"],
        ["fork", "NONE"],
        ["export", "NONE"],
        ["redact", "NONE", "--yes"],
        ["compact", "NONE"],
        ["delete", "NONE", "x"],
        ["delete", "NONE", "--yes"],
        ["checkpoints", "NONE"],
        ["resume", "NONE"],
        ["release", "NONE"],
        ["workflow", "show", "NONE"],
        ["workflow", "delete", "NONE", "--yes"],
    ],
    ids=" ".join,
)
def test_what_was_never_written_is_an_error(command: Command, state_id: str, words: list[str]) -> None:
    asked = [state_id if each == "NONE" else each for each in words]

    done = command.here(*asked)

    assert (done.status, done.out) == (1, "")
    assert f"there is no state '{state_id}'" in done.err or f"there is no workflow '{state_id}'" in done.err
    assert state_id not in command.says("states")


async def test_a_default_stands_for_a_state_that_is_not_there(command: Command, state_id: str) -> None:
    assert command.says("get", state_id, "--default", "1") == "1\n"
    assert command.json("get", state_id, "--default", "1")["existed"] is False


async def test_a_plain_state_does_not_become_a_workflow(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("x", 1)

    assert f"there is no workflow '{state_id}'" in command.complains(1, "resume", state_id)
    assert await client.workflow(state_id).status() is None


def test_a_policy_of_what_is_not_there_is_told(command: Command, state_id: str) -> None:
    told = f"there is no state or workflow '{state_id}' yet\n"
    assert command.says("retention", state_id).endswith(told)
    assert command.says("retention", state_id, "--revisions", "3") == f"{state_id}: revisions 3\n{told}"


@pytest.mark.parametrize("options", [[], ["--yes"], ["--expected", "1"]], ids=str)
async def test_a_restore_that_changes_nothing_writes_nothing(
    command: Command, client: lastgood.Client, state_id: str, options: list[str]
) -> None:
    await client.state(state_id).set("x", 1)

    assert command.json("restore", state_id, "1", *options)["revision"] == 1
    said = command.says("restore", state_id, "1", *options)
    assert said == f"{state_id} is like that already: nothing was written\n"
    assert await client.state(state_id).revision() == 1
    assert "it is at 1" in command.complains(1, "restore", state_id, "1", "--expected", "7")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["set", "STATE", "x", "1"],
            "lastgood set: standard output could not be written: No space left on device; the command",
        ),
        (["--help"], "lastgood: standard output could not be written: No space left on device"),
    ],
    ids=["set", "help"],
)
def test_a_full_standard_output_is_named(command: Command, state_id: str, words: list[str], said: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *(state_id if each == "STATE" else each for each in words)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=command.environment,
            check=False,
            text=True,
            timeout=SECONDS,
        )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    assert done.stderr.startswith(said)


async def test_a_state_is_not_emptied_without_a_yes(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("x", 1)
    await state.delete("")
    await state.set("x", 2)

    for target in ("0", "2"):
        complaint = command.complains(2, "restore", state_id, target)
        assert f"nothing would be left in '{state_id}'" in complaint
        assert "--yes says that it is meant" in complaint
    assert await state.revision() == 3

    command.says("restore", state_id, "2", "--yes")
    assert await state.get() == {}


async def test_a_terminal_is_not_asked_where_nothing_would_change(
    command: Command, client: lastgood.Client, state_id: str
) -> None:
    await client.state(state_id).set("x", 1)

    done = Terminal(command, "restore", state_id, "1").end()

    assert done.status == 0
    assert done.out.endswith(f"{state_id} is like that already: nothing was written\n")
    assert await client.state(state_id).revision() == 1


async def test_a_policy_is_changed_rule_by_rule(command: Command, state_id: str) -> None:
    command.says("retention", state_id, "--revisions", "10", "--age", "7d")

    assert (
        command.says("retention", state_id, "--bytes", "10")
        == f"{state_id}: revisions 10, age 7d, bytes 10B\nthere is no state or workflow '{state_id}' yet\n"
    )


async def test_what_a_policy_lets_go_is_shown_first(command: Command, client: lastgood.Client, state_id: str) -> None:
    for number in range(5):
        await client.state(state_id).set("x", number)

    complaint = command.complains(2, "retention", state_id, "--revisions", "2")
    assert "3 revisions would go by that policy, for good: --yes says that it is meant" in complaint
    assert not (await client.get_retention(state_id)).own

    terminal = Terminal(command, "retention", state_id, "--revisions", "2")
    terminal.wait_for("3 revisions would go. Set it? [y/N] ")
    terminal.type("y\n")
    assert terminal.end().status == 0

    assert command.says("compact", state_id, "--dry-run") == "would give up 3 revisions\n"
    assert command.json("compact", state_id, "--dry-run")["revisions"] == 3
    assert "3 revisions would go, for good: --yes" in command.complains(2, "compact", state_id)
    assert len(await client.state(state_id).get_history()) == 5
    assert command.says("compact", state_id, "--yes").startswith("gave up 3 revisions")
    assert command.says("compact", state_id) == "gave up nothing\n"


async def test_a_dry_run_counts_every_kind_and_changes_nothing(client: lastgood.Client, state_id: str) -> None:
    for step in range(3):
        await client.checkpoints.create_checkpoint(state_id, step, "a", AgentStatus.COMPLETED, {"step": step})
        await client.state(state_id).set("x", step)
    policy = Retention(revisions=1, checkpoints=1)

    foreseen = await client.compact(state_id, dry_run=True, retention=policy)

    assert (foreseen.checkpoints, foreseen.revisions, foreseen.bytes) == (2, 2, 0)
    assert len(await client.checkpoints.list_checkpoints(state_id)) == 3
    assert (await client.compact(state_id)).revisions == 0
    with pytest.raises(lastgood.InvalidArgumentError, match="dry_run"):
        await client.compact(state_id, retention=policy)


async def test_going_back_to_a_step_is_asked_about(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    for number in range(3):
        async with workflow.step(number, "agent") as step:
            await step.state.set("x", number)
            await step.once("send", lambda: "sent")

    assert command.says("resume", state_id, "--step", "0", "--dry-run").splitlines()[0] == (
        f"{state_id} would go back to the checkpoint of step 0: "
        "values changed: 1, later checkpoints put aside: 2, effects: 2"
    )
    document = command.json("resume", state_id, "--step", "0", "--dry-run")
    assert [each["step"] for each in document["checkpoints"]] == [1, 2]
    assert "--yes says that it is meant" in command.complains(2, "resume", state_id, "--step", "0")
    assert await client.state(state_id).get("x") == 2
    command.says("resume", state_id, "--step", "0", "--yes")
    assert await client.state(state_id).get("x") == 0


async def test_a_workflow_can_be_deleted(command: Command, client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.checkpoint(0, "agent", AgentStatus.COMPLETED)
    attempt = workflow.attempt

    assert "(checkpoints: 1, effects: 0) is for good: --yes" in command.complains(2, "workflow", "delete", state_id)
    assert command.says("workflow", "delete", state_id, "--yes") == f"{state_id} is deleted; its state stays\n"

    assert await client.workflow(state_id).status() is None
    assert await client.checkpoints.list_checkpoints(state_id) == []
    assert await client.state(state_id).get("x") == 1
    with pytest.raises(lastgood.FencedError):
        await workflow.state.set("x", 2)
    again = client.workflow(state_id)
    await again.try_resume()
    assert again.attempt > attempt
    assert not await client.delete_workflow(f"{state_id}-none")


async def test_a_claimed_workflow_is_not_deleted(client: lastgood.Client, state_id: str) -> None:
    async with client.workflow(state_id):
        with pytest.raises(lastgood.WorkflowBusyError):
            await client.delete_workflow(state_id)
        with pytest.raises(lastgood.WorkflowBusyError):
            await client.delete_state(state_id)


async def test_a_state_is_deleted_with_its_workflow(client: lastgood.Client, state_id: str) -> None:
    workflow = client.workflow(state_id)
    await workflow.try_resume()
    await workflow.state.set("x", 1)
    await workflow.checkpoint(0, "agent", AgentStatus.COMPLETED)

    assert await client.delete_state(state_id)

    assert state_id not in {each.workflow_id for each in await client.list_workflows()}
    assert await client.workflow(state_id).try_resume() == 0


async def test_a_label_that_looks_like_something_else(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    for label in ("12", "step:3"):
        await state.set("x", label)
        await state.snapshot(label)
    await state.set("x", "now")

    for label in ("12", "step:3"):
        command.says("restore", state_id, f"label:{label}")
        assert await state.get("x") == label
    complaint = command.complains(1, "restore", state_id, "label:13")
    assert "no snapshot '13'" in complaint
    assert "'label:12'" in complaint  # as it has to be typed
