"""The calls of the blocking client, against a real daemon. What they mean in full is tested on the async one."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

from lastgood.sync import (
    Client,
    ClientUnusableError,
    DaemonUnavailableError,
    Difference,
    InvalidValueError,
    Lineage,
    PathError,
    Reading,
    RevisionConflictError,
    SharedState,
    Snapshot,
    SnapshotNotFoundError,
    StateNotFoundError,
    connect,
)


def test_reading_and_writing(state: SharedState) -> None:
    assert (state.get(), state.get("a"), state.get("a", 7), state.revision()) == ({}, None, 7, 0)
    assert state.set("a.b", 1) == 1
    assert state.update({"a.c": [1], "d": None}) == 2
    assert state.merge({"a": {"e": {"f": 1}}}) == 3
    assert state.append("a.c", 2, "three") == 4
    assert state.increment("n", 2) == 2
    assert state.increment("n", 0.5) == 2.5
    assert state.delete("a.b") is True
    assert state.delete("a.b") is False
    assert state.to_dict() == {"a": {"c": [1, 2, "three"], "e": {"f": 1}}, "d": None, "n": 2.5}
    assert state.keys("a") == ["c", "e"]
    assert (state.exists("d"), state.exists("x")) == (True, False)
    assert state.read("a.c.0") == Reading(value=1, revision=7, existed=True)
    assert state.get("a.b", at=1) == 1


def test_values_come_back_of_the_same_type(state: SharedState) -> None:
    value = {
        "t": datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC),
        "b": b"\0\xff",
        "i": 2**63 - 1,
        "f": -math.inf,
        "l": [True, 1],
    }
    state.set("v", value)
    back = state.get("v")
    assert back == value
    assert [type(each) for each in back["l"]] == [bool, int]
    with pytest.raises(InvalidValueError):
        state.set("v", (1, 2))
    with pytest.raises(PathError):
        state.set("v..w", 1)
    assert state.revision() == 1


def test_expected(state: SharedState) -> None:
    state.set("a", 1)
    assert state.set("a", 2, expected=1) == 2
    assert state.set("b", 2, expected={"a": 2, "b": 0}) == 3
    with pytest.raises(RevisionConflictError) as caught:
        state.set("a", 3, expected={"a": 1})
    assert (caught.value.path, caught.value.expected, caught.value.actual) == ("a", 1, 2)
    assert state.get("a") == 2


def test_snapshots_restore_history_and_differences(state: SharedState) -> None:
    state.set("a", 1)
    snapshot = state.snapshot("first", metadata={"why": "test"})
    assert isinstance(snapshot, Snapshot)
    assert state.list_snapshots() == [snapshot]
    assert snapshot.snapshot_id is not None
    assert state.get_snapshot(snapshot.snapshot_id) == snapshot
    state.set("a", "bad")
    assert state.preview(snapshot) == [Difference("a", "changed", "bad", 1)]
    assert state.diff(1, 2) == [Difference("a", "changed", 1, "bad")]
    assert state.restore(snapshot) == 3
    assert state.get("a") == 1
    history = state.get_history("a")
    assert [(entry.revision, entry.value, entry.operation, entry.agent_id) for entry in history] == [
        (1, 1, "set", "tester"),
        (2, "bad", "set", "tester"),
        (3, 1, "restore", "tester"),
    ]
    assert [entry.revision for entry in state.get_history(newest_first=True, limit=2)] == [3, 2]
    assert state.restore(history[1].snapshot) == 4
    assert state.get("a") == "bad"
    assert state.delete_snapshot(snapshot) is True
    with pytest.raises(SnapshotNotFoundError):
        state.get_snapshot(snapshot.snapshot_id)


def test_fork_and_lineage(client: Client, state: SharedState) -> None:
    state.set("a", 1)
    fork = state.fork(f"{state.state_id}-fork")
    assert isinstance(fork, SharedState)
    assert fork.to_dict() == {"a": 1}
    assert fork.lineage() == Lineage(state.state_id, 1, 1)
    assert {state.state_id, fork.state_id} <= set(client.list_states())


def test_deleting_a_state(client: Client, state: SharedState) -> None:
    state.set("a", 1)
    assert client.delete_state(state.state_id) is True
    with pytest.raises(StateNotFoundError):
        state.get("a")
    assert client.state(state.state_id).revision() == 0


def test_initial_data_is_revision_1(client: Client, state_id: str) -> None:
    assert client.state(state_id, initial_data={"topic": "AI"}).get("topic") == "AI"
    again = client.state(state_id, initial_data={"topic": "other"})
    assert (again.to_dict(), again.revision()) == ({"topic": "AI"}, 1)


def test_server_info(client: Client, daemon: DaemonProcess) -> None:
    info = client.server_info()
    assert (info.address, info.data_dir) == (daemon.address, str(daemon.folder))


def test_a_client_is_closed_once_and_says_so(daemon: DaemonProcess) -> None:
    client = connect(daemon.address)
    assert client.list_states(timeout=20.0) is not None
    client.close()
    client.close()
    with pytest.raises(ClientUnusableError, match="closed") as caught:
        client.list_states()
    assert caught.value.reason == "CLIENT_CLOSED"
    with pytest.raises(ClientUnusableError, match="closed"), client:
        pytest.fail("it is closed")


def test_a_client_that_was_never_used_is_closed_too(daemon: DaemonProcess) -> None:
    client = connect(daemon.address)
    client.close()
    with pytest.raises(ClientUnusableError, match="closed"):
        client.list_states()


def test_no_daemon(tmp_path: Path) -> None:
    with (
        pytest.raises(DaemonUnavailableError, match="lastgood serve"),
        connect(data_dir=tmp_path / "nobody", autostart=False, timeout=0.2),
    ):
        pytest.fail("it has no daemon")
    assert not (tmp_path / "nobody").exists()


def test_a_daemon_is_started_where_none_runs(folder: Path) -> None:
    with connect(data_dir=folder, timeout=30.0) as client:
        assert client.state("s").set("a", 1) == 1


def test_a_daemon_that_restarts_is_found_again(own_daemon: DaemonProcess) -> None:
    with connect(data_dir=own_daemon.folder, autostart=False, timeout=30.0) as client:
        state = client.state("s")
        state.set("a", 1)
        own_daemon.kill()
        own_daemon.start()
        assert state.get("a") == 1
        assert state.set("a", 2) == 2
