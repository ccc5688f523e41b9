"""``states`` and ``fork``."""

import json
import re
from datetime import UTC, datetime

from tests.cli.running import Command
from tests.support.daemons import DaemonProcess


def test_states(own_daemon: DaemonProcess) -> None:
    command = Command(own_daemon.folder)
    assert command.says("states") == "there are no states yet: lastgood set STATE PATH VALUE makes one\n"
    assert command.json("states") == {"states": []}
    command.says("set", "b", "x", "1", "--agent-id", "somebody")
    command.says("set", "a", "x", "1", "--agent-id", "")
    command.says("set", "a", "x", "2", "--agent-id", "")

    done = command.process("states")
    assert (done.status, done.err) == (0, "")
    rows = [re.sub(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", row) for row in done.out.splitlines()]
    assert rows[0].split() == ["state", "revision", "written", "by"]
    assert rows[1:] == ["a             2  TIME  -", "b             1  TIME  somebody"]

    found = command.json("states")["states"]
    assert all(datetime.fromisoformat(each.pop("timestamp")).tzinfo == UTC for each in found)
    assert found == [
        {"state": "a", "revision": 2, "agent_id": "", "damaged": False},
        {"state": "b", "revision": 1, "agent_id": "somebody", "damaged": False},
    ]


def test_fork(command: Command, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    command.says("set", state_id, "x", "2")

    done = command.process("fork", state_id, f"{state_id}-fork", "--at", "1")
    assert done == (0, f"{state_id}-fork is a fork of {state_id} at revision 1\n", "")
    assert json.loads(command.says("get", f"{state_id}-fork")) == {"x": 1}

    made = command.json("fork", state_id)
    assert made.pop("state") not in {"", state_id}
    assert made == {"revision": 1, "origin": {"state": state_id, "revision": 2}}

    complaint = command.complains(1, "fork", state_id, f"{state_id}-fork")
    assert complaint == f"lastgood fork: state '{state_id}-fork' exists already; choose another id for the new state\n"
