"""``lastgood serve`` as a process: one a folder, how it takes over, how it ends, what it leaves on the disk."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.support.daemons import DaemonProcess, autostarted_pid, end_autostarted
from tests.support.processes import is_alive, script
from tests.support.sessions import RawSession
from tests.support.waiting import until, wait_until

import lastgood

NO_UMASK = ("sh", "-c", 'umask 000; exec "$@"', "sh")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# One a folder.


@pytest.fixture
def second(own_daemon: DaemonProcess) -> Iterator[DaemonProcess]:
    """Another daemon for the same folder, not started yet."""
    another = DaemonProcess(own_daemon.folder, forked=True)
    another.log = own_daemon.folder.with_name("second.log")
    yield another
    another.close()


def test_a_second_daemon_says_who_has_the_folder(own_daemon: DaemonProcess, second: DaemonProcess) -> None:
    second.spawn()
    assert second.wait() == 1
    (line,) = second.said()
    for told in (str(own_daemon.process.pid), own_daemon.address, str(own_daemon.folder)):
        assert told in str(line["error"])
    assert own_daemon.process.poll() is None


def test_of_two_that_start_at_once_one_serves(tmp_path: Path) -> None:
    pair = [DaemonProcess(tmp_path / "data") for _ in range(2)]
    try:
        for number, daemon in enumerate(pair):
            daemon.log = tmp_path / f"{number}.log"
            daemon.spawn()
        loser, winner = sorted(pair, key=lambda daemon: daemon is winner_of(pair))
        assert loser.wait() == 1
        assert str(winner.process.pid) in loser.log.read_text()
        assert winner.wait_up().stop() == 0
    finally:
        for daemon in pair:
            daemon.close()


def winner_of(pair: list[DaemonProcess]) -> DaemonProcess:
    """Wait until one has given up, and give the other."""
    given_up = wait_until(lambda: next((daemon for daemon in pair if daemon.process.poll() is not None), None))
    (other,) = (daemon for daemon in pair if daemon is not given_up)
    return other


STARTING = """
    import os, sys
    from pathlib import Path
    from lastgood_daemon.process.endpoint import Endpoint
    from lastgood_daemon.process.folder import DataFolder
    with DataFolder(Path(sys.argv[1])) as folder:
        print("owned", flush=True)
        sys.stdin.readline()
        folder.publish(Endpoint("unix:/nowhere", os.getpid(), "id", "0", False))
        sys.stdin.read()
