"""The SQLite store on real files: what it keeps, what it refuses, and what it does when there is no room."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.store.files import DONE, EMPTY, ONE, SNAPSHOT, TWO, append, opened, put, rows

from lastgood_daemon.store.protocol import (
    Append,
    Committed,
    Head,
    LogId,
    LogRow,
    Moved,
    Record,
    RecordKey,
    RecordWrite,
    Store,
    StoreBrokenError,
    Unit,
)
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_daemon.store.sqlite.errors import LostWritesError
from lastgood_daemon.store.sqlite.marks import mark_of

# What is written is there


async def test_it_is_a_store(path: Path) -> None:
    store: Store = SqliteStore.open(path)
    await store.close()


async def test_what_was_committed_is_there_after_reopening(path: Path) -> None:
    async with opened(path) as store:
        assert await store.commit([Unit([append(ONE, 1, 3)], [put(SNAPSHOT, b"\x00v")])]) == [DONE]
        assert await store.read_log(ONE, 0, 100) == rows(1, 3)
        daemon_id = store.daemon_id
    assert {file.name for file in path.parent.iterdir()} == {"lastgood.db", "lastgood.db-id"}, "closing leaves no WAL behind"
    async with opened(path) as store:
        assert store.daemon_id == daemon_id
        assert await store.read_log(ONE, 0, 100) == rows(1, 3)
        assert await store.head(ONE) == Head(3, b"chain 3")
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"\x00v", 1)
        assert await store.commit([Unit([append(ONE, 4, 4)])]) == [DONE]


async def test_what_was_committed_is_there_without_a_close(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 3)])])
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for file in list(tmp_path.glob("lastgood.db*")):  # as a kill -9 leaves them
            (crashed / file.name).write_bytes(file.read_bytes())
        async with opened(crashed / "lastgood.db") as found:
            assert await found.head(ONE) == Head(3, b"chain 3")


async def test_what_was_never_written_is_empty(path: Path) -> None:
    async with opened(path) as store:
        assert await store.head(ONE) == EMPTY
        assert await store.read_log(ONE, 0, 10) == []
        assert await store.record(SNAPSHOT) is None
        assert await store.records("snapshot", "wf/1") == []
        assert await store.commit([]) == []


async def test_two_files_have_two_identities(path: Path) -> None:
    async with opened(path) as one, opened(path.with_name("other.db")) as two:
        assert one.daemon_id != two.daemon_id


# Logs


async def test_names_and_lives_that_look_alike_are_different_logs(path: Path) -> None:
    logs = [LogId("wf/1", 1), LogId("wf_1", 1), LogId("../x", 1), LogId("WF/1", 1), LogId("wf/1", 2), LogId("é", 1)]
    async with opened(path) as store:
        for length, log in enumerate(logs, 1):
            assert await store.commit([Unit([append(log, 1, length)])]) == [DONE]
        assert [(await store.head(log)).revision for log in logs] == [1, 2, 3, 4, 5, 6]
        assert [len(await store.read_log(log, 0, 100)) for log in logs] == [1, 2, 3, 4, 5, 6]


async def test_a_log_is_read_in_pages(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 10), append(TWO, 1, 3)])])
        assert await store.read_log(ONE, 0, 4) == rows(1, 4)
        assert await store.read_log(ONE, 4, 100) == rows(5, 10)
        assert await store.read_log(ONE, 10, 100) == []
        assert await store.read_log(ONE, 0, 0) == []


async def test_a_page_of_a_log_is_bounded_in_bytes_but_never_empty(path: Path) -> None:
    big = [LogRow(n, bytes(size), b"") for n, size in enumerate([1 << 20, 1 << 20, 3 << 20, 5 << 20, 1], 1)]
    async with opened(path) as store:
        await store.commit([Unit([Append(ONE, 0, big)])])
        found: list[LogRow] = []
        sizes = []
        while page := await store.read_log(ONE, len(found), 100):
            found += page
            sizes.append([row.revision for row in page])
        assert found == big
        assert sizes == [[1, 2], [3], [4], [5]]


async def test_a_dropped_log_is_gone_and_leaves_the_others(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 5), append(TWO, 1, 2)])])
        assert await store.commit([Unit([append(ONE, 6, 6)], [put(SNAPSHOT, b"tombstone")], [ONE])]) == [DONE]
        assert await store.head(ONE) == EMPTY
        assert await store.read_log(ONE, 0, 10) == []
        assert await store.read_log(TWO, 0, 10) == rows(1, 2)
        assert await store.commit([Unit([append(ONE._replace(incarnation=2), 1, 1)])]) == [DONE]
        assert await store.read_log(ONE, 0, 10) == []
    with contextlib.closing(apsw.Connection(str(path))) as other:
        assert other.execute("SELECT count(*) FROM changes").fetchall() == [(3,)], "the rows are gone from the file"


async def test_a_log_may_be_dropped_and_begun_again_in_one_commit(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 5)])])
        units = [Unit([append(ONE, 6, 7)]), Unit(drops=[ONE]), Unit([append(ONE, 1, 2)])]
        assert await store.commit(units) == [DONE] * 3
        assert await store.read_log(ONE, 0, 10) == rows(1, 2)
        assert await store.head(ONE) == Head(2, b"chain 2")


async def test_an_append_with_a_gap_is_a_mistake_and_writes_nothing(path: Path) -> None:
    async with opened(path) as store:
        with pytest.raises(ValueError, match="revision 3 where 2 belongs"):
            await store.commit([Unit([append(TWO, 1, 1)]), Unit([Append(ONE, 0, [*rows(1, 1), *rows(3, 3)])])])
        assert await store.head(TWO) == EMPTY
        assert await store.commit([Unit([append(TWO, 1, 1)])]) == [DONE]


async def test_an_append_without_rows_only_expects(path: Path) -> None:
    async with opened(path) as store:
        assert await store.commit([Unit([Append(ONE, 0, [])], [put(SNAPSHOT, b"v")])]) == [DONE]
        (outcome,) = await store.commit([Unit([Append(ONE, 1, [])], [put(SNAPSHOT, b"w", 1)])])
        assert isinstance(outcome, Moved)
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"v", 1)


# All of a unit or nothing


def moved_by_a_head() -> Unit:
    return Unit([append(TWO, 1, 1), append(ONE, 2, 2)], [put(SNAPSHOT, b"no", 1)], [LogId("kept", 1)])


def moved_by_a_record() -> Unit:
    return Unit([append(TWO, 1, 1)], [put(RecordKey("k", "o", "new"), b"no"), put(SNAPSHOT, b"no")], [LogId("kept", 1)])


@pytest.mark.parametrize("unit", [moved_by_a_head, moved_by_a_record])
async def test_a_moved_unit_writes_none_of_itself_and_leaves_the_others(path: Path, unit: Callable[[], Unit]) -> None:
    kept = LogId("kept", 1)
    before = LogId("before", 1)
    new = RecordKey("k", "o", "new")
    after = Unit([append(TWO, 1, 2, size=5)], [put(new, b"yes")])  # on what the moved one would have written, too
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 4), append(kept, 1, 1)], [put(SNAPSHOT, b"yes")])])
        outcomes = await store.commit([Unit([append(before, 1, 1)]), unit(), after])
        assert [type(outcome) for outcome in outcomes] == [Committed, Moved, Committed]
    async with opened(path) as store:
        assert await store.read_log(ONE, 0, 10) == rows(1, 4)
        assert await store.read_log(TWO, 0, 10) == rows(1, 2, size=5)
        assert await store.head(kept) == Head(1, b"chain 1")
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"yes", 1)
        assert await store.record(new) == Record(new, b"yes", 1)
        assert await store.head(before) == Head(1, b"chain 1")


async def test_a_moved_outcome_says_what_moved(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit([append(ONE, 1, 4)], [put(SNAPSHOT, b"v")])])
        head, version = await store.commit([Unit([append(ONE, 2, 2)]), Unit(writes=[put(SNAPSHOT, b"w", 7)])])
        assert isinstance(head, Moved)
        assert "wf/1" in head.what
        assert "ends at 4, not at 1" in head.what
        assert isinstance(version, Moved)
        assert "version 1, not 7" in version.what


async def test_a_unit_may_build_on_those_before_it_but_not_on_a_moved_one(path: Path) -> None:
    async with opened(path) as store:
        outcomes = await store.commit(
            [
                Unit([append(ONE, 1, 2)], [put(SNAPSHOT, b"1")]),
                Unit([append(ONE, 2, 3)], [put(SNAPSHOT, b"moved", 1)]),
                Unit([append(ONE, 3, 4), append(ONE, 5, 5)], [put(SNAPSHOT, b"2", 1), put(SNAPSHOT, b"3", 2)]),
                Unit(writes=[put(SNAPSHOT, b"moved", 1)]),
            ]
        )
        assert [type(outcome) for outcome in outcomes] == [Committed, Moved, Committed, Moved]
        assert await store.read_log(ONE, 0, 10) == rows(1, 5)
        assert await store.head(ONE) == Head(5, b"chain 5")
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"3", 3)


# Records


async def test_the_version_of_a_record_counts_its_writes_and_guards_them(path: Path) -> None:
    async with opened(path) as store:
        for version in range(3):
            assert await store.commit([Unit(writes=[put(SNAPSHOT, b"%d" % version, version)])]) == [DONE]
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"2", 3)
        for wrong in (0, 2, 4):
            (outcome,) = await store.commit([Unit(writes=[put(SNAPSHOT, b"no", wrong)])])
            assert isinstance(outcome, Moved)
        (outcome,) = await store.commit([Unit(writes=[RecordWrite(SNAPSHOT, None, 2)])])
        assert isinstance(outcome, Moved)
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"2", 3)
        assert await store.commit([Unit(writes=[RecordWrite(SNAPSHOT, None, 3)])]) == [DONE]
        assert await store.record(SNAPSHOT) is None
        assert await store.commit([Unit(writes=[RecordWrite(SNAPSHOT, None, 0)])]) == [DONE]
        assert await store.commit([Unit(writes=[put(SNAPSHOT, b"", 0)])]) == [DONE]
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"", 1)


async def test_a_record_may_be_deleted_and_made_again_in_one_commit(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(SNAPSHOT, b"1")])])
        again = [RecordWrite(SNAPSHOT, None, 1), put(SNAPSHOT, b"2", 0)]
        assert await store.commit([Unit(writes=again)]) == [DONE]
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"2", 1)
        assert await store.commit([Unit(writes=again[:1]), Unit(writes=again[1:])]) == [DONE] * 2
        assert await store.record(SNAPSHOT) == Record(SNAPSHOT, b"2", 1)


async def test_records_of_an_owner_come_by_key_and_without_the_neighbours(path: Path) -> None:
    keys = [RecordKey(kind, owner, key) for kind in ("k", "kk") for owner in ("a", "a\x00", "b") for key in ("2", "10", "é")]
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(key, repr(key).encode()) for key in keys])])
        found = await store.records("k", "a")
        assert [record.key.key for record in found] == ["10", "2", "é"]
        assert all(record.value == repr(record.key).encode() for record in found)
        assert {record.key for record in found} == {key for key in keys if key[:2] == ("k", "a")}


async def test_listing_by_owner_loses_nothing_between_pages(path: Path) -> None:
    owners = ["", "A", "a", "b/1", "b_1", "z", "é", "\uffff", "\U0001f600"]  # by code point; utf-16 would differ
    keys = [RecordKey("k", owner, str(n)) for n, owner in enumerate(owners) for n in range(n % 3 + 1)]
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(key, b"") for key in reversed(keys)])])
        await store.commit([Unit(writes=[put(RecordKey("j", "x", ""), b""), put(RecordKey("l", "x", ""), b"")])])
        for limit in (1, 2, 3, 100):
            found = [record.key for record in await store.records("k", "")]  # nothing is above no owner but these
            while page := await store.list_records("k", found[-1].owner, limit):
                assert len(page) < limit + 3
                found += [record.key for record in page]
            assert found == keys
        assert await store.list_records("k", "", 0) == []
        assert await store.list_records("none", "", 10) == []


async def test_expire_takes_the_owners_of_one_kind_of_whom_all_is_old(path: Path) -> None:
    old, older = RecordKey("s", "old", ""), RecordKey("s", "old", "part")
    new, part = RecordKey("s", "new", ""), RecordKey("s", "new", "part")
    other = RecordKey("t", "old", "")
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(key, b"") for key in (old, older, new, part, other)])])
        between = store.now() + 1
        while store.now() < between:
            pass  # a microsecond
        await store.commit([Unit(writes=[put(new, b"touched", 1)])])
        assert await store.expire("s", between) == 1
        assert await store.expire("s", between) == 0
        assert await store.records("s", "old") == []
        assert await store.records("s", "new") == [Record(new, b"touched", 2), Record(part, b"", 1)]
        assert await store.record(other) == Record(other, b"", 1)


# Time


async def test_time_is_the_clocks_and_never_goes_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as store:
        before = store.now()
        assert abs(before - time.time() * 1e6) < 60e6
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        store.beat()
        assert before < store.now() < before + 60e6


# Order and end


async def test_reads_and_commits_at_once(path: Path) -> None:
    async with opened(path) as store:

        async def write() -> None:
            for revision in range(1, 101):
                assert await store.commit([Unit([append(ONE, revision, revision)])]) == [DONE]
                assert (await store.head(ONE)).revision == revision, "a read after a commit sees it"

        async def read() -> None:
            found: list[LogRow] = []
            while len(found) < 100:
                found += await store.read_log(ONE, len(found), 7)
            assert found == rows(1, 100)

        await asyncio.gather(write(), *(read() for _ in range(5)))


async def test_closing_finishes_what_is_under_way(path: Path) -> None:
    store = SqliteStore.open(path)
    commits = [asyncio.ensure_future(store.commit([Unit([append(ONE, n, n)])])) for n in range(1, 21)]
    await asyncio.sleep(0)  # each has enqueued its work
    await asyncio.gather(store.close(), store.close())
    assert await asyncio.gather(*commits) == [[DONE]] * 20
    with pytest.raises(StoreBrokenError, match="closed"):
        await store.head(ONE)
    async with opened(path) as again:
        assert (await again.head(ONE)).revision == 20


@pytest.mark.parametrize("way", ["deleted", "expired"])
async def test_nothing_is_missed_where_the_latest_writes_were_undone_again(path: Path, way: str) -> None:
    """The latest time in the file is then an earlier one."""
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(SNAPSHOT, b"1")])])
        if way == "deleted":
            await store.commit([Unit(writes=[RecordWrite(SNAPSHOT, None, 1)])])
        else:
            assert await store.expire(SNAPSHOT.kind, store.now() + 1) == 1
    async with opened(path) as store:
        assert await store.record(SNAPSHOT) is None


async def test_what_was_acknowledged_is_missed_where_it_is_not_there(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([Unit(writes=[put(SNAPSHOT, b"1")])])
        before = path.read_bytes()
    path.write_bytes(before)
    with pytest.raises(LostWritesError, match="they went on to"):
        SqliteStore.open(path)
    assert {file.name for file in path.parent.iterdir()} == {"lastgood.db", "lastgood.db-id"}
    mark_of(path).unlink()
    async with opened(path) as store:
        assert await store.record(SNAPSHOT) is None, "it was in the WAL"
