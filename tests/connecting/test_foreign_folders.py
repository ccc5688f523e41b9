"""Data folders with what somebody else has put there: nothing is followed, waited for or handed over."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from tests.support.processes import run_script

import lastgood
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.lock import locked

FILES = ["endpoint.json", "autostart.lock", "daemon.log", "daemon.lock"]
SECONDS = 20.0
SOMEBODY = 4711

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


async def refused(folder: Path) -> str:
    """Connect in vain; return what is said, which is one line."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(lastgood.DaemonUnavailableError) as failure:
            await lastgood.connect(data_dir=folder, token="secret", timeout=SECONDS)  # noqa: S106 - nobody's
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize("name", FILES)
async def test_a_link_is_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).symlink_to(victim)
    said = await refused(folder)
    assert name in said
    assert "symbolic link" in said
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", FILES)
async def test_a_link_to_nothing_makes_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "made")
    assert name in await refused(folder)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", FILES)
async def test_nothing_waits_for_a_fifo(folder: Path, name: str) -> None:
    folder.mkdir()
    os.mkfifo(folder / name)
    try:
        assert name in await refused(folder)
    finally:
        (folder / name).unlink()


@as_root
@pytest.mark.parametrize("name", ["", "endpoint.json", "autostart.lock", "daemon.log", "daemon.lock"])
async def test_what_belongs_to_somebody_else_is_not_used(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    told: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read(1))
        writer.close()

    trap = tmp_path / "trap"
    async with await asyncio.start_unix_server(listen, trap):
        (folder / "endpoint.json").write_text(json.dumps({"address": f"unix:{trap}"}))
        if name not in {"", "endpoint.json"}:
            (folder / "endpoint.json").unlink()
            (folder / name).touch()
        os.chown(folder / name, SOMEBODY, SOMEBODY)
        assert str(SOMEBODY) in await refused(folder)
    assert told == []


@as_root
def test_a_folder_of_root_is_a_services(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    source = """
        import os, sys
        from pathlib import Path
        import lastgood.own_files as own
        os.setuid(4711)
        own.check_own_folder(Path("/"))
    """
    done = run_script(source)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["daemon.lock"])
def test_a_daemon_does_not_follow_either(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(tmp_path / "victim")
    with pytest.raises(FolderRefusedError, match="symbolic link"):
        DataFolder(folder)
    with pytest.raises(FolderRefusedError, match="symbolic link"), locked(folder):
        pass
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(FolderRefusedError, match="not a regular file"):
        DataFolder(folder)
    assert not (tmp_path / "victim").exists()


@as_root
def test_verify_leaves_nothing_in_a_foreign_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, SOMEBODY, SOMEBODY)
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []
