"""The SQLite store when things go wrong: damage is named, and without room nothing is half written."""

from pathlib import Path

import pytest
from tests.store.files import DONE, EMPTY, ONE, SNAPSHOT, TWO, append, limit_pages, opened, put, rows, tamper

from lastgood_daemon.store.protocol import (
    CorruptRecordError,
    Damaged,
    Head,
    LogId,
    Record,
    RecordKey,
    StoreBrokenError,
    StoreFullError,
    Unit,
)
from lastgood_daemon.store.sqlite import DamagedFileError, SqliteStore


async def test_a_flipped_bit_in_a_record_is_noticed_by_name(path: Path) -> None:
    other = RecordKey("snapshot", "wf/2", "a")
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(SNAPSHOT, b"precious content"), put(other, b"whatever")])])
    content = bytearray(path.read_bytes())
    content[content.index(b"precious")] ^= 0x10
    path.write_bytes(content)
    async with opened(path) as store:
        problem = "the record kind='snapshot' owner='wf/1' key='a' does not match its checksum"
        for read in (store.record(SNAPSHOT), store.records("snapshot", "wf/1")):
            with pytest.raises(CorruptRecordError, match=problem):
                await read
        listed = await store.list_records("snapshot", "", 9)
        assert listed == [Damaged(SNAPSHOT, problem), Record(other, b"whatever", 1)], "it hides no other"
        assert await store.record(other) == Record(other, b"whatever", 1)


@pytest.mark.parametrize("change", ["key = 'b'", "owner = 'x'", "kind = 'x'", "version = 2", "updated_at = 1"])
async def test_the_checksum_covers_more_than_the_value(path: Path, change: str) -> None:
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(SNAPSHOT, b"v")])])
        tamper(path, f"UPDATE records SET {change}")  # noqa: S608
        (listed,) = await store.list_records("x" if "kind" in change else "snapshot", "", 9)
        assert isinstance(listed, Damaged)


async def test_without_room_nothing_is_written_and_it_goes_on_when_there_is(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3)], [put(SNAPSHOT, b"v")])])
        await limit_pages(store, 3)
        with pytest.raises(StoreFullError):
            await store.commit([Unit([append(TWO, 1, 1)]), Unit([append(ONE, 4, 5, size=100_000)])])
        assert await store.head(TWO) == EMPTY
        assert await store.read_log(ONE, 0, 10) == rows(1, 3)
        assert await store.commit([Unit([append(TWO, 1, 1)])]) == [DONE], "what is small enough still fits"
        await limit_pages(store, 10_000)
        assert await store.commit([Unit([append(ONE, 4, 5, size=100_000)], [put(SNAPSHOT, b"w", 1)])]) == [DONE]
    async with opened(path) as store:
        assert await store.read_log(ONE, 0, 10) == [*rows(1, 3), *rows(4, 5, size=100_000)]
        assert await store.head(TWO) == Head(1, b"chain 1")
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"w", 2)


async def test_a_store_that_contradicts_itself_is_broken_for_good(path: Path) -> None:
    store = SqliteStore.open(path)
    await store.commit([Unit([append(ONE, 1, 3)])])
    tamper(path, "UPDATE logs SET head = 0")
    with pytest.raises(StoreBrokenError):
        await store.commit([Unit([append(TWO, 1, 1)]), Unit([append(ONE, 1, 1)])])
    for call in (
        store.commit([]),
        store.expire("k", 0),
        store.head(ONE),
        store.read_log(ONE, 0, 1),
        store.record(SNAPSHOT),
        store.records("k", "o"),
        store.list_records("k", "", 1),
        store.give_back(),
    ):
        with pytest.raises(StoreBrokenError, match="ConstraintError"):
            await call
    await store.close()
    async with opened(path) as again:
        assert await again.head(TWO) == EMPTY, "the transaction was rolled back"


async def test_a_value_that_cannot_be_stored_does_no_harm(path: Path) -> None:
    async with opened(path) as store:
        with pytest.raises(UnicodeEncodeError):
            await store.commit([Unit([append(TWO, 1, 1)]), Unit([append(LogId("\ud800", 1), 1, 1)])])
        assert await store.head(TWO) == EMPTY
        assert await store.commit([Unit([append(TWO, 1, 1)])]) == [DONE]


async def test_a_damaged_file_is_not_opened(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 1000)])])
    content = bytearray(path.read_bytes())
    content[200:4096] = bytes(4096 - 200)  # the schema
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="malformed"):
        SqliteStore.open(path)


@pytest.mark.parametrize("page", [3, 4], ids=["meta", "the index of meta"])
async def test_a_file_that_cannot_say_which_it_is_is_named_with_what_to_do(path: Path, page: int) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 1000)])])
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError) as failure:
        SqliteStore.open(path)
    assert str(failure.value).startswith(f"{path} is damaged: ")
    assert "lastgood serve --data-dir BACKUP" in str(failure.value)