"""


def test_a_daemon_that_is_still_starting_is_not_told_to_leave(tmp_path: Path) -> None:
    """It may be ``serve`` like this one: as long as it has not published what it is, nobody knows."""
    daemon = DaemonProcess(tmp_path / "data")
    with subprocess.Popen(script(STARTING, daemon.folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starting:
        assert starting.stdin is not None
        assert starting.stdout is not None
        try:
            assert starting.stdout.readline() == b"owned\n"
            daemon.spawn()
            wait_until(lambda: daemon.said() or daemon.process.poll() is not None)
            assert "waiting" in str(daemon.said()[0]["event"])
            assert starting.poll() is None
            starting.stdin.write(b"publish\n")
            starting.stdin.flush()
            assert daemon.wait() == 1
            assert starting.poll() is None
        finally:
            daemon.close()
    assert starting.returncode == 0
    assert str(starting.pid) in daemon.log.read_text()


async def test_an_autostarted_daemon_leaves_for_serve_and_its_clients_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    autostarted = DaemonProcess(folder, "--autostarted", forked=True)
    served = DaemonProcess(folder, forked=True)
    served.log = tmp_path / "served.log"
    counted = 0
    stop = asyncio.Event()

    async def count(client: lastgood.Client) -> None:
        nonlocal counted
        while not stop.is_set():
            await client.state("s").increment("n")
            counted += 1

    try:
        autostarted.start()
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=30.0) as client:
            tasks = [asyncio.create_task(count(client)) for _ in range(8)]
            await until(lambda: counted > 50)
            await asyncio.to_thread(served.start)
            assert await asyncio.to_thread(autostarted.wait) == 0
            before = counted
            await until(lambda: counted > before + 50)
            stop.set()
            await asyncio.gather(*tasks)
            assert await client.state("s").get("n") == counted
        assert served.endpoint["autostarted"] is False
        assert [line["event"] for line in autostarted.said()][-1] == "closed"
    finally:
        autostarted.close()
        served.close()


async def test_serve_gets_the_folder_although_its_clients_would_start_another(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    served = DaemonProcess(folder, forked=True)
    stop = asyncio.Event()

    async def count(client: lastgood.Client) -> int:
        counted = 0
        while not stop.is_set():
            await client.state("s").increment("n")
            counted += 1
        return counted

    clients = [await lastgood.connect(data_dir=folder, timeout=30.0) for _ in range(3)]
    try:
        tasks = [asyncio.create_task(count(client)) for client in clients]
        await asyncio.to_thread(served.start)
        stop.set()
        counts = await asyncio.gather(*tasks)
        assert await clients[0].state("s").get("n") == sum(counts)
        assert autostarted_pid(folder) == served.process.pid
    finally:
        for client in clients:
            await client.aclose()
        served.close()
        end_autostarted(folder)


def test_an_autostarted_daemon_asks_nobody_to_leave(tmp_path: Path) -> None:
    first = DaemonProcess(tmp_path / "data", "--autostarted", forked=True).start()
    second = DaemonProcess(tmp_path / "data", "--autostarted", forked=True)
    second.log = tmp_path / "second.log"
    try:
        second.spawn()
        assert second.wait() == 1
        assert first.process.poll() is None
    finally:
        first.close()


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_ends_it_cleanly(own_daemon: DaemonProcess, number: signal.Signals) -> None:
    folder = own_daemon.folder
    async with lastgood.connect(own_daemon.address) as client:
        await client.state("s").set("a", "x" * 100_000)
        assert (folder / "lastgood.db-wal").stat().st_size > 0
        assert await asyncio.to_thread(own_daemon.stop, number) == 0
    assert not (folder / "endpoint.json").exists()
    assert not (folder / "daemon.sock").exists()
    assert not (folder / "lastgood.db-wal").exists()
    said = own_daemon.said()
    assert [line["event"] for line in said] == ["serving", "shutting down", "closed"]
    assert number.name in str(said[1]["reason"])


def test_it_may_be_ended_as_soon_as_it_answers(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True)
    try:
        for _ in range(5):
            assert daemon.start().stop() == 0
    finally:
        daemon.close()


def test_further_signals_do_not_disturb_the_end(own_daemon: DaemonProcess) -> None:
    while '"closed"' not in own_daemon.log.read_text() and own_daemon.process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            own_daemon.process.send_signal(number)
    assert own_daemon.wait() == 0
    assert own_daemon.said()[-1]["event"] == "closed"


async def test_writes_under_way_at_the_end_are_answered_or_settled_by_the_next(own_daemon: DaemonProcess) -> None:
    returned: list[float] = []
    stop = asyncio.Event()

    async def count(client: lastgood.Client) -> None:
        while not stop.is_set():
            returned.append(await client.state("s").increment("n"))

    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=30.0) as client:
        tasks = [asyncio.create_task(count(client)) for _ in range(16)]
        for _ in range(3):
            before = len(returned)
            await until(lambda before=before: len(returned) > before + 100)  # type: ignore[misc]
            assert await asyncio.to_thread(own_daemon.stop) == 0
            await asyncio.to_thread(own_daemon.start)
        stop.set()
        await asyncio.gather(*tasks)
        assert sorted(returned) == list(range(1, len(returned) + 1))
        assert await client.state("s").get("n") == len(returned)


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(own_daemon: DaemonProcess) -> None:
    async with RawSession(own_daemon.address):
        assert await asyncio.to_thread(own_daemon.stop) == 0


def test_a_daemon_that_was_killed_is_followed_by_another(own_daemon: DaemonProcess) -> None:
    own_daemon.kill()
    assert (own_daemon.folder / "endpoint.json").exists()
    assert own_daemon.start().stop() == 0


def test_its_end_leaves_no_other_process(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", wrapper=(sys.executable, "-c", FOLLOW)).start()
    pid = int(str(daemon.endpoint["pid"]))
    os.kill(pid, signal.SIGTERM)
    assert daemon.wait() == 0
    assert not is_alive(pid)


FOLLOW = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


# On the disk.


@pytest.mark.parametrize("wrapper", [(), NO_UMASK], ids=["umask 022", "umask 000"])
def test_nobody_else_gets_at_what_it_makes(tmp_path: Path, wrapper: tuple[str, ...]) -> None:
    daemon = DaemonProcess(tmp_path / "data", wrapper=wrapper).start()
    try:
        assert mode(daemon.folder) == 0o700
        made = {each.name: mode(each) for each in daemon.folder.iterdir()}
        assert set(made) >= {"daemon.sock", "daemon.lock", "endpoint.json", "lastgood.db", "lastgood.db-wal"}
        assert set(made.values()) == {0o600}
    finally:
        daemon.close()


@pytest.mark.parametrize("name", ["long" * 40, "with spaces", "50%", "a?b#c", "ümläut"])
async def test_a_folder_of_any_name_has_a_socket_that_clients_find(tmp_path: Path, name: str) -> None:
    daemon = DaemonProcess(tmp_path / name, environment={"TMPDIR": str(tmp_path)}, forked=True).start()
    try:
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            assert (await client.server_info()).data_dir == str(daemon.folder)
            assert await client.state("s").set("a", 1) == 1
        async with lastgood.connect(daemon.address, timeout=20.0) as client:
            assert await client.state("s").get("a") == 1
        socket = Path(daemon.address.removeprefix("unix:"))
        assert (mode(socket), mode(socket.parent)) == (0o600, 0o700)
        assert daemon.stop() == 0
        assert not socket.exists()
        assert socket.parent.exists() == (socket.parent == daemon.folder)
    finally:
        daemon.close()


async def test_an_address_of_its_own(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", "--address", f"unix:{tmp_path}/elsewhere.sock", forked=True).start()
    try:
        assert mode(tmp_path / "elsewhere.sock") == 0o600
        for where in ({"address": f"unix:{tmp_path}/elsewhere.sock"}, {"data_dir": str(daemon.folder)}):
            async with lastgood.connect(autostart=False, timeout=20.0, **where) as client:
                assert (await client.server_info()).address == f"unix:{tmp_path}/elsewhere.sock"
        assert daemon.stop() == 0
        assert not (tmp_path / "elsewhere.sock").exists()
    finally:
        daemon.close()


def refusal(daemon: DaemonProcess) -> str:
    """What a daemon says that does not start."""
    try:
        daemon.spawn()
        assert daemon.wait() == 1
    finally:
        daemon.close()
    (line,) = daemon.said()
    assert line["level"] == "error"
    return str(line["error"])


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    environment = {"LASTGOOD_TOKEN": "t"}
    first = DaemonProcess(tmp_path / "one", "--address", "127.0.0.1:0", environment=environment, forked=True).start()
    try:
        second = DaemonProcess(tmp_path / "two", "--address", first.address, environment=environment)
        assert f"another process listens at {first.address}. Stop it" in refusal(second)
        assert not second.folder.exists()
    finally:
        first.close()


@pytest.mark.parametrize("is_there", [False, True], ids=["no folder", "a folder"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("unix:{place}/taken.sock", "another process listens at unix:{place}/taken.sock"),
        ("unix:{place}/no/daemon.sock", "no socket can be made in {place}/no"),
        ("unix:{place}/file/daemon.sock", "{place}/file/daemon.sock cannot be looked at: Not a directory"),
        ("unix:{place}/file", "{place}/file is in the way"),
        ("unix:{place}/50%.sock", "{place}/50%.sock does not fit a Unix socket"),
        ("127.0.0.1:0 --tls-certificate {place}/no --tls-key {place}/no", "--tls-certificate must be a PEM file"),
    ],
)
def test_a_daemon_that_cannot_listen_makes_nothing(tmp_path: Path, address: str, said: str, *, is_there: bool) -> None:
    (tmp_path / "file").touch()
    arguments = ["--address", *address.format(place=tmp_path).split()]
    daemon = DaemonProcess(tmp_path / "data", *arguments, environment={"LASTGOOD_TOKEN": "t"}, forked=True)
    if is_there:
        daemon.folder.mkdir()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "taken.sock"))
        taken.listen()
        assert said.format(place=tmp_path) in refusal(daemon)
    assert list(daemon.folder.iterdir()) == [] if is_there else not daemon.folder.exists()


def test_a_file_of_a_future_format_is_refused_and_left_alone(own_daemon: DaemonProcess) -> None:
    assert own_daemon.stop() == 0
    database = own_daemon.folder / "lastgood.db"
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA user_version = 99").fetchall()
    connection.close()
    before = database.read_bytes()
    own_daemon.log.unlink()
    told = refusal(own_daemon)
    assert "format version 99" in told
    assert "Upgrade the daemon" in told
    assert database.read_bytes() == before


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True)
    daemon.folder.mkdir()
    (daemon.folder / "lastgood.db").write_bytes(b"somebody's thesis" * 1000)
    assert "not a lastgood store" in refusal(daemon)
    assert (daemon.folder / "lastgood.db").read_bytes() == b"somebody's thesis" * 1000


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "not a folder" in refusal(DaemonProcess(tmp_path / "data", forked=True))
