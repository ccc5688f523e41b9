"""``status``, ``serve`` and ``demo``, and which daemon a command talks to."""

import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.running import SECONDS, Command
from tests.support.daemons import DaemonProcess, autostarted_pid
from tests.support.processes import run_script, script
from tests.support.waiting import wait_until

import lastgood
from lastgood.version import __version__


def test_status_of_a_daemon(own_daemon: DaemonProcess) -> None:
    command = Command(own_daemon.folder)
    command.says("set", "a", "x", "1")

    done = command.process("status")
    assert (done.status, done.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert told.pop("file").endswith("KiB")
    assert told == {
        "running": f"lastgood {__version__}",
        "address": own_daemon.address,
        "folder": str(own_daemon.folder),
        "process": str(own_daemon.process.pid),
        "states": "1",
    }

    found = command.json("status", "--address", own_daemon.address)
    assert found.pop("file_bytes") > 4096
    assert found == {
        "running": True,
        "version": __version__,
        "address": own_daemon.address,
        "data_dir": str(own_daemon.folder),
        "daemon_id": own_daemon.endpoint["daemon_id"],
        "pid": own_daemon.process.pid,
        "autostarted": False,
        "states": 1,
    }


def test_status_starts_no_daemon(folder: Path) -> None:
    command = Command(folder)

    done = command.process("status")
    assert done == (
        1,
        "",
        f"lastgood status: no daemon runs for {folder}. To start one: lastgood serve --data-dir {folder}\n",
    )
    done = command.here("status", "--json")
    assert done.status == 1
    found = json.loads(done.out)
    assert (found["running"], found["data_dir"], found["pid"]) == (False, str(folder), None)
    assert not folder.exists()


def test_status_of_a_daemon_that_was_killed(own_daemon: DaemonProcess) -> None:
    own_daemon.kill()

    assert "no daemon runs for" in Command(own_daemon.folder).complains(1, "status")


def test_status_of_an_address_where_nobody_is(command: Command) -> None:
    complaint = command.complains(1, "status", "--address", "localhost:1", "--timeout", "0.3")

    assert "no daemon answered at localhost:1 within 0.3 s" in complaint
    assert "To start one: lastgood serve --data-dir DIR --address localhost:1" in complaint


def test_other_commands_start_one(folder: Path) -> None:
    command = Command(folder)
    assert "no daemon runs for" in command.complains(1, "get", "trip", "--no-autostart")
    assert not folder.exists()

    assert command.process("set", "trip", "x", "1").status == 0

    assert "started by a client" in command.says("status")
    assert command.json("status")["pid"] == autostarted_pid(folder)


def test_which_daemon(command: Command, daemon: DaemonProcess, tmp_path: Path, state_id: str) -> None:
    command.says("set", state_id, "x", "1")
    elsewhere = Command(tmp_path / "nobody")

    assert elsewhere.says("get", state_id, "x", "--data-dir", str(daemon.folder)) == "1\n"
    assert elsewhere.says("get", state_id, "x", "--address", daemon.address) == "1\n"
    elsewhere.environment["LASTGOOD_ADDRESS"] = daemon.address
    assert elsewhere.says("get", state_id, "x") == "1\n"
    complaint = command.complains(2, "get", state_id, "--data-dir", "x", "--address", "unix:/x")
    assert complaint == "lastgood get: --data-dir and --address each name a daemon: give one of them\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--address", "nonsense"], "an address is 'unix:/path' or 'host:port', not 'nonsense'"),
        (["--timeout", "0"], "timeout must be a positive number of seconds"),
        (["--data-dir", ""], "data_dir must be the path of a folder"),
    ],
)
def test_options_that_make_no_sense(command: Command, words: list[str], why: str) -> None:
    assert why in command.complains(2, "states", *words)


def test_a_daemon_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    complaint = Command(file / "data").complains(1, "get", "trip")

    assert complaint.startswith("lastgood get: ")
    assert "Not a directory" in complaint


def test_serve_passes_its_flags_on_and_needs_no_typer(folder: Path) -> None:
    source = """
        import sys
        sys.modules |= dict.fromkeys(["typer", "rich"])
        from lastgood.__main__ import main
        sys.exit(main(["serve", "--data-dir", sys.argv[1]]))
    """
    with subprocess.Popen(script(source, folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as serving:
        try:
            wait_until(lambda: autostarted_pid(folder) == serving.pid)
            assert Command(folder).json("status")["pid"] == serving.pid
        finally:
            serving.send_signal(signal.SIGTERM)
        assert serving.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("missing", "words", "says"),
    [
        ("typer", ["get", "trip"], "the command needs typer, which is not installed: pip install 'lastgood[cli]'"),
        ("typer", [], "the command needs typer, which is not installed: pip install 'lastgood[cli]'"),
        ("rich", ["states"], "the command needs rich"),
        ("lastgood_daemon.start", ["serve"], "the daemon needs lastgood_daemon"),
    ],
)
def test_what_is_missing_is_named(missing: str, words: list[str], says: str) -> None:
    source = """
        import sys
        sys.modules[sys.argv[1]] = None
        from lastgood.__main__ import main
        sys.exit(main(sys.argv[2:]))
    """

    done = run_script(source, missing, *words)

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_get_loads_no_more_than_it_needs(command: Command, daemon: DaemonProcess) -> None:
    command.says("set", "trip", "x", "1")
    source = """
        import sys
        from lastgood.__main__ import main
        assert main(["get", "trip", "--data-dir", sys.argv[1]]) == 0
        print(*(name for name in sys.modules if name.startswith(("rich", "lastgood.cli.", "lastgood_daemon"))))
    """

    done = run_script(source, daemon.folder)

    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1].split()
    assert not [name for name in loaded if name.startswith(("rich", "lastgood_daemon"))]
    assert "lastgood.cli.past" not in loaded


def test_a_fault_is_one_line_and_a_traceback_only_on_request(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> lastgood.Client:
        fault = "what"
        raise KeyError(fault)

    monkeypatch.setattr(lastgood, "connect", fail)
    complaint = command.complains(1, "get", "trip")
    assert complaint == "lastgood get: a fault of lastgood itself: KeyError: 'what' (LASTGOOD_DEBUG=1 shows where)\n"

    command.environment["LASTGOOD_DEBUG"] = "1"
    assert "Traceback" in command.here("get", "trip").err


def test_the_module_is_the_command(command: Command) -> None:
    script = Path(sys.executable).with_name("lastgood")
    done = subprocess.run(
        [script, "--version"], env=command.environment, capture_output=True, check=True, text=True, timeout=SECONDS
    )

    assert done.stdout == f"lastgood {__version__}\n"


def test_a_folder_that_a_silent_daemon_has(tmp_path: Path) -> None:
    with (tmp_path / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = Command(tmp_path)

        for words in (["status"], ["states", "--no-autostart"]):
            complaint = command.complains(1, *words)
            assert f"a daemon has {tmp_path} and does not answer" in complaint
            assert "To start one" not in complaint


def test_nothing_of_the_inside_stands_before_a_message(command: Command) -> None:
    complaint = command.complains(1, "states", "--address", "127.0.0.1:1", "--timeout", "0.3")

    assert complaint.startswith("lastgood states: no daemon answered at 127.0.0.1:1 within 0.3 s")
