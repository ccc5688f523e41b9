"""The index of places comes about by itself, in the background; and a history costs what it lists, not what the log has."""

import random
from collections.abc import Sequence
from operator import methodcaller
from pathlib import Path

import apsw
import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority import history as histories
from lastgood_daemon.authority import indexing
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import ChainedRow, CorruptRecordError, LogId, LogRow, StoreFullError
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_daemon.store.upkeep import Place
from lastgood_proto.values import encode

LOG = LogId("s", 1)
KEYS = 10


async def write(daemon: Daemon, first: int, last: int, keys: int = KEYS) -> None:
    """Make revisions: each writes its number into one of the keys."""
    answers = [
        daemon.ask(Write(StateRef("s"), Author(), Precondition(), (("set", Set((f"k{n % keys}", "x"), encode(n))),), 1))
        for n in range(first, last + 1)
    ]
    for answer in answers:
        assert isinstance(await answer, Written)


async def listed(daemon: Daemon, limit: int = 3, path: tuple[str, ...] = ("k1",)) -> list[int]:
    state = await daemon.authority.ask(lambda reader: reader.state("s"))
    found: list[int] = []
    async for item in daemon.authority.history(state, HistoryQuestion(path, 0, None, newest_first=True, limit=limit)):
        found.append(item.revision)
        if len(found) == limit:
            break
    return found


class Rows:
    """Counts what is read of a log."""

    def __init__(self, store: SqliteStore) -> None:
        self.read = 0
        self._read_log, self._read_revisions = store.read_log, store.read_revisions
        store.read_log = self._log  # type: ignore[method-assign]
        store.read_revisions = self._revisions  # type: ignore[method-assign]

    async def _log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        rows = await self._read_log(log, after, limit)
        self.read += len(rows)
        return rows

    async def _revisions(self, log: LogId, revisions: Sequence[int]) -> list[ChainedRow]:
        rows = await self._read_revisions(log, revisions)
        self.read += len(rows)
        return rows


async def test_a_log_is_indexed_whenever_it_has_grown_by_a_thousand(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 999)
        await daemon.authority.background.idle()
        assert await daemon.store.indexed(LOG) == 0, "a short one is read"
        await write(daemon, 1000, 1000)
        await daemon.authority.background.idle()
        assert await daemon.store.indexed(LOG) == 1000
        await write(daemon, 1001, 3500)
        await daemon.authority.background.idle()
        assert 3000 <= await daemon.store.indexed(LOG) <= 3500
        assert await listed(daemon) == [3491, 3481, 3471]


async def test_a_page_reads_what_it_lists(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        for begin in (1, 1001, 2001):  # one thousand at a time: with more at once the last hundreds may be left to be read
            await write(daemon, begin, begin + 999)
            await daemon.authority.background.idle()
        rows = Rows(daemon.store)
        assert await listed(daemon, limit=3) == [2991, 2981, 2971]
        assert rows.read < 50
        rows.read = 0
        assert await listed(daemon, limit=3, path=("k1", "x")) == [2991, 2981, 2971]
        assert rows.read < 50
    async with running(tmp_path) as daemon:
        await listed(daemon)  # brings the state back
        rows = Rows(daemon.store)
        assert await listed(daemon, limit=3) == [2991, 2981, 2971]
        # Where nothing of the log is at hand, what has touched the path since the last image is read, down and up again.
        assert rows.read <= 2 * 1000 / KEYS + 50


async def test_what_is_not_indexed_is_read_once_for_all_pages(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 500)
        rows = Rows(daemon.store)
        assert await listed(daemon, limit=3) == [491, 481, 471]
        assert rows.read > 500
        for number in (501, 502):
            rows.read = 0
            await write(daemon, number, number)
            assert await listed(daemon, limit=3) == [501, 491, 481]
            assert rows.read < 30


async def test_a_revision_is_decoded_once_to_be_judged(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 40)
        await listed(daemon, limit=30)
        rows = Rows(daemon.store)
        assert len(await listed(daemon, limit=30)) == 4
        assert rows.read <= 4 + 1


@pytest.mark.slow
async def test_a_query_has_a_long_log_indexed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(indexing, "EVERY", 10**9)
        async with running(tmp_path) as daemon:
            await write(daemon, 1, 5000)
            await daemon.authority.background.idle()
            assert await daemon.store.indexed(LOG) == 0
            assert await listed(daemon) == [4991, 4981, 4971]
            assert await daemon.store.indexed(LOG) == 5000


async def test_without_room_for_an_index_the_log_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StoreFullError

    monkeypatch.setattr(indexing, "MOST", 1000)
    monkeypatch.setattr(histories, "MOST", 1000)
    async with running(tmp_path) as daemon:
        monkeypatch.setattr(daemon.store, "add_places", full)
        await write(daemon, 1, 2000)
        assert await listed(daemon) == [1991, 1981, 1971]
        assert await daemon.store.indexed(LOG) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE changes SET entry = (SELECT entry FROM changes WHERE revision = 1981) WHERE revision = 1991",
        "UPDATE changes SET chain = x'00' WHERE revision = 1991",
        "UPDATE changes SET entry = x'00' WHERE revision = 1991",
        "DELETE FROM changes WHERE revision = 1991",
        "DELETE FROM changes WHERE revision = 1990",
    ],
)
async def test_a_damaged_revision_is_named(tmp_path: Path, damage: str) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 2000)
        await daemon.authority.background.idle()
        connection = apsw.Connection(str(tmp_path / "lastgood.db"))
        connection.execute(damage).fetchall()
        connection.close()
        with pytest.raises(CorruptRecordError, match=r"'s': revision 199[12] "):
            await listed(daemon)
        assert await listed(daemon, path=("k5",)) == [1995, 1985, 1975], "the others are as good as ever"


