"""Folders, addresses and variables mean the same to client and daemon, in whatever environment a program runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.daemons import autostarted_pid
from tests.support.forked import ForkedProcess, run_forked, run_forked_script
from tests.support.processes import environment, run_script
from tests.support.waiting import wait_until

import lastgood
from lastgood import sync
from lastgood.__main__ import main
from lastgood.testing import throw_away_daemon
from lastgood_proto import places

SERVE = [sys.executable, "-m", "lastgood", "serve"]
CONNECT = """
    import sys, lastgood.sync
    with lastgood.sync.connect(timeout=30, **dict(word.split("=", 1) for word in sys.argv[1:])) as client:
        print(client.server_info().data_dir)
"""


@contextmanager
def serving(cwd: Path, *flags: str, **variables: str) -> Iterator[None]:
    log = cwd / "said"
    log.touch()
    process = ForkedProcess(main, ["serve", *flags], log=log, environment=environment(variables), cwd=cwd)
    try:
        wait_until(lambda: '"serving"' in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def refused(*flags: str, **variables: str | None) -> str:
    done = run_forked(main, ["serve", *flags], environment=environment(variables))
    assert done.returncode in {1, 2}, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


# Empty is not set.


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing set."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", *(name for name in os.environ if name.startswith("LASTGOOD_"))):
        monkeypatch.delenv(name, raising=False)
    return path


def test_empty_variables_are_not_set_for_either(home: Path, tmp_path: Path) -> None:
    names = "ADDRESS DATA_DIR TOKEN MEMORY IDLE_EXIT HOUSEKEEPING_INTERVAL CONFIG AUTOSTART DEBUG BACKUP_DIR TLS_KEY"
    empty = {"XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", **{f"LASTGOOD_{name}": "" for name in names.split()}}
    with serving(tmp_path, **empty):
        done = run_forked_script(CONNECT, changes=empty, cwd=Path("/"))
    assert done.stdout.strip() == str(home / ".local" / "state" / "lastgood"), done.stderr


def test_an_empty_home_is_not_the_root() -> None:
    assert places.default_data_folder({"HOME": ""}) == places.default_data_folder({})
    assert not places.default_data_folder({"HOME": ""}).is_relative_to("/.local")


@pytest.mark.parametrize("flag", ["--data-dir", "--address", "--backup-dir"])
def test_an_empty_option_is_a_mistake(flag: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*SERVE, flag, ""], cwd=tmp_path, env=environment(), capture_output=True, check=False, text=True, timeout=30
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
    assert flag.removeprefix("--") in done.stderr
    assert not any(tmp_path.glob("daemon.*"))


# One reading.


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"XDG_STATE_HOME": "relative"}, "home/.local/state/lastgood"),
        ({"LASTGOOD_DATA_DIR": "~/agents"}, "home/agents"),
        ({"LASTGOOD_DATA_DIR": "agents"}, "agents"),
    ],
    ids=["relative XDG_STATE_HOME", "~", "relative"],
)
def test_client_and_daemon_mean_the_same_folder(home: Path, tmp_path: Path, variables: dict[str, str], folder: str) -> None:
    assert home.is_dir()
    with serving(tmp_path, **variables):
        done = run_forked_script(CONNECT, changes={**variables, "LASTGOOD_AUTOSTART": "0"}, cwd=tmp_path)
    assert done.stdout.strip() == str(tmp_path / folder), done.stderr


@pytest.mark.parametrize("address", ["unix:x.sock", "unix:~/x.sock", "unix:./x.sock"])
def test_client_and_daemon_mean_the_same_socket(home: Path, tmp_path: Path, address: str) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path, "--data-dir", str(folder), "--address", address):
        done = run_forked_script(CONNECT, f"address={address}", cwd=tmp_path)
    assert done.stdout.strip() == str(folder), done.stderr
    assert home.is_dir()


def test_a_file_may_name_a_home_folder_and_be_named_from_here(home: Path, tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text('data_dir = "~/of-file"')
    with serving(tmp_path, LASTGOOD_CONFIG="here.toml"):
        assert json.loads((home / "of-file" / "endpoint.json").read_bytes())["pid"]


# The user's file is for the daemon that the user runs.


@pytest.fixture
def users_file(home: Path) -> Path:
    path = home / ".config" / "lastgood" / "lastgood.toml"
    path.parent.mkdir(parents=True)
    path.write_text('address = "localhost:1"\ntoken = "secret"\ndata_dir = "~/elsewhere"\ntls_key = "k"\nidle_exit = 61\n')
    return path


def test_a_daemon_that_a_client_starts_has_the_address_and_the_token_of_none(users_file: Path, tmp_path: Path) -> None:
    done = run_forked_script(CONNECT, f"data_dir={tmp_path / 'data'}")
    assert done.stdout.strip() == str(tmp_path / "data"), done.stderr
    assert users_file.is_file()
    end_autostarted(tmp_path / "data")


def test_it_takes_what_is_for_any_daemon_from_the_file(users_file: Path, tmp_path: Path) -> None:
    users_file.write_text("memory = 'lots'")
    done = run_forked_script(CONNECT, f"data_dir={tmp_path / 'data'}")
    assert "memory takes a number of bytes" in done.stderr


def test_so_it_does_from_one_named_relative_to_the_client(users_file: Path, tmp_path: Path) -> None:
    users_file.unlink()
    (tmp_path / "here.toml").write_text("memory = 'lots'")
    changes = {"LASTGOOD_CONFIG": "here.toml"}
    done = run_forked_script(CONNECT, f"data_dir={tmp_path / 'data'}", changes=changes, cwd=tmp_path)
    assert "memory takes a number of bytes" in done.stderr


def test_a_throw_away_daemon_takes_nothing_of_it(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users_file.write_text('memory = "lots"\ntoken = "secret"')
    monkeypatch.setenv("LASTGOOD_TOKEN", "another")
    with throw_away_daemon() as daemon:
        assert daemon.address.startswith("unix:")
        monkeypatch.delenv("LASTGOOD_TOKEN")
        with sync.connect(data_dir=daemon.data_dir, autostart=False) as client:
            assert client.list_states() == []


# No home, no way in.

NO_SUCH_USER = """
    import os, runpy, sys
    os.setresuid(12345, 0, 0)  # of whom no list of users knows; what may be read stays the same
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


