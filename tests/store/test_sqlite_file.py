"""The file of the SQLite store: its settings, whose it is, how large, and which files are refused."""

import contextlib
import random
from pathlib import Path

import pytest
from tests.store.files import DONE, ONE, SNAPSHOT, TWO, append, opened, pragma, put, rows, tamper

from lastgood_daemon.store.protocol import (
    Append,
    LogRow,
    Unit,
)
from lastgood_daemon.store.sqlite import ForeignFileError, FutureFormatError, SqliteStore, UnsafeSqliteError
from lastgood_daemon.store.sqlite.connection import check_library


async def test_what_is_free_goes_back_to_the_disk_piece_by_piece(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 40, size=100_000)])])
        await store.commit([Unit([append(TWO, 1, 3)])])
        assert await store.give_back() == 0, "nothing is free"
        await store.commit([Unit(drops=[ONE])])
        given = []
        while piece := await store.give_back():
            given.append(piece)
            assert await store.read_log(TWO, 0, 10) == rows(1, 3)
        assert sum(given) > 3_900_000
        assert max(given) == 256 * 4096
        assert await store.commit([Unit([append(TWO, 4, 5)])]) == [DONE]
    assert path.stat().st_size < 200_000
    async with opened(path) as store:
        assert await store.read_log(TWO, 0, 10) == rows(1, 5)


@pytest.mark.parametrize("table", ["records", "logs"])
async def test_time_goes_on_from_what_is_in_the_file(path: Path, table: str) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 1)], [put(SNAPSHOT, b"")])])
        future = store.now() + 10**12
    tamper(path, f"UPDATE {table} SET updated_at = {future}")  # noqa: S608
    async with opened(path) as store:
        assert future < store.now() < future + 60e6


async def test_every_setting_is_in_force(path: Path) -> None:
    async with opened(path) as store:
        wanted = {"page_size": 4096, "auto_vacuum": 2, "journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000}
        wanted |= {"locking_mode": "normal", "user_version": 2, "application_id": 0x4C474F44, "query_only": 0}
        assert {name: await pragma(store, "_writer", name) for name in wanted} == wanted
        assert await pragma(store, "_reader", "query_only") == 1


async def test_the_files_are_for_their_owner_only(path: Path) -> None:
    path.touch(0o644)
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 1)])])
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(("lastgood.db", "lastgood.db-wal", "lastgood.db-shm", "lastgood.db-id"), 0o600)


async def test_the_wal_does_not_grow_without_bounds(path: Path) -> None:
    async with opened(path) as store:
        for revision in range(1, 101):
            await store.commit([Unit([Append(ONE, revision - 1, [LogRow(revision, random.randbytes(500_000), b"")])])])
        assert path.with_name("lastgood.db-wal").stat().st_size < 16 << 20  # of 50 MB written


async def test_a_file_from_the_future_is_refused_and_untouched(path: Path) -> None:
    async with opened(path):
        pass
    tamper(path, "PRAGMA user_version = 7")
    before = path.read_bytes()
    with pytest.raises(FutureFormatError, match=r"format version 7.* up to 2.*[Uu]pgrade the daemon") as caught:
        SqliteStore.open(path)
    assert (caught.value.found, caught.value.known) == (7, 2)
    assert path.read_bytes() == before


async def test_foreign_files_are_refused_and_untouched(path: Path) -> None:
    texts = [b"hello", b"not a database. " * 1000]
    for text in texts:
        path.write_bytes(text)
        with pytest.raises(ForeignFileError, match="not a SQLite file"):
            SqliteStore.open(path)
        assert path.read_bytes() == text
    path.unlink()
    tamper(path, "CREATE TABLE somebody_elses (x)")
    before = path.read_bytes()
    with pytest.raises(ForeignFileError, match="application_id 0"):
        SqliteStore.open(path)
    assert path.read_bytes() == before
    path.unlink()
    path.mkdir()
    with pytest.raises(ForeignFileError, match="not a regular file"):
        SqliteStore.open(path)


@pytest.mark.parametrize(("number", "safe"), [(3007000, False), (3051002, False), (3051003, True), (3006999, True)])
def test_a_library_that_loses_commits_is_refused(number: int, safe: bool) -> None:
    with contextlib.nullcontext() if safe else pytest.raises(UnsafeSqliteError, match="pip install -U apsw"):
        check_library(number)
