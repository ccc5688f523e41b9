"""A folder's daemon that is not running is started: detached, one however many want it, and never where it must not be."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess, autostarted_pid, end_autostarted
from tests.support.processes import environment, is_alive, printed, run_script, script
from tests.support.waiting import until, wait_until

import lastgood

CONNECT = """
    import asyncio, sys, lastgood
    async def main():
        async with lastgood.connect(data_dir=sys.argv[1], timeout=30) as client:
            print((await client.server_info()).daemon_id, flush=True)
    asyncio.run(main())
"""


def pid_of(folder: Path) -> int:
    pid = autostarted_pid(folder)
    assert pid is not None
    return pid


async def gone(pid: int) -> None:
    await until(lambda: not is_alive(pid))


# Detached.


def test_the_pipes_of_the_one_who_connects_are_not_held_open(folder: Path) -> None:
    done = run_script(CONNECT, folder)  # which reads until the end of the pipes
    assert done.returncode == 0, done.stderr
    assert is_alive(pid_of(folder))


def test_it_has_a_session_a_folder_and_files_of_its_own(folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "inherited").open("w") as inherited:
        descriptor = inherited.fileno()
        subprocess.run(script(CONNECT, folder), check=True, stdout=subprocess.PIPE, pass_fds=[descriptor], timeout=40)
    process = Path(f"/proc/{pid_of(folder)}")
    assert os.getsid(pid_of(folder)) == pid_of(folder)
    assert (process / "cwd").readlink() == Path("/")
    files = {int(each.name): str(each.readlink()) for each in (process / "fd").iterdir()}
    assert (files[0], files[1], files[2]) == ("/dev/null", str(folder / "daemon.log"), str(folder / "daemon.log"))
    assert str(tmp_path / "inherited") not in files.values()
    assert not any(name.startswith("pipe:") for name in files.values())


def test_it_outlives_the_session_of_the_one_who_connected(folder: Path) -> None:
    stay = CONNECT.replace("flush=True)", "flush=True); await asyncio.sleep(60)")
    with subprocess.Popen(script(stay, folder), stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
    assert is_alive(pid_of(folder))
    assert len(printed(CONNECT, folder)) == 1


def test_what_its_client_blocks_and_ignores_of_signals_ends_it(folder: Path) -> None:
    deaf = """
    import signal
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    """
    for number in (signal.SIGHUP, signal.SIGTERM):
        printed(deaf + CONNECT, folder)
        os.kill(pid := pid_of(folder), number)
        _wait_until_gone(pid)


def _wait_until_gone(pid: int) -> None:
    wait_until(lambda: not is_alive(pid), 20)


def test_what_is_missing_above_its_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    old = os.umask(0)
    try:
        printed(CONNECT, folder)
    finally:
        os.umask(old)
        end_autostarted(folder)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_it_gets_none_of_the_secrets_in_the_environment(folder: Path) -> None:
    printed(CONNECT, folder, changes={"AWS_SECRET_ACCESS_KEY": "s3cret", "LD_PRELOAD": "", "PYTHONWARNINGS": "ignore"})
    names = {line.partition("=")[0] for line in Path(f"/proc/{pid_of(folder)}/environ").read_text().split("\0")}
    assert names.isdisjoint({"AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "PYTHONWARNINGS"})
    assert {"HOME", "PATH"} <= names


def test_a_module_of_the_present_folder_does_not_get_into_it(folder: Path, tmp_path: Path) -> None:
    for name in ("apsw", "structlog", "lastgood_daemon"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    done = run_script(CONNECT, folder, flags=("-P",), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# One.


@pytest.mark.slow
def test_ten_processes_that_connect_at_once_get_one_daemon(folder: Path) -> None:
    source = "import sys, lastgood; print('ready', flush=True); sys.stdin.read(1)\n"
    commands = [script(CONNECT.replace("import asyncio", f"{source}    import asyncio", 1), folder) for _ in range(10)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("x")
            process.stdin.flush()
        identities = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * 10
    assert len(set(identities)) == 1
    log = (folder / "daemon.log").read_text()
    assert log.count('"event": "serving"') == 1
    assert log.count("in use") == 0
    assert running_for(folder) == [pid_of(folder)]


def running_for(folder: Path) -> list[int]:
    """The daemons that were started for a folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and is_alive(int(process.name)):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"lastgood_daemon" in words and os.fsencode(folder) in words:
                found.append(int(process.name))
    return found


