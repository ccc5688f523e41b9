"""Help, usage, completion: every command is there, with an example that works."""

import re
import shlex
from pathlib import Path

import pytest
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood.cli.app import COMMANDS
from lastgood.version import __version__

GROUPS = {"workflow": ["workflow show"]}
OWN = [own for name in COMMANDS if name not in {"serve", "demo"} for own in GROUPS.get(name, [name])]
"""The others are programs of their own, with a help of their own."""


def examples(shown: str) -> list[str]:
    """The command lines of a help text."""
    _, _, rest = shown.partition("Example")
    return [line.strip() for line in rest.splitlines() if re.match(r"\s+(lastgood|jq) ", line)]


def test_the_commands(command: Command) -> None:
    done = command.process("--help")

    assert (done.status, done.err) == (0, "")
    _, _, listed = done.out.partition("Commands:\n")
    assert re.findall(r"^  (\w+)  +\S.*[^.]{3}\.$", listed, re.MULTILINE)[: len(COMMANDS)] == list(COMMANDS)
    assert examples(done.out)


@pytest.mark.parametrize("name", OWN)
def test_each_has_an_example_and_says_what_json_prints(command: Command, name: str) -> None:
    shown = command.says(*name.split(), "--help")

    assert all(each.startswith((f"lastgood {name}", "jq")) for each in examples(shown))
    assert examples(shown)
    assert re.search(r"--json prints:\n\s+\{", shown)
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    for option in ("--data-dir", "--address", "--agent-id", "--timeout", "--json"):
        assert option in shown


async def test_every_example_works(own_daemon: DaemonProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write a file
    command = Command(own_daemon.folder)
    seed = [
        """lastgood set trip research.findings '["finding1"]' --agent-id researcher""",
        "lastgood snapshot trip before-review",
        *("""lastgood set trip settings '{"a": 1}'""" for _ in range(12)),
        "lastgood set wf-123 x 1",
    ]
    for line in seed:
        command.says(*shlex.split(line)[1:])
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await client.workflow("wf-123").try_resume()
    shown = {name: examples(command.says(*name.split(), "--help")) for name in OWN}
    later = ["restore", "snapshot", "delete"]
    for name in sorted(OWN, key=lambda each: each in later and later.index(each) + 1):
        for line in shown[name]:
            mine = next(part for part in line.split(" | ") if part.startswith("lastgood"))
            words = shlex.split(mine)[1:]
            if words[0] == "redact" or "step:3" in words or "--step" in words or "~/agents" in words or words[-1] == "-":
                continue  # about what is not here, or reads it
            done = command.here(*words)
            assert (done.status, done.err) == (0, ""), (line, done)
            if line == "lastgood fork trip trip-experiment":
                command.says("delete", "trip-experiment", "--yes")


def test_demo_and_serve_have_a_help_of_their_own(command: Command) -> None:
    for name, says in [("demo", "example: lastgood demo"), ("serve", "--data-dir")]:
        done = command.process(name, "--help")
        assert done.status == 0
        assert says in done.out


def test_version(command: Command) -> None:
    assert command.says("--version") == f"lastgood {__version__}\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "Usage: lastgood"),
        (["gett"], "No such command 'gett'"),
        (["get"], "Missing argument 'STATE'"),
        (["get", "a", "b", "c"], "unexpected extra argument"),
        (["get", "a", "--nonsense"], "No such option"),
        (["history", "a", "--limit", "-1"], "--limit"),
        (["history", "a", "--limit", "x"], "--limit"),
        (["workflow"], "Missing command"),
        (["workflow", "wf-123"], "No such command 'wf-123'"),
        (["workflow", "show"], "Missing argument 'WORKFLOW'"),
    ],
)
def test_wrong_usage(command: Command, words: list[str], why: str) -> None:
    done = command.here(*words)

    assert done.status == 2
    assert why in done.out + done.err
    assert "Traceback" not in done.err


def test_completion(command: Command) -> None:
    asked = {"_LASTGOOD_COMPLETE": "complete_bash", "COMP_WORDS": "lastgood sta", "COMP_CWORD": "1"}

    done = command.process(**asked)

    assert done.out.split() == ["status", "states"]
    assert "_LASTGOOD_COMPLETE=complete_bash" in command.process("--show-completion", SHELL="/bin/bash").out
