"""``retention`` and ``compact``."""

from datetime import timedelta

import pytest
import typer
from tests.cli.running import Command
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood import AgentStatus, Retention
from lastgood.cli import quantities

OPTIONS = ["--revisions", "10", "--age", "7d", "--bytes", "10MB", "--ttl", "90d", "--checkpoints", "3", "--superseded", "0s"]
POLICY = Retention(10, timedelta(days=7), 10_000_000, timedelta(days=90), 3, timedelta(0))
SAID = "revisions 10, age 7d, bytes 10MB, ttl 90d, checkpoints 3, superseded 0s"
NOT_THERE = "\nthere is no state or workflow 'trip' yet"


async def test_the_default(own_daemon: DaemonProcess) -> None:
    command = Command(own_daemon.folder)
    assert command.says("retention") == "all: everything is kept; no policy is set\n"
    assert command.json("retention") == {"state": None, "own": False, "retention": None}
    assert command.says("retention", *OPTIONS) == f"all: {SAID}\n"
    assert command.says("retention") == f"all: {SAID}\n"
    assert command.says("retention", "trip") == f"trip, as all: {SAID}{NOT_THERE}\n"
    assert command.says("retention", "trip", "--age", "90m") == f"trip: age 90m{NOT_THERE}\n"
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        assert (await client.get_retention()).retention == POLICY
        assert (await client.get_retention("trip")).retention == Retention(age=timedelta(minutes=90))
    assert command.says("retention", "--clear") == "all: everything is kept; no policy is set\n"
    assert command.says("retention", "trip") == f"trip: age 90m{NOT_THERE}\n"


async def test_of_one(command: Command, client: lastgood.Client, state_id: str) -> None:
    command.says("retention", state_id, *OPTIONS)
    assert command.json("retention", state_id) == {
        "state": state_id,
        "own": True,
        "retention": {
            "revisions": 10,
            "age": 604_800.0,
            "bytes": 10_000_000,
            "ttl": 7_776_000.0,
            "checkpoints": 3,
            "superseded": 0.0,
        },
    }
    await client.set_retention(Retention(), state_id)
    assert (
        command.says("retention", state_id)
        == f"{state_id}: everything is kept\nthere is no state or workflow '{state_id}' yet\n"
    )


async def test_compact(command: Command, client: lastgood.Client, state_id: str) -> None:
    for step in range(4):
        await client.checkpoints.create_checkpoint(state_id, step, "a", AgentStatus.COMPLETED, {"step": step})
    command.says("retention", state_id, "--checkpoints", "3", "--yes")
    assert command.says("compact", state_id, "--yes").startswith("gave up 1 checkpoint, 1 copy of a checkpoint")
    assert command.says("compact", state_id) == "gave up nothing\n"
    command.says("retention", state_id, "--checkpoints", "1", "--yes")
    found = command.json("compact", state_id, "--yes")
    assert list(found) == ["states", "revisions", "checkpoints", "effects", "deleted", "copies", "damaged", "bytes"]
    assert (found["states"], found["checkpoints"], found["copies"], found["damaged"]) == (1, 2, 2, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--clear", "--age", "7d"], "--clear"),
        (["--age", "0s"], "age"),
    ],
)
def test_wrong_usage_in_one_line(command: Command, arguments: list[str], told: str) -> None:
    assert told in command.complains(2, "retention", *arguments)


@pytest.mark.parametrize(
    "arguments", [["--age", "7"], ["--superseded", "-1s"], ["--bytes", "10 parsec"], ["--revisions", "0"], ["--ttl", "9e9d"]]
)
def test_what_is_no_bound(command: Command, arguments: list[str]) -> None:
    done = command.here("retention", *arguments)
    assert (done.status, done.out) == (2, "")
    assert arguments[0] in done.err


@pytest.mark.parametrize(
    ("text", "seconds", "back"),
    [
        ("90s", 90, "90s"),
        ("15m", 900, "15m"),
        ("1.5h", 5400, "90m"),
        ("24H", 86_400, "1d"),
        ("0s", 0, "0s"),
        ("0.5s", 0.5, "0.5s"),
    ],
)
def test_lengths(text: str, seconds: float, back: str) -> None:
    assert quantities.length(text) == timedelta(seconds=seconds)
    assert quantities.length_text(timedelta(seconds=seconds)) == back


@pytest.mark.parametrize(
    ("text", "count", "back"),
    [
        ("17", 17, "17B"),
        ("17b", 17, "17B"),
        ("512KB", 512_000, "512KB"),
        ("10 MiB", 10_485_760, "10MiB"),
        ("1.5gb", 1_500_000_000, "1500MB"),
    ],
)
def test_sizes(text: str, count: int, back: str) -> None:
    assert quantities.size(text) == count
    assert quantities.size_text(count) == back
    assert quantities.size(back) == count


@pytest.mark.parametrize("text", ["", "d", "7", "7 days", "-7d", "7d7h", "1e3s", "99999999999999999999d"])
def test_no_lengths(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        quantities.length(text)
