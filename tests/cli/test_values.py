"""``get``, ``set`` and ``delete``."""

import getpass
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from tests.cli.running import HAS_JQ, SECONDS, Command, Terminal

import lastgood

UNUSUAL = {
    "none": None,
    "nan": float("nan"),
    "inf": float("-inf"),
    "bytes": b"\x00\xff",
    "time": datetime(2026, 11, 23, 5, 50, 12, 500_000, UTC),
    "looks like bytes": {"$bytes": "AAH/"},
    "looks like a map": {"$map": {"$map": 1}},
    "two": {"$bytes": "AAH/", "$float": "nan"},
    "big": 2**63 - 1,
    "text": "\x1b[2J\x9b\u202e日本\n",
    "empty": {},
}


def test_a_process_sets_and_another_one_gets(command: Command, state_id: str) -> None:
    done = command.process("set", state_id, "research.findings", '["a", "b"]')
    assert done == (0, f"{state_id} is at revision 1\n", "")

    done = command.process("get", state_id, "research.findings")
    assert (done.status, json.loads(done.out), done.err) == (0, ["a", "b"], "")

    done = command.process("get", state_id)
    assert json.loads(done.out) == {"research": {"findings": ["a", "b"]}}


def test_get_prints_what_jq_takes(command: Command, state_id: str) -> None:
    if not HAS_JQ:
        pytest.skip("jq is not installed")
    command.says("set", state_id, "findings", '["a", "b"]')

    shown = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m lastgood get {state_id} findings | jq -r '.[1]'"],
        env=command.environment,
        capture_output=True,
        check=True,
        text=True,
        timeout=SECONDS,
    )

    assert shown.stdout == "b\n"


def test_the_documents(command: Command, state_id: str) -> None:
    assert command.json("set", state_id, "a.b", "1") == {"state": state_id, "path": "a.b", "revision": 1}
    assert command.json("get", state_id, "a") == {
        "state": state_id,
        "path": "a",
        "revision": 1,
        "existed": True,
        "value": {"b": 1},
    }
    assert command.json("get", state_id, "c", "--default", "[]") == {
        "state": state_id,
        "path": "c",
        "revision": 1,
        "existed": False,
        "value": [],
    }
    assert command.json("delete", state_id, "a.b") == {"state": state_id, "path": "a.b", "existed": True}
    assert command.json("delete", state_id, "--yes") == {"state": state_id, "path": None, "existed": True}


async def test_unusual_values_come_and_go_unchanged(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("values", UNUSUAL)

    shown = command.process("get", state_id, "values")
    assert (shown.status, shown.err) == (0, "")
    assert command.process("set", state_id, "again", "-", given=shown.out).status == 0

    assert await client.state(state_id).diff(1) != []
    again = await client.state(state_id).get("again")
    assert repr(again) == repr(UNUSUAL)


async def test_what_a_terminal_obeys_is_escaped(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("text", UNUSUAL["text"])

    shown = command.says("get", state_id, "text")

    assert shown == '"\\u001b[2J\\u009b\\u202e日本\\n"\n'
    assert json.loads(shown) == UNUSUAL["text"]


def test_get_in_a_terminal_that_knows_no_unicode(command: Command, state_id: str) -> None:
    command.says("set", state_id, "text", '"日本"')

    done = command.process("get", state_id, "text", PYTHONIOENCODING="ascii")

    assert done == (0, '"\\u65e5\\u672c"\n', "")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["-5"], -5),
        (["-1.5e3"], -1500.0),
        (["--string", "a plain text"], "a plain text"),
        (["--string", "12"], "12"),
        (["--string", "--", "--flag"], "--flag"),
        (['{"$float": "nan"}'], "nan"),
    ],
)
def test_how_a_value_is_given(command: Command, state_id: str, words: list[str], value: object) -> None:
    command.says("set", state_id, "x", *words)

    found = json.loads(command.says("get", state_id, "x"))

    assert (found["$float"] if isinstance(found, dict) else found) == value


