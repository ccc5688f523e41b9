"""``backup`` and ``verify``: what an operator does with a store."""

import json
from pathlib import Path

import pytest
from tests.cli.running import Command
from tests.daemon.test_storage_faults import OF_BAD, damage
from tests.support.daemons import DaemonProcess


@pytest.fixture
def own(own_daemon: DaemonProcess) -> Command:
    """The command, about a daemon of the test's own, with two states."""
    command = Command(own_daemon.folder)
    for state in ("bad", "good"):
        for number in ("1", "2"):
            command.says("set", state, "a", f'"{number * 50}"')
        command.says("snapshot", state)
    return command


def test_backup(own: Command, tmp_path: Path) -> None:
    said = own.says("backup", str(tmp_path / "a backup"))
    assert said.startswith(f"{tmp_path}/a backup holds a copy of the store, ")
    assert said.endswith(f"KiB: lastgood serve --data-dir '{tmp_path}/a backup'\n")
    found = own.json("backup", str(tmp_path / "another"))
    assert found == {"path": f"{tmp_path}/another", "bytes": (tmp_path / "another" / "lastgood.db").stat().st_size}
    assert "exists already" in own.complains(2, "backup", str(tmp_path / "another"))


def test_verify_asks_the_daemon(own: Command, own_daemon: DaemonProcess) -> None:
    done = own.process("verify")
    assert (done.status, done.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    records = told.pop("records")
    assert told == {
        "result": "all is well",
        "folder": str(own_daemon.folder),
        "states": "2",
        "revisions": "4",
        "problems": "0",
    }
    found = own.json("verify", "--address", own_daemon.address)
    assert found == {
        "ok": True, "data_dir": str(own_daemon.folder), "daemon": True, "states": 2, "revisions": 4,
        "records": int(records), "problems": [],
    }  # fmt: skip


def test_verify_of_a_folder_without_a_daemon_starts_none(own: Command, own_daemon: DaemonProcess, tmp_path: Path) -> None:
    own.says("backup", str(tmp_path / "backup"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()}
    found = own.json("verify", "--data-dir", str(tmp_path / "backup"))
    assert (found["ok"], found["daemon"], found["states"], found["revisions"]) == (True, False, 2, 4)
    assert {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()} == before
    own_daemon.stop()
    assert own.json("verify")["daemon"] is False


def test_verify_says_what_is_damaged(own: Command, own_daemon: DaemonProcess) -> None:
    own_daemon.stop()
    damage(own_daemon.folder, "changes", "entry", OF_BAD)
    damage(own_daemon.folder, "records", "value", "kind = 'state' AND owner = 'good'")
    expected = [
        {"where": "state 'bad'", "what": "revision 2 does not match its checksum"},
        {"where": "the record of state 'good'", "what": "does not match its checksum"},
    ]
    for daemon in (False, True):
        done = own.here("verify")
        assert (done.status, done.err) == (1, "")
        assert "result     damaged" in done.out
        assert done.out.endswith("".join(f"{each['where']}: {each['what']}\n" for each in expected))
        document = json.loads(own.here("verify", "--json").out)
        assert (document["ok"], document["daemon"], document["problems"]) == (False, daemon, expected)
        if not daemon:
            own_daemon.start()
    assert [(each["state"], each["damaged"]) for each in own.json("states")["states"]] == [("bad", True), ("good", True)]
    assert "bad     damaged" in own.says("states")


def test_verify_of_nothing(own: Command, tmp_path: Path) -> None:
    assert f"there is no store in {tmp_path}" in own.complains(1, "verify", "--data-dir", str(tmp_path))
    assert list(tmp_path.glob("daemon.lock")) == []


def test_verify_waits_for_no_daemon_that_does_not_answer(own: Command, own_daemon: DaemonProcess) -> None:
    (own_daemon.folder / "endpoint.json").unlink()  # as while it starts
    assert f"in use by the daemon with process id {own_daemon.process.pid}" in own.complains(1, "verify")