def end_autostarted(folder: Path) -> None:
    pid = autostarted_pid(folder)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not (folder / "endpoint.json").exists())


@as_root
@pytest.mark.parametrize("home", [None, "", "/" + 256 * "x"], ids=["no home", "empty", "not to be looked into"])
def test_a_service_without_a_home_uses_the_folder_that_is_named(home: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    changes = {"HOME": home, "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None, "LASTGOOD_DATA_DIR": str(folder)}
    done = run_script(NO_SUCH_USER, "lastgood", "set", "s", "a", "1", "--timeout", "30", changes=changes)
    assert done.returncode == 0, done.stderr
    end_autostarted(folder)


@as_root
def test_without_a_home_and_a_folder_it_says_what_to_name() -> None:
    changes = {"HOME": None, "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None, "LASTGOOD_DATA_DIR": None}
    for command in ("serve", "states"):
        done = run_script(NO_SUCH_USER, "lastgood", command, changes=changes)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "user 12345 has no home folder" in done.stderr


# Paths that cannot be.

LONG = "/nowhere/" + "/".join(["d" * 99] * 6)
NOT_UTF_8 = os.fsdecode(b"/nowhere-\xff")


@pytest.mark.parametrize(
    ("path", "says"), [(LONG, "492 bytes"), (NOT_UTF_8, "not UTF-8"), ("~nobody-of-that-name/x", "no such user")]
)
def test_what_cannot_be_a_data_folder_is_refused_at_once(path: str, says: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match=says):
        sync.connect(data_dir=path)
    assert says in refused("--data-dir", path)
    assert not Path(path).exists()


def test_the_longest_path_of_a_data_folder_works(tmp_path: Path) -> None:
    path = f"{tmp_path}/{'/'.join(['d' * 99] * 6)}"[: places.MAX_FOLDER_BYTES]
    done = run_forked_script(CONNECT, f"data_dir={path}")
    assert done.stdout.strip() == path, done.stderr
    end_autostarted(Path(path))


@pytest.mark.parametrize("below", ["", "/below"])
async def test_a_file_where_the_folder_should_be_is_one_clear_line(tmp_path: Path, below: str) -> None:
    path = tmp_path / "file"
    path.touch()
    for autostart in (True, False):
        with pytest.raises(lastgood.DaemonUnavailableError, match=r"name another (one|data folder)") as caught:
            await lastgood.connect(data_dir=f"{path}{below}", autostart=autostart)
        assert "Errno" not in str(caught.value)
    assert ("lies below what is not a folder" if below else "not a folder") in refused("--data-dir", f"{path}{below}")


def test_a_socket_whose_path_is_too_long_is_refused_at_once(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/{'s' * 108}"
    with pytest.raises(lastgood.InvalidArgumentError, match="bytes"):
        lastgood.connect(address)
    assert "bytes" in refused("--data-dir", str(tmp_path / "data"), "--address", address)
