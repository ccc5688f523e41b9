"""Which daemon a client goes to."""

import json
import shutil
from pathlib import Path

import pytest

import lastgood
from lastgood.locate import Location, check_address, locate, may_autostart, read_endpoint
from lastgood.transport.child import clean_environment

_HOME = {"XDG_STATE_HOME": "/states"}


def test_an_address_comes_first() -> None:
    environment = {"LASTGOOD_ADDRESS": "elsewhere:1", "LASTGOOD_DATA_DIR": "/elsewhere", **_HOME}

    assert locate("host:1", None, environment) == Location("host:1")


def test_two_daemons_are_not_one() -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="give one of them"):
        locate("host:1", "/folder", {})


def test_then_a_folder() -> None:
    environment = {"LASTGOOD_ADDRESS": "elsewhere:1", "LASTGOOD_DATA_DIR": "/elsewhere", **_HOME}

    assert locate(None, "/folder", environment) == Location("/folder")


def test_then_the_address_of_the_environment() -> None:
    environment = {"LASTGOOD_ADDRESS": "host:1", "LASTGOOD_DATA_DIR": "/elsewhere", **_HOME}

    assert locate(None, None, environment) == Location("host:1")


def test_then_its_folder() -> None:
    assert locate(None, None, {"LASTGOOD_DATA_DIR": "/folder", **_HOME}) == Location("/folder")


def test_then_the_default_folder() -> None:
    assert locate(None, None, {"LASTGOOD_ADDRESS": "", **_HOME}) == Location("/states/lastgood")


@pytest.mark.parametrize("environment", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_the_default_folder_is_normally_in_the_home(environment: dict[str, str], tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), **environment}

    assert locate(None, None, environment).folder == tmp_path.resolve() / ".local/state/lastgood"


def test_a_folder_has_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    real = tmp_path.resolve() / "real"

    assert {locate(None, name).folder for name in ("real", "./real", "link", "~/real", tmp_path / "real")} == {real}


def test_a_storage_keeps_its_folder_when_the_working_folder_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    storage = lastgood.FileCheckpointStorage("./checkpoints")
    monkeypatch.chdir("/")

    assert storage.path == tmp_path.resolve() / "checkpoints"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:///run/x.sock", "unix:/run/x.sock"),
        ("unix:/run/a b%c.sock", "unix:/run/a b%c.sock"),
        ("localhost:50", "localhost:50"),
        ("10.0.0.1:50051", "10.0.0.1:50051"),
        ("[::1]:50051", "[::1]:50051"),
    ],
)
def test_addresses(given: str, meant: str) -> None:
    assert check_address(given) == meant


@pytest.mark.parametrize(
    "wrong", ["", "host", "host:", "host:0", "host:65536", "host:x", ":50", "unix:", "unix://", "::1:50", "http://h:1", 7]
)
def test_what_is_no_address_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="host:port"):
        lastgood.connect(wrong)


@pytest.mark.parametrize("wrong", ["", 7, b"bytes", "a\0b"])
def test_what_is_no_folder_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="data_dir"):
        lastgood.connect(data_dir=wrong)


@pytest.mark.parametrize("wrong", [0, -1, True, "5", float("nan")])
def test_what_is_no_timeout_is_refused_at_once(wrong: float) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="timeout"):
        lastgood.connect("host:1", timeout=wrong)


def test_the_hint_can_be_pasted() -> None:
    assert Location("/a b").how_to_start == "lastgood serve --data-dir '/a b'"
    assert Location("host:1").how_to_start == "lastgood serve --data-dir DIR --address host:1"


@pytest.mark.parametrize(
    ("argument", "variable", "allowed"),
    [
        (None, "", True),
        (None, "1", True),
        (None, "0", False),
        (None, "false", False),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_autostart(argument: bool | None, variable: str, *, allowed: bool) -> None:
    assert may_autostart(autostart=argument, environment={"LASTGOOD_AUTOSTART": variable}) is allowed


def write_endpoint(folder: Path, **more: object) -> None:
    place = folder.stat()
    known = {"address": "unix:/x", "pid": 7, "daemon_id": "d", "version": "1", "autostarted": False, "secret": "s"}
    (folder / "endpoint.json").write_text(json.dumps({**known, "device": place.st_dev, "inode": place.st_ino, **more}))


def test_an_endpoint_is_read(tmp_path: Path) -> None:
    write_endpoint(tmp_path, later="field")

    endpoint = read_endpoint(tmp_path)

    assert endpoint is not None
    assert (endpoint.address, endpoint.pid, endpoint.autostarted) == ("unix:/x", 7, False)
    assert "secret" not in repr(endpoint)


def test_an_endpoint_that_was_written_in_another_folder_is_none(tmp_path: Path) -> None:
    write_endpoint(tmp_path)
    copy = tmp_path.with_name("copy")
    shutil.copytree(tmp_path, copy)

    assert read_endpoint(copy) is None
    assert read_endpoint(tmp_path) is not None


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"address": 5}', '{"address": "nonsense"}'])
def test_an_endpoint_that_is_none(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "endpoint.json").write_text(content)

    assert read_endpoint(tmp_path) is None


def test_a_started_daemon_inherits_no_more_than_it_needs() -> None:
    environment = clean_environment(
        {
            "PATH": "/bin",
            "HOME": "/home/me",
            "LC_ALL": "C",
            "XDG_CONFIG_HOME": "/config",
            "LASTGOOD_IDLE_EXIT": "5",
            "LASTGOOD_ADDRESS": "elsewhere:1",
            "LASTGOOD_DATA_DIR": "/elsewhere",
            "LASTGOOD_AUTOSTART": "1",
            "OPENAI_API_KEY": "secret",
            "PYTHONPATH": "/one:/two",
            "PYTHONDEVMODE": "1",
        }
    )

    roots = environment.pop("PYTHONPATH").split(":")
    assert roots[:2] == ["/one", "/two"]
    assert environment == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "XDG_CONFIG_HOME": "/config",
        "LASTGOOD_IDLE_EXIT": "5",
    }