async def test_what_somebody_else_has_indexed_is_not_indexed_again(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 20)
        await daemon.store.add_places(LOG, 0, 10, [Place(1, exact=True, revision=5)])
        await daemon.store.add_places(LOG, 0, 20, [Place(1, exact=True, revision=6)])
        await daemon.store.add_places(LOG, 11, 20, [Place(1, exact=True, revision=12)])
        assert await daemon.store.indexed(LOG) == 10
        assert await daemon.store.find_places(LOG, [(1, True)], 0, 100, 10, newest_first=False) == [5]
        await daemon.store.add_places(LOG, 10, 20, [Place(1, exact=False, revision=12)])
        assert await daemon.store.find_places(LOG, [(1, False)], 0, 100, 10, newest_first=True) == [12, 5]
        assert await daemon.store.find_places(LOG, [(1, True)], 0, 100, 10, newest_first=True) == [5]


async def test_the_index_of_a_deleted_state_goes_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await write(daemon, 1, 1000)
        await daemon.authority.background.idle()
        await daemon.do(DeleteState(StateRef("s"), Author()))
        assert await daemon.store.indexed(LOG) == 0
        assert await listed(daemon) == []
        await write(daemon, 1, 12)
        assert await listed(daemon) == [11, 1]


async def test_rows_come_in_the_order_asked_for_and_a_few_megabytes_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        for number in range(4):
            big = encode(random.Random(number).randbytes(2_000_000))
            await daemon.do(Write(StateRef("s"), Author(), Precondition(), (("set", Set(("big",), big)),), 1))
        rows = await daemon.store.read_revisions(LOG, [4, 1, 99, 3])
        assert [row.revision for row in rows] == [4, 1]
        assert (rows[0].before, rows[1].before) == ((await daemon.store.read_log(LOG, 2, 1))[0].chain, b"")
        assert [row.revision for row in await daemon.store.read_revisions(LOG, [99, 2])] == [2]
        assert await daemon.store.read_revisions(LogId("other", 1), [1]) == []
        assert await listed(daemon, limit=9, path=("big",)) == [4, 3, 2, 1]


async def test_the_last_revision_at_a_time_is_found_by_halving(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        times: list[int] = []
        for number, step in enumerate((0, 0, 0, 5, 0, 1, 1, 0, 0, 30, 0)):
            daemon.store.turned += step
            times.append(daemon.store.now())
            await write(daemon, number, number)
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        for time in range(times[0] - 2, times[-1] + 3):
            expected = sum(at <= time for at in times)
            assert await daemon.authority.ask(methodcaller("revision_at", state, time)) == expected