async def test_ten_clients_of_one_loop_that_connect_at_once_get_one_daemon(folder: Path) -> None:
    async def identity() -> str:
        async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
            return (await client.server_info()).daemon_id

    assert len(set(await asyncio.gather(*(identity() for _ in range(10))))) == 1
    assert (folder / "daemon.log").read_text().count('"event": "serving"') == 1


async def test_what_a_killed_daemon_left_behind_is_no_hindrance(folder: Path) -> None:
    async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
        await client.state("s").set("a", 1)
        before = pid_of(folder)
        os.kill(before, signal.SIGKILL)
        await gone(before)
        assert (folder / "endpoint.json").exists()
        assert (folder / "daemon.sock").exists()
        assert await client.state("s").get("a") == 1
        assert pid_of(folder) != before


async def test_one_that_cannot_start_is_told_about_with_what_it_said(folder: Path) -> None:
    folder.mkdir()
    (folder / "lastgood.db").write_text("this is not a database" * 100)
    with pytest.raises(lastgood.DaemonUnavailableError, match="not a SQLite file") as failure:
        await lastgood.connect(data_dir=folder, timeout=30.0)
    assert f"(exit status 1): cannot start: {folder / 'lastgood.db'}" in str(failure.value)
    assert "{" not in str(failure.value), "in words, and not as a line of the log"


async def test_a_folder_that_cannot_be_made_is_told_about(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(lastgood.DaemonUnavailableError, match="file"):
        await lastgood.connect(data_dir=tmp_path / "file" / "data", timeout=30.0)


# Where it must not be.


async def refused(timeout: float = 0.3, **arguments: object) -> lastgood.DaemonUnavailableError:
    """Fail to connect, in time."""
    begin = time.monotonic()
    with pytest.raises(lastgood.DaemonUnavailableError) as failure:
        await lastgood.connect(timeout=timeout, **arguments)  # type: ignore[arg-type]
    assert time.monotonic() - begin < timeout + 2.0
    assert isinstance(failure.value, TimeoutError)
    assert failure.value.reason == "UNAVAILABLE"
    return failure.value


async def test_autostart_false_forbids_it(folder: Path) -> None:
    error = await refused(data_dir=folder, autostart=False)
    assert f"lastgood serve --data-dir {folder}" in str(error)
    assert not folder.exists()


async def test_the_variable_forbids_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_AUTOSTART", "0")
    await refused(data_dir=folder)
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(folder))
    with pytest.raises(lastgood.DaemonUnavailableError):
        await lastgood.SharedState("default").get(timeout=0.3)
    assert not folder.exists()


async def test_a_mistyped_variable_is_no_yes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_AUTOSTART", "nope")
    with pytest.raises(lastgood.InvalidArgumentError, match="LASTGOOD_AUTOSTART is 'nope': 0 forbids"):
        await refused(data_dir=folder)
    assert not folder.exists()


async def test_what_the_caller_says_goes_before_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_AUTOSTART", "0")
    async with lastgood.connect(data_dir=folder, autostart=True, timeout=30.0) as client:
        assert (await client.server_info()).data_dir == str(folder)


@pytest.mark.parametrize("address", ["unix:{folder}/daemon.sock", "localhost:1"])
async def test_an_address_is_never_autostarted(folder: Path, address: str) -> None:
    address = address.format(folder=folder)
    error = await refused(address=address, autostart=True)
    assert f"lastgood serve --data-dir DIR --address {address}" in str(error)
    assert not folder.exists()


async def test_a_folder_of_a_service_is_never_autostarted(folder: Path) -> None:
    folder.mkdir()
    (folder / "managed-by-service").touch()
    error = await refused(data_dir=folder, autostart=True)
    assert "service" in str(error)
    assert [each.name for each in folder.iterdir()] == ["managed-by-service"]


