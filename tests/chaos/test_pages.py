"""A page of a closed store is damaged. What lies on it is refused, the other states are served, and the daemon stays up.

Excepted are the pages that are about the whole file: the first one, and the roots of the trees, without which nothing can be
found. Where the page is damaged that all writes have to go through, they are refused, and reads go on.
"""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.chaos import sizes
from tests.support.daemons import DaemonProcess
from tests.support.fixtures import own_surroundings

import lastgood

pytestmark = pytest.mark.slow

__all__ = ["own_surroundings"]

STATES = 40
REVISIONS = 6
PAGE = 4096
MOST = sizes.of(4, 1000)
"""Pages that are damaged, of each kind of damage."""


class Filled(NamedTuple):
    """A store of many states, and the pages below the roots of its trees."""

    content: bytes
    pages: list[int]
    said: dict[str, object]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("filled") / "data"
    daemon = DaemonProcess(folder, forked=True).start()

    async def fill() -> dict[str, object]:
        async with lastgood.connect(daemon.address, timeout=30.0) as client:
            said: dict[str, object] = {}
            await client.set_retention(lastgood.Retention(revisions=2))
            for index in range(STATES):
                state = client.state(f"state-{index:03}")
                for revision in range(REVISIONS):
                    await state.set("text", f"{index} {revision} " + "x" * 700)
                await state.snapshot("kept")
                said[state.state_id] = await state.to_dict()
            return said

    try:
        said = asyncio.run(fill())
        assert daemon.stop() == 0
    finally:
        daemon.close()
    file = folder / "lastgood.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        roots = {1, *(root for (root,) in connection.execute("SELECT rootpage FROM sqlite_schema"))}
    content = file.read_bytes()
    return Filled(content, [page for page in range(1, len(content) // PAGE + 1) if page not in roots], said)


def damaged(content: bytes, page: int, kind: str) -> bytes:
    begin, end = (page - 1) * PAGE, page * PAGE
    other = bytes(PAGE) if kind == "zeroed" else random.Random(page).randbytes(PAGE)
    return content[:begin] + other + content[end:]


def pages(filled: Filled) -> Iterator[int]:
    """Some of the pages, evenly; the last one, too."""
    step = max(1, len(filled.pages) // MOST)
    yield from sorted({*filled.pages[::step], filled.pages[-1]})


@pytest.mark.parametrize("kind", ["zeroed", "random"])
def test_a_damaged_page_touches_what_lies_on_it_and_nothing_else(filled: Filled, tmp_path: Path, kind: str) -> None:
    touched: dict[int, tuple[int, int]] = {}
    for page in pages(filled):
        folder = tmp_path / f"{kind}-{page}"
        folder.mkdir(mode=0o700)
        (folder / "lastgood.db").write_bytes(damaged(filled.content, page, kind))
        for _ in range(2):  # it starts again on the same file
            daemon = DaemonProcess(folder, forked=True).start()
            try:
                touched[page] = asyncio.run(look(daemon, filled))
                assert daemon.process.poll() is None, daemon.log.read_text()
                assert daemon.stop() == 0, daemon.log.read_text()
            finally:
                daemon.close()
    assert sum(reads for reads, _ in touched.values()) < len(touched) * STATES / 4
    assert any(reads for reads, _ in touched.values()), "no damage was met"
    assert sum(writes > 0 for _, writes in touched.values()) <= len(touched) / 4 + 1


async def look(daemon: DaemonProcess, filled: Filled) -> tuple[int, int]:
    """Read and write every state; return how many could not be read, and how many of the others not be written."""
    unreadable = unwritable = 0
    async with lastgood.connect(daemon.address, timeout=30.0) as client:
        for state_id, content in filled.said.items():
            state = client.state(state_id)
            try:
                found = await state.get("text")
            except lastgood.CorruptDataError as error:
                unreadable += state_id in str(error)
                continue
            assert {"text": found} == content
            try:
                await state.set("note", 1)
            except lastgood.CorruptDataError:
                unwritable += 1
            else:
                assert await state.get("note") == 1
        new = client.state("state-new")
        try:
            await new.set("a", 1)
        except lastgood.CorruptDataError:
            unwritable += 1
    return unreadable, unwritable


@pytest.mark.parametrize("kind", ["zeroed", "random"])
def test_maintenance_goes_on_around_a_damaged_page(filled: Filled, tmp_path: Path, kind: str) -> None:
    told = 0
    for page in list(pages(filled))[1:]:
        folder = tmp_path / f"{kind}-{page}"
        folder.mkdir(mode=0o700)
        (folder / "lastgood.db").write_bytes(damaged(filled.content, page, kind))
        daemon = DaemonProcess(folder, forked=True).start()
        try:
            told += asyncio.run(maintain(daemon, filled, tmp_path / f"backup-{kind}-{page}"))
            assert daemon.process.poll() is None, daemon.log.read_text()
            assert daemon.stop() == 0, daemon.log.read_text()
        finally:
            daemon.close()
    assert told, "no damage was met"


async def maintain(daemon: DaemonProcess, filled: Filled, backup: Path) -> int:
    """Do what goes through the whole store; return how many problems ``verify`` names."""
    async with lastgood.connect(daemon.address, timeout=30.0) as client:
        compacted = await client.compact()
        assert compacted.damaged or compacted.states
        exported = 0
        for state_id in filled.said:
            try:
                lines = [line async for line in client.export_state(state_id)]
            except lastgood.CorruptDataError:
                continue
            exported += bool(lines)
        assert exported
        with suppress(lastgood.CorruptDataError):
            await client.backup(backup)
        verified = await client.verify()
        new = client.state("state-after")
        try:
            await new.set("a", 1)
        except lastgood.CorruptDataError:
            pass
        else:
            assert await new.get("a") == 1
        return len(verified.problems)
