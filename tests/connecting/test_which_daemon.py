"""Which daemon a client connects to: address, data_dir, LASTGOOD_ADDRESS, LASTGOOD_DATA_DIR, the default folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess

import lastgood

WAYS = ["address", "data_dir", "LASTGOOD_ADDRESS", "LASTGOOD_DATA_DIR", "default"]


@dataclass
class Daemons:
    root: Path
    by_way: dict[str, DaemonProcess]

    def argument(self, way: str) -> str:
        daemon = self.by_way[way]
        return daemon.address if "address" in way.lower() else str(daemon.folder)


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    root = tmp_path_factory.mktemp("which")
    (root / "state").mkdir()
    by_way = {way: DaemonProcess(root / way, forked=True) for way in WAYS[:-1]}
    by_way["default"] = DaemonProcess(root / "state" / "lastgood", forked=True)
    try:
        for daemon in by_way.values():
            daemon.spawn()
        for daemon in by_way.values():
            daemon.wait_up()
        yield Daemons(root, by_way)
    finally:
        for daemon in by_way.values():
            daemon.close()


async def reached(**arguments: str) -> str:
    async with lastgood.connect(autostart=False, timeout=20.0, **arguments) as client:
        return (await client.server_info()).data_dir


@pytest.mark.parametrize("first", range(len(WAYS)), ids=WAYS)
async def test_the_first_that_applies(daemons: Daemons, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {way: daemons.argument(way) for way in WAYS[first:]}
    monkeypatch.setenv("XDG_STATE_HOME", str(daemons.root / "state"))
    for name in set(given) & {"LASTGOOD_ADDRESS", "LASTGOOD_DATA_DIR"}:
        monkeypatch.setenv(name, given[name])
    arguments = {WAYS[first]: given[WAYS[first]]} if WAYS[first] in {"address", "data_dir"} else {}
    assert await reached(**arguments) == str(daemons.by_way[WAYS[first]].folder)


async def test_two_daemons_at_once_are_refused(daemons: Daemons) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="give one of them"):
        lastgood.connect(daemons.argument("address"), data_dir=daemons.argument("data_dir"))


async def test_an_empty_variable_is_none(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_ADDRESS", "")
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(daemons.by_way["LASTGOOD_DATA_DIR"].folder))
    assert await reached() == str(daemons.by_way["LASTGOOD_DATA_DIR"].folder)


@pytest.mark.parametrize("xdg", [None, "", "relative/folder"])
async def test_the_default_folder_is_in_the_home_folder(
    daemons: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xdg: str | None
) -> None:
    home = tmp_path / "somebody"
    (home / ".local").mkdir(parents=True)
    (home / ".local" / "state").symlink_to(daemons.root / "state")
    monkeypatch.setenv("HOME", str(home))
    if xdg is None:
        monkeypatch.delenv("XDG_STATE_HOME")
    else:
        monkeypatch.setenv("XDG_STATE_HOME", xdg)
    assert await reached() == str(daemons.by_way["default"].folder)


async def test_a_folder_may_be_named_by_any_path_to_it(
    daemons: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = daemons.by_way["data_dir"].folder
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    for path in ("data_dir", "./data_dir/", "~/data_dir", tmp_path / "link", folder):
        async with lastgood.connect(data_dir=path, autostart=False, timeout=20.0) as client:
            assert (await client.server_info()).data_dir == str(folder)


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "unix:", "host:", ":80", "host:0", "host:65536", "host:-1", "host:x", "http://host:80", "::1:80", 7],
)
async def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="address") as refusal:
        lastgood.connect(address)
    assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize("path", ["", "a\0b", b"/bytes", 7])
async def test_what_is_no_folder_is_refused_at_once(path: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="data_dir"):
        lastgood.connect(data_dir=path)


async def test_a_bad_variable_is_refused_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_ADDRESS", "nonsense")
    with pytest.raises(lastgood.InvalidArgumentError, match="nonsense"):
        lastgood.connect()