def test_a_value_from_standard_input(command: Command, state_id: str) -> None:
    assert command.process("set", state_id, "text", "--string", "-", given="a\nb\n").status == 0
    assert json.loads(command.says("get", state_id, "text")) == "a\nb\n"

    done = command.process("set", state_id, "text", "-", given=b'"\xff"')
    assert done == (2, "", "lastgood set: standard input is not UTF-8: invalid start byte at byte 1\n")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("plain", "VALUE is not JSON: Expecting value: line 1 column 1 (char 0); a plain text needs quotes of its own, or"),
        ("NaN", 'NaN is no JSON: {"$float": "nan"} is'),
        ("1e999", "1e999 is more than a float can hold"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"$bytes": "?"}', "says nothing that '$bytes' can stand for"),
        ('{"$datetime": "2026-11-23T05:50"}', "says nothing that '$datetime' can stand for"),
        (str(2**63), "an int beyond signed 64 bits cannot be stored"),
        ('{"": 1}', "the empty str cannot be a dict key"),
        (r'"\ud800"', "not valid Unicode"),
        ("[" * 100_000, "it cannot be read"),
    ],
)
def test_a_value_that_is_none(command: Command, state_id: str, value: str, why: str) -> None:
    assert why in command.complains(2, "set", state_id, "x", value)
    assert "there is no state" in command.complains(1, "get", state_id)


def test_a_mistyped_option_is_no_value(command: Command, state_id: str) -> None:
    done = command.here("set", state_id, "x", "5", "--jsno")

    assert (done.status, done.out) == (2, "")
    assert "No such option: --jsno" in done.err


def test_get_at_an_earlier_time(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    command.says("snapshot", state_id, "before")
    command.says("set", state_id, "x", "2")

    assert command.says("get", state_id, "x", "--at", "1") == "1\n"
    assert command.says("get", state_id, "x", "--at", "before") == "1\n"
    assert command.says("get", state_id, "--at", "2020-01-01T00:00:00Z") == "{}\n"
    complaint = command.complains(1, "get", state_id, "--at", "7")
    assert "its revisions are 0 to 2: lastgood history lists the revisions" in complaint


def test_no_value_is_a_failure_unless_there_is_a_default(command: Command, state_id: str) -> None:
    command.says("set", state_id, "y", "1")
    assert command.complains(1, "get", state_id, "x") == (
        f"lastgood get: state '{state_id}' has no value at 'x' (revision 1): "
        f"lastgood get {state_id} prints all that it has\n"
    )
    assert command.says("get", state_id, "x", "--default", "null") == "null\n"
    command.says("set", state_id, "x", "null")
    assert command.says("get", state_id, "x") == "null\n"


def test_expected(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1", "--expected", "0")

    complaint = command.complains(1, "set", state_id, "x", "2", "--expected", "0")

    assert "expected the state at revision 0, but it is at 1: look at it again" in complaint


async def test_the_author(command: Command, client: lastgood.Client, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    command.says("set", state_id, "x", "2", "--agent-id", "somebody")

    authors = [entry.agent_id for entry in await client.state(state_id).get_history()]

    assert authors == [f"{getpass.getuser()}@{socket.gethostname()}", "somebody"]


def test_delete_a_value(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")

    assert command.process("delete", state_id, "x") == (0, "x is deleted\n", "")
    assert command.says("delete", state_id, "x") == "there was nothing at x\n"


def test_deleting_a_state_needs_a_yes(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")

    assert command.complains(2, "delete", state_id) == (
        f"lastgood delete: deleting state '{state_id}' with its history is for good: --yes says that it is meant\n"
    )
    terminal = Terminal(command, "delete", state_id)
    terminal.wait_for("for good? [y/N] ")
    terminal.type("n\n")
    assert terminal.end().status == 1
    assert command.says("get", state_id, "x") == "1\n"

    assert command.says("delete", state_id, "--yes") == f"{state_id} is deleted\n"
    assert f"there is no state '{state_id}'" in command.complains(1, "delete", state_id, "--yes")
    assert f"there is no state '{state_id}'" in command.complains(1, "get", state_id)


def test_a_path_that_makes_no_sense(command: Command, state_id: str) -> None:
    done = command.here("get", state_id, "a..b")
    assert (done.status, done.out) == (2, "")
    assert "path 'a..b' has an empty segment" in done.err

    command.says("set", state_id, "a", "1")
    assert "cannot write below a value of type int" in command.complains(1, "set", state_id, "a.b", "2")


def test_a_full_disk_and_a_closed_pipe(command: Command, state_id: str) -> None:
    command.says("set", state_id, "text", json.dumps("x" * 200_000))
    with open("/dev/full", "w") as full:  # noqa: PTH123 - it is no path to anything
        done = subprocess.run(
            [sys.executable, "-m", "lastgood", "get", state_id],
            stdout=full,
            stderr=subprocess.PIPE,
            env=command.environment,
            check=False,
            text=True,
            timeout=SECONDS,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "lastgood get: standard output could not be written: No space left on device\n",
    )

    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lastgood", "get", state_id],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=command.environment,
            check=False,
            text=True,
            timeout=SECONDS,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
