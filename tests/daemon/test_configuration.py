"""Flags, LASTGOOD_*, the TOML file, what stands in the code: the first that says something counts. And the log."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.forked import run_forked
from tests.support.processes import environment, is_alive
from tests.support.waiting import wait_until

from lastgood.__main__ import main
from lastgood_daemon.process.config import ConfigurationError, configured

COMMAND = [sys.executable, "-m", "lastgood", "serve"]


@contextmanager
def serving(*flags: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*COMMAND, *flags],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
        process.terminate()
        said, logged = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, b""), logged
    finally:
        process.kill()
        process.communicate()


def failing(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_forked(main, ["serve", *flags], environment=environment(variables))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the TOML file is looked for."""
    path = tmp_path / "home" / "config" / "lastgood" / "lastgood.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("flags", "variables", "says"),
    [
        (("--token", ""), {}, "token is empty"),
        (("--address", "0.0.0.0:0", "--tls-certificate", "c", "--tls-key", "k"), {}, "LASTGOOD_TOKEN"),
        (("--address", "0.0.0.0:0", "--tls-certificate", "c", "--tls-key", "k"), {"LASTGOOD_TOKEN": ""}, "LASTGOOD_TOKEN"),
    ],
)
def test_an_address_that_anyone_could_use_is_refused(
    tmp_path: Path, flags: tuple[str, ...], variables: dict[str, str], says: str
) -> None:
    done = failing("--data-dir", str(tmp_path / "data"), *flags, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("first", range(5), ids=["flag", "variable", "LASTGOOD_CONFIG", "file", "default"])
def test_the_first_that_says_something_counts(tmp_path: Path, config: Path, first: int) -> None:
    folders = [tmp_path / f"folder{index}" for index in range(4)] + [tmp_path / "home" / "state" / "lastgood"]
    named = tmp_path / "named.toml"
    named.write_text(f'data_dir = "{folders[2]}"')
    flags = ("--data-dir", str(folders[0])) if first <= 0 else ()
    variables = {"LASTGOOD_DATA_DIR": str(folders[1])} if first <= 1 else {}
    if first <= 2:
        variables["LASTGOOD_CONFIG"] = str(named)
    if first <= 3:
        config.write_text(f'data_dir = "{folders[3]}"')
    with serving(*flags, **variables) as process:
        endpoint = folders[first] / "endpoint.json"
        wait_until(lambda: endpoint.exists() or process.poll() is not None)
        assert json.loads(endpoint.read_bytes())["pid"] == process.pid
        assert not any(other.exists() for other in folders if other != folders[first])


def test_every_setting_can_stand_in_the_file(tmp_path: Path, config: Path) -> None:
    folder = tmp_path / "data"
    numbers = "idle_exit = 0.2\nhousekeeping_interval = 60\n"
    config.write_text(f'data_dir = "{folder}"\naddress = "localhost:0"\ntoken = "t"\nautostarted = true\n{numbers}')
    process = subprocess.Popen(COMMAND, env=environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        _, logged = process.communicate(timeout=30)  # by itself: it idles
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    events = [json.loads(line) for line in logged.splitlines()]
    assert re.fullmatch(r"localhost:[1-9]\d*", events[0]["address"])
    assert "0.2 s" in events[1]["reason"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--bogus"], "--bogus"),
        (["extra"], "extra"),
        (["--data-dir"], "--data-dir"),
        (["--idle-exit", "soon"], "--idle-exit"),
        (["--idle-exit", "0"], "--idle-exit"),
        (["--housekeeping-interval", "0"], "--housekeeping-interval"),
        (["--address", "0.0.0.0:7000"], "tls-certificate"),
        (["--address", "nonsense"], "nonsense"),
        (["--tls-key", "key.pem"], "tls-certificate"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(tmp_path: Path, flags: list[str], told: str) -> None:
    done = failing(*(["--data-dir", str(tmp_path / "data")] if "--data-dir" not in flags else []), *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lastgood serve: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert told in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", ["data_dir = [", "idle_exit = 'soon'", "dato_dir = 'x'", "data_dir = 7"])
def test_a_wrong_file_is_one_line_and_status_2(tmp_path: Path, config: Path, content: str) -> None:
    config.write_text(content)
    done = failing()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lastgood serve: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "home" / "state").exists()


def test_a_file_that_was_named_and_is_not_there_is_told_about(tmp_path: Path) -> None:
    done = failing(LASTGOOD_CONFIG=str(tmp_path / "missing.toml"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "missing.toml" in done.stderr


@pytest.mark.parametrize("address", ["garbage", "unix:", "localhost:99999", "localhost:", ":1", "http://localhost:1"])
def test_what_is_no_address_is_told_what_one_is(tmp_path: Path, address: str) -> None:
    done = failing("--data-dir", str(tmp_path / "data"), "--address", address)
    assert done.returncode == 2
    assert f"address must be unix:/path or host:port, got '{address}'" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("missing", ["tls-certificate", "tls-key"])
def test_a_missing_file_of_tls_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / "there.pem").write_text("not a certificate")
    files = {name: str(tmp_path / "there.pem") for name in ("tls-certificate", "tls-key")} | {missing: "nosuch.pem"}
    flags = [part for name, path in files.items() for part in (f"--{name}", path)]
    done = failing("--data-dir", str(tmp_path / "data"), "--address", "localhost:0", *flags)
    assert done.returncode == 1
    named = str(Path("nosuch.pem").absolute())
    assert f"--{missing} must be a PEM file that can be read, got {named!r}" in json.loads(done.stderr)["error"]


def test_files_that_are_not_of_tls_are_told_about(tmp_path: Path) -> None:
    (tmp_path / "there.pem").write_text("not a certificate")
    file = str(tmp_path / "there.pem")
    flags = ("--address", "localhost:0", "--tls-certificate", file, "--tls-key", file)
    done = failing("--data-dir", str(tmp_path / "data"), *flags)
    assert done.returncode == 1
    assert "must be a certificate and its key in PEM form" in json.loads(done.stderr)["error"]


def test_a_wrong_variable_is_one_line_and_status_2() -> None:
    done = failing(LASTGOOD_IDLE_EXIT="soon")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "LASTGOOD_IDLE_EXIT takes a number of seconds above 0, got 'soon'" in done.stderr


@pytest.mark.parametrize(
    ("flag", "value", "takes"),
    [
        ("--memory", "abc", "a number of bytes, or a size such as 512MB or 1GiB"),
        ("--memory", "-1", "a number of bytes, or a size such as 512MB or 1GiB"),
        ("--memory", "1XB", "a number of bytes, or a size such as 512MB or 1GiB"),
        ("--idle-exit", "soon", "a number of seconds above 0"),
        ("--idle-exit", "0", "a number of seconds above 0"),
    ],
)
def test_a_wrong_value_is_told_what_the_setting_takes(flag: str, value: str, takes: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        configured([f"{flag}={value}"])
    assert str(failure.value) == f"{flag} takes {takes}, got {value!r}"


@pytest.mark.parametrize(
    ("said", "size"), [("4096", 4096), ("1GiB", 2**30), ("512MB", 512_000_000), ("1.5 KiB", 1536), ("64mib", 64 * 2**20)]
)
def test_memory_is_a_size(config: Path, said: str, size: int) -> None:
    assert configured(["--memory", said]).memory == size
    config.write_text(f'memory = "{said}"')
    assert configured([]).memory == size


def test_a_token_is_not_shown_when_it_is_refused(config: Path) -> None:
    config.write_text("token = 4711")
    with pytest.raises(ConfigurationError) as failure:
        configured([])
    assert str(failure.value) == f"{config}: token takes text"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"dato_dir = 'x'", ": there is no setting 'dato_dir'. There are data_dir, address, token, "),
        (b"idle_exit = 'soon'", ": idle_exit takes a number of seconds above 0, got 'soon'"),
        (b"memory = 'much'", ": memory takes a number of bytes, or a size such as 512MB or 1GiB, got 'much'"),
        (b"data_dir = 7", ": data_dir takes a path, got 7"),
        (b"address = 7", ": address takes text, got 7"),
        (b"data_dir = [", " is no TOML: "),
        (b"data_dir = '\xff'", " is no text in UTF-8: byte 13 is not"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--autostarted"]], ids=["", "autostarted"])
def test_a_wrong_file_is_named_with_what_it_takes(config: Path, content: bytes, says: str, flags: list[str]) -> None:
    config.write_bytes(content)
    if flags and content.startswith((b"data_dir = 7", b"address")):
        configured(flags)  # not about a daemon that a client has started
        return
    with pytest.raises(ConfigurationError) as failure:
        configured(flags)
    assert str(failure.value).startswith(f"{config}{says}")
    assert "`" not in str(failure.value)


def test_a_missing_folder_of_a_socket_is_named(tmp_path: Path) -> None:
    done = failing("--data-dir", str(tmp_path / "data"), "--address", f"unix:{tmp_path}/nosuch/x.sock")
    assert done.returncode == 1
    said = f"no socket can be made in {tmp_path}/nosuch: make that folder, or name another address"
    assert json.loads(done.stderr)["error"] == said


def test_help_is_not_an_error() -> None:
    done = failing("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in ("--data-dir", "--address", "--token", "--tls-certificate", "--tls-key", "--idle-exit"):
        assert flag in done.stdout


# The log.


def test_the_log_is_json_lines_for_programs(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = subprocess.Popen([*COMMAND, "--data-dir", str(folder)], env=environment(), stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        process.terminate()
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert first["event"] == "serving"
    assert (first["level"], first["pid"], first["data_dir"]) == ("info", process.pid, str(folder))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", first["timestamp"])
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["shutting down", "closed"]


def test_the_log_is_for_people_on_a_terminal(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        command = [*COMMAND, "--data-dir", str(tmp_path / "data")]
        os.execve(sys.executable, command, environment({"TERM": "xterm"}))  # noqa: S606 - as meant
    try:
        said = read_until(terminal, b"Ctrl-C")
        os.kill(child, signal.SIGINT)
        said += read_until(terminal, b"closed")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(terminal)
    lines = re.sub(rb"\x1b\[[\d;]*m", b"", said).decode().splitlines()
    assert not any(line.startswith("{") for line in lines)
    shown = " ".join(" ".join(lines).split())
    folder = tmp_path / "data"
    assert (
        f"Serving: {folder} Address: unix:{folder}/daemon.sock Connect: lastgood status --data-dir {folder} Stop: " in shown
    )
    assert re.search(r"\d\d:\d\d:\d\d shutting down: received SIGINT", shown), lines


def read_until(descriptor: int, what: bytes) -> bytes:
    """Read from a terminal until something has come."""
    said = b""
    deadline = time.monotonic() + 30
    while what not in said:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, said
        said += os.read(descriptor, 65536)
    return said


def test_a_client_that_goes_away_is_no_line_of_the_log() -> None:
    source = (
        "import logging; from lastgood_daemon.process import logs; logs.configure();"
        "told = logging.getLogger('grpc._cython.cygrpc').error;"
        "told('ExecuteBatchError raised in core by servicer method [/x]'); told('something else')"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, text=True)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["something else"]
