"""Copying a SQLite store while it is written, and reading it aside."""

import asyncio
import contextlib
import os
from pathlib import Path

import apsw
import pytest
from tests.store.files import DONE, ONE, SNAPSHOT, TWO, append, limit_pages, opened, put, rows, tamper
from tests.support.waiting import until

from lastgood_daemon.store.protocol import (
    Append,
    BackupEndedError,
    BackupRefusedError,
    DamagedPageError,
    Head,
    LogId,
    LogRow,
    RecordKey,
    StoreFullError,
    Unit,
)
from lastgood_daemon.store.sqlite import ForeignFileError, SqliteStore, resting

BIG = LogId("big", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    return tmp_path / "live" / "lastgood.db"


async def write_on(store: SqliteStore, written: list[int]) -> None:
    while True:
        revision = len(written) + 1
        row = LogRow(revision, os.urandom(3000), b"chain")
        assert await store.commit([Unit([Append(ONE, revision - 1, [row])])]) == [DONE]
        written.append(revision)


async def test_the_copy_is_of_one_moment_and_the_log_of_the_live_one_stays_short(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        for revision in range(1, 41):
            await store.commit([Unit([Append(BIG, revision - 1, [LogRow(revision, os.urandom(1_000_000), b"chain")])])])
        written: list[int] = []
        writing = asyncio.create_task(write_on(store, written))
        size = await store.backup(tmp_path / "backup")
        during = len(written)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        assert during > 20, "commits went on"
        wal = path.with_name("lastgood.db-wal").stat().st_size
        assert wal < 16_000_000 < size, "no read was left open, which would keep it growing"
        daemon_id, live = store.daemon_id, store.copy_id
    async with opened(tmp_path / "backup" / "lastgood.db") as copy:
        head = await copy.head(ONE)
        assert head.revision <= during + 1
        found = await copy.read_log(ONE, 0, 100_000)
        assert [row.revision for row in found] == list(range(1, len(found) + 1))
        assert (await copy.head(BIG)).revision == 40
        assert await copy.check() == []
        assert copy.daemon_id == daemon_id == live
        assert copy.copy_id != daemon_id
        await copy.backup(tmp_path / "backup of the backup")
        copy_id = copy.copy_id
    async with opened(tmp_path / "backup of the backup" / "lastgood.db") as again:
        assert again.daemon_id == daemon_id
        assert again.copy_id not in {daemon_id, copy_id}


async def test_the_copy_has_the_settings_of_the_file(path: Path, tmp_path: Path) -> None:
    names = ("auto_vacuum", "page_size", "application_id", "user_version", "encoding", "journal_mode")

    def settings(file: Path) -> list[object]:
        with contextlib.closing(apsw.Connection(str(file))) as connection:
            return [connection.execute(f"PRAGMA {name}").fetchall() for name in names]

    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3)])])
        await store.backup(tmp_path / "backup")
    assert settings(tmp_path / "backup" / "lastgood.db") == settings(path)


async def test_what_fails_where_the_backup_is_to_be_leaves_the_store_alone(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3)])])
        with pytest.raises(BackupRefusedError, match="not an absolute path"):
            await store.backup(Path("backup"))
        with pytest.raises(BackupRefusedError, match="null byte"):
            await store.backup(tmp_path / "a\0b")
        (tmp_path / "file").touch()
        with pytest.raises(BackupRefusedError, match="exists already"):
            await store.backup(tmp_path / "file")
        assert await store.commit([Unit([append(ONE, 4, 4)])]) == [DONE]


async def test_a_commit_that_is_rolled_back_does_not_spoil_it(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(BIG, 1, 2000, 4000)])])
        copying = asyncio.create_task(store.backup(tmp_path / "backup"))
        await until(lambda: list(tmp_path.glob(".backup.*/lastgood.db")))
        await limit_pages(store, 3)
        with pytest.raises(StoreFullError):
            await store.commit([Unit([append(TWO, 1, 2000, 4000)])])
        await limit_pages(store, 10_000)
        await copying
    async with opened(tmp_path / "backup" / "lastgood.db") as copy:
        assert await copy.check() == []
        assert (await copy.head(BIG)).revision == 2000
        assert await copy.head(TWO) == Head(0, b"")


async def test_closing_ends_a_backup_and_leaves_nothing_of_it(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(BIG, 1, 5000, 4000)])])
        copying = asyncio.create_task(store.backup(tmp_path / "backup"))
        waiting = asyncio.create_task(store.backup(tmp_path / "another"))
        await until(lambda: list(tmp_path.glob(".backup.*/lastgood.db")))
    for task in (copying, waiting):
        with pytest.raises(BackupEndedError, match="nothing is left"):
            await task
    assert [each.name for each in tmp_path.iterdir()] == ["live"]
    assert {each.name for each in path.parent.iterdir()} == {"lastgood.db", "lastgood.db-id"}


# Aside.


async def test_what_is_read_aside_is_what_is_there(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3), append(TWO, 1, 2)], [put(SNAPSHOT, b"v")])])
        await store.commit([Unit(writes=[put(RecordKey("effect", "w", "1"), b"x")])])
        async with store.aside() as reading:
            await store.commit([Unit([append(LogId("wf/1", 2), 1, 1)])])
            assert await reading.kinds() == ["effect", "snapshot", "timeline"]
            one, again, two = (ONE, Head(3, b"chain 3")), (LogId("wf/1", 2), Head(1, b"chain 1")), (TWO, Head(2, b"chain 2"))
            assert await reading.list_logs(None, 9) == [one, again, two]
            assert await reading.list_logs(None, 1) == [one]
            assert await reading.list_logs(ONE, 9) == [again, two]
            assert await reading.list_logs(TWO, 9) == []
            assert await reading.read_log(ONE, 1, 9) == rows(2, 3)
            assert await reading.check() == []


async def test_rows_without_a_log_are_found(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3), append(TWO, 1, 3)])])
        tamper(path, "DELETE FROM logs WHERE state_id = 'wf_1'")
        assert await store.check() == ["there are revisions of log number 2, and no such log"]


async def test_what_breaks_aside_breaks_nothing_else(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3, 1000)])])
        await store.commit([Unit([append(BIG, 1, 300, 100)])])
    content = path.read_bytes()
    row = rows(2, 2, 1000)[0].entry[:16]
    at = next(n for n in range(0, len(content), 4096) if content[n] == 13 and row in content[n : n + 4096])
    path.write_bytes(content[:at] + b"\xff" * 16 + content[at + 16 :])
    async with opened(path) as store, store.aside() as reading:
        for _ in range(2):
            with pytest.raises(DamagedPageError, match=r"wf/1.*malformed"):
                await reading.read_log(ONE, 0, 9)
            assert (await reading.head(ONE)).revision == 3
        assert await store.commit([Unit([append(BIG, 301, 301)])]) == [DONE]


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
async def test_aside_opens_nothing_else(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ForeignFileError):
        async with resting(path):
            pass
    assert [each.read_bytes() for each in path.parent.iterdir()] == ([] if content is None else [content])
