"""What a command line may look like, and what is said where it goes wrong."""

import json
import time
from pathlib import Path

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood.cli.words import in_order


@pytest.mark.parametrize("words", [[], ["get"], ["history"], ["workflow"], ["workflow", "show"]], ids=" ".join)
def test_h_is_help(command: Command, words: list[str]) -> None:
    assert command.says(*words, "-h") == command.says(*words, "--help")


@pytest.mark.parametrize("name", ["serve", "demo"])
def test_h_is_help_of_the_other_programs(command: Command, name: str) -> None:
    done = command.process(name, "-h")
    assert done.status == 0
    assert name in done.out


async def test_common_options_may_stand_first(own_daemon: DaemonProcess, command: Command) -> None:
    folder = str(own_daemon.folder)
    command.says("--data-dir", folder, "--agent-id=me", "set", "trip", "x", "1")

    assert json.loads(command.says("--json", "--data-dir", folder, "get", "trip", "x"))["value"] == 1
    assert json.loads(command.says("--data-dir", folder, "--json", "states"))["states"][0]["agent_id"] == "me"
    assert "there is no workflow" in command.complains(1, "--data-dir", folder, "workflow", "show", "wf-123")


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["--json", "workflow", "show", "wf"], ["workflow", "show", "--json", "wf"]),
        (["--timeout", "3", "get", "x"], ["get", "--timeout", "3", "x"]),
        (["get", "x", "--json"], ["get", "x", "--json"]),
        (["--version"], ["--version"]),
        (["--json"], ["--json"]),
        (["--json", "--nonsense", "get"], ["--json", "--nonsense", "get"]),
        ([], []),
    ],
)
def test_the_order_of_words(words: list[str], ordered: list[str]) -> None:
    assert in_order(words) == ordered


def failure(command: Command, status: int, *words: str) -> dict[str, object]:
    """The error that a command prints as JSON."""
    done = command.here(*words, "--json")
    assert (done.status, done.out) == (status, ""), done
    assert done.err.count("\n") == 1
    error: dict[str, object] = json.loads(done.err)["error"]
    return error


async def test_errors_are_json_where_that_was_asked_for(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("x", 1)

    conflict = failure(command, 1, "set", state_id, "x", "2", "--expected", "0")
    assert (conflict["reason"], conflict["expected"], conflict["actual"]) == ("REVISION_CONFLICT", 0, 1)
    assert "look at it again" in str(conflict["message"])
    assert failure(command, 1, "get", state_id, "y")["reason"] == "NOT_FOUND"
    none = f"{state_id}-none"
    assert failure(command, 1, "get", none)["reason"] == "STATE_NOT_FOUND"
    assert failure(command, 1, "get", none)["state_id"] == none
    assert failure(command, 1, "checkpoints", none)["reason"] == "NOT_FOUND"
    assert failure(command, 1, "workflow", "show", none)["reason"] == "NOT_FOUND"
    assert failure(command, 1, "restore", state_id, "nolabel")["reason"] == "SNAPSHOT_NOT_FOUND"
    assert failure(command, 1, "states", "--no-autostart", "--data-dir", f"/nonexistent/{none}")["reason"] == "UNAVAILABLE"
    assert failure(command, 2, "get", state_id, "a..b")["reason"] == "USAGE"
    assert failure(command, 2, "get")["message"] == "Missing argument 'STATE'."
    assert failure(command, 2, "nosuch")["reason"] == "USAGE"


def test_without_autostart_it_does_not_wait_for_a_daemon(command: Command, tmp_path: object) -> None:
    begun = time.process_time()
    complaint = command.complains(1, "get", "trip", "--no-autostart", "--data-dir", f"{tmp_path}/none", "--timeout", "600")

    assert f"no daemon runs for {tmp_path}/none. To start one: lastgood serve --data-dir" in complaint
    assert time.process_time() - begun < 60
    command.environment["LASTGOOD_AUTOSTART"] = "0"
    assert "no daemon runs" in command.complains(1, "states", "--data-dir", f"{tmp_path}/none", "--timeout", "600")


async def test_ids_are_completed(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("x", 1)
    await client.workflow(f"{state_id}-wf").try_resume()

    def offered(words: str) -> list[str]:
        asked = {"_LASTGOOD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        return command.process(**asked).out.split()

    assert offered(f"lastgood get {state_id[:-1]}") == [state_id]
    assert offered(f"lastgood resume {state_id[:-1]}") == [f"{state_id}-wf"]
    assert offered("lastgood get nothing-begins-so") == []


def test_no_daemon_is_started_to_complete(command: Command, tmp_path: object) -> None:
    asked = {"_LASTGOOD_COMPLETE": "complete_bash", "COMP_WORDS": "lastgood get x", "COMP_CWORD": "2"}
    done = command.process(LASTGOOD_DATA_DIR=f"{tmp_path}/none", **asked)

    assert (done.status, done.out.split()) == (0, [])
    assert not Path(f"{tmp_path}/none").exists()


async def test_what_cannot_be_seen_is_escaped(command: Command, client: lastgood.Client, state_id: str) -> None:
    text = "a\u200bb\u2060c\U000e0041d\ufeff"
    await client.state(state_id).set("x", text)

    said = command.says("get", state_id, "x")

    assert said == '"a\\u200bb\\u2060c\\udb40\\udc41d\\ufeff"\n'
    assert json.loads(said) == text