async def test_a_folder_of_a_service_is_waited_for(folder: Path) -> None:
    folder.mkdir()
    (folder / "managed-by-service").touch()
    waiting = asyncio.ensure_future(lastgood.connect(data_dir=folder, timeout=30.0))
    daemon = DaemonProcess(folder)
    try:
        await asyncio.to_thread(daemon.start)
        client = await waiting
        assert (await client.server_info()).data_dir == str(folder)
        await client.aclose()
    finally:
        waiting.cancel()
        daemon.close()


def test_without_the_daemon_package_the_error_names_the_extra(folder: Path) -> None:
    missing = "import sys; sys.modules['lastgood_daemon'] = None  # as if it were not installed\n"
    done = run_script(missing + "from lastgood.__main__ import main; sys.exit(main(['serve']))")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'lastgood[daemon]'" in done.stderr
    assert done.stderr.count("\n") == 1
    connect = f"""
        {missing}
        import asyncio, lastgood
        async def main():
            try:
                await lastgood.connect(data_dir=sys.argv[1], timeout=20)
            except lastgood.DaemonUnavailableError as error:
                print(error)
        asyncio.run(main())
    """
    (message,) = printed(connect, folder)
    assert "pip install 'lastgood[daemon]'" in message
    assert f"lastgood serve --data-dir {folder}" in message


# Idling.


async def test_it_ends_when_idle_and_the_next_client_gets_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_IDLE_EXIT", "0.3")
    async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
        await client.state("s").set("a", 1)
        identity = (await client.server_info()).daemon_id
    first = pid_of(folder)
    await gone(first)
    assert not (folder / "endpoint.json").exists()
    async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
        assert await client.state("s").get("a") == 1
        assert (await client.server_info()).daemon_id == identity
    assert pid_of(folder) != first
    await gone(pid_of(folder))
    assert '"closed"' in (folder / "daemon.log").read_text()


async def test_a_connected_client_keeps_it_alive_and_serve_never_ends_by_idling(tmp_path: Path) -> None:
    """Measured by a third one, started last with a longer idle time, which leaves by itself."""
    served = DaemonProcess(tmp_path / "served", "--idle-exit", "0.5", forked=True)
    used = DaemonProcess(tmp_path / "used", "--autostarted", "--idle-exit", "1", forked=True)
    clock = DaemonProcess(tmp_path / "clock", "--autostarted", "--idle-exit", "1.5", forked=True)
    try:
        served.start()
        async with lastgood.connect(used.start().address, timeout=20.0) as client:
            await asyncio.to_thread(clock.start)
            assert await asyncio.to_thread(clock.wait) == 0
            assert used.process.poll() is None
            assert served.process.poll() is None
            assert await client.list_states() == []
        assert await asyncio.to_thread(used.wait) == 0
        assert served.process.poll() is None
    finally:
        for daemon in (used, served, clock):
            daemon.close()


async def test_a_client_whose_daemon_has_gone_gets_another_with_its_next_call(folder: Path) -> None:
    async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
        state = client.state("s")
        await state.set("a", 1)
        first = pid_of(folder)
        os.kill(first, signal.SIGTERM)
        await gone(first)
        assert autostarted_pid(folder) is None, "nobody asked for another one yet"
        assert await state.increment("a") == 2
        assert pid_of(folder) != first


def test_it_is_reaped_when_it_ends_before_the_one_that_started_it(folder: Path) -> None:
    stay = CONNECT.replace("flush=True)", "flush=True); await asyncio.to_thread(sys.stdin.read)")
    with subprocess.Popen(
        script(stay, folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline()
        pid = pid_of(folder)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        process.stdin.close()
        assert process.wait(20) == 0


HOLD_THE_LOCK = """
    import fcntl, os, sys
    lock = os.open(sys.argv[1] + "/daemon.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


async def test_no_daemon_is_started_while_another_has_the_folder_and_does_not_answer(folder: Path) -> None:
    folder.mkdir()
    with subprocess.Popen(script(HOLD_THE_LOCK, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(lastgood.DaemonUnavailableError, match=r"another daemon has the folder .* does not answer"):
            await lastgood.connect(data_dir=folder, timeout=2.5)
        assert not (folder / "daemon.log").exists(), "none has been started in vain"
        holder.stdin.close()
        async with lastgood.connect(data_dir=folder, timeout=20.0) as client:
            assert (await client.server_info()).data_dir == str(folder)
