"""One client, many threads."""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import stopped
from tests.support.waiting import wait_until

import lastgood
from lastgood.sync import Client, ClientUnusableError, SharedState, Transaction, connect

THREADS = 8


def at_once(function: Callable[[int], object]) -> list[object]:
    """Run it in eight threads that begin together; give what it gave, in the order of their numbers."""
    together = threading.Barrier(THREADS)

    def run(number: int) -> object:
        together.wait(30)
        return function(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_eight_threads_on_one_handle(state: SharedState) -> None:
    def count(number: int) -> list[object]:
        return [(state.increment("n"), state.append("log", number), state.get(f"own.{number}"))[0] for _ in range(50)]

    given = at_once(count)
    numbers = [each for part in given for each in part]  # type: ignore[attr-defined]
    assert sorted(numbers) == list(range(1, 50 * THREADS + 1))
    assert sorted(state.get("log")) == sorted(list(range(THREADS)) * 50)
    assert state.revision() == 2 * 50 * THREADS


def test_eight_threads_in_transactions(state: SharedState) -> None:
    def add(tx: Transaction) -> None:
        tx.set("n", tx.get("n", 0) + 1)

    at_once(lambda _: [state.transact(add, timeout=30) for _ in range(5)])
    assert state.get("n") == 5 * THREADS


def test_initial_data_is_written_once(client: Client, state_id: str) -> None:
    state = client.state(state_id, initial_data={"n": 0})
    assert at_once(lambda _: state.get("n")) == [0] * THREADS
    assert state.revision() == 1


def test_the_default_client_is_one_for_all_threads(own_daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(own_daemon.folder))
    at_once(lambda number: lastgood.sync.SharedState(f"s{number}").set("a", number))
    assert lastgood.sync.CheckpointManager().list_checkpoints("w") == []
    assert connections(own_daemon) == 1


def test_the_default_client_is_where_the_environment_says(
    daemon: DaemonProcess, own_daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, state_id: str
) -> None:
    for each in (daemon, own_daemon):
        monkeypatch.setenv("LASTGOOD_DATA_DIR", str(each.folder))
        assert SharedState(state_id).set("a", 1) == 1


def test_closing_ends_the_calls_of_other_threads(own_daemon: DaemonProcess) -> None:
    client = connect(own_daemon.address, timeout=60.0)
    state = client.state("s")
    state.set("a", 1)
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            state.get("a")
        except lastgood.LastgoodError as error:
            failures.append(error)

    with stopped(own_daemon.process.pid):
        threads = [threading.Thread(target=wait) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: pending(client) == THREADS)
        client.close()
        for thread in threads:
            thread.join(30)
    assert [type(error) for error in failures] == [ClientUnusableError] * THREADS
    assert "closed" in str(failures[0])


def test_a_client_that_nobody_has_any_more_is_closed(own_daemon: DaemonProcess) -> None:
    state = connect(own_daemon.address, timeout=20.0).state("s")
    state.set("a", 1)
    gc.collect()
    assert connections(own_daemon) == 1
    del state
    gc.collect()
    wait_until(lambda: connections(own_daemon) == 0)


def connections(daemon: DaemonProcess) -> int:
    """How many are connected to a daemon's socket."""
    path = daemon.address.removeprefix("unix:")
    lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return sum(1 for fields in lines if fields[-1] == path and fields[5] == "03")


def pending(client: Client) -> int:
    """How many calls of a client are unanswered."""
    return len(client._connection._inner._ledger)  # noqa: SLF001 - nothing else shows it
