"""Compaction: what is kept reads as before, whatever is given up, and wherever it is cut off."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority import compaction, floors, housekeeping, imaging, replay
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import DropSnapshot, TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.compaction import Wanted
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.outcomes import SnapshotTaken, Written
from lastgood_daemon.authority.questions import preview_restore
from lastgood_daemon.authority.replay import RewrittenError
from lastgood_daemon.authority.targets import Revision, StateRef, Time, find
from lastgood_daemon.engine import trail
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.errors import EndedError, RevisionUnavailableError
from lastgood_daemon.engine.log import Author, decode_row
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.trail import Trail
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, StoreFullError
from lastgood_daemon.store.upkeep import Image
from lastgood_proto import values
from lastgood_proto.values import encode

LOG = LogId("s", 1)
REF = StateRef("s")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes thousands of revisions in life takes a few here."""
    monkeypatch.setattr(imaging, "FIRST_BYTES", 4_000)
    monkeypatch.setattr(compaction, "CHUNK", 7)


def write(edit: Edit) -> Write:
    return Write(REF, Author("me"), Precondition(), (("set", edit),), 1)


def decode(encoded: bytes) -> Any:  # noqa: ANN401 - whatever was encoded
    return values.decode(encoded)


def draw(rng: random.Random, content: dict[str, Any]) -> Write | Restore:
    names = sorted(content)
    match rng.randrange(6):
        case 0 if names:
            return write(Delete((rng.choice(names),)))
        case 1:
            return write(Append(("list",), (encode(rng.randrange(9)),)))
        case 2:
            return write(Set(("map", rng.choice("abc"), rng.choice("xyz")), encode(rng.randrange(99))))
        case 3:
            return Restore(REF, Author(), Precondition(), Revision(rng.randrange(3)), (), 1)
        case 4:
            return write(Set(("map",), encode({name: {"x": rng.randrange(9)} for name in rng.sample("abcde", 3)})))
        case _:
            return write(Set((rng.choice("klmn"),), encode(rng.randrange(99))))


async def read(daemon: Daemon, revision: int) -> bytes:
    found = await daemon.authority.ask(lambda reader: find(reader, reader.state("s"), Revision(revision)))
    return found.root.encoded()


async def filled(daemon: Daemon, rng: random.Random, revisions: int) -> dict[int, bytes]:
    """Make revisions, one a microsecond, and give what each reads."""
    contents = {0: await read(daemon, 0)}
    while len(contents) <= revisions:
        daemon.store.turned += 1
        outcome = await daemon.do(draw(rng, decode(contents[len(contents) - 1])))
        if isinstance(outcome, Written) and outcome.point.revision == len(contents):
            contents[outcome.point.revision] = await read(daemon, outcome.point.revision)
            await daemon.authority.background.idle()
    return contents


async def snapshot(daemon: Daemon) -> str:
    taken = await daemon.do(TakeSnapshot(REF, Author(), f"snap{random.random()}", None, None, 1))
    assert isinstance(taken, SnapshotTaken)
    return taken.snapshot.snapshot_id


async def keep(daemon: Daemon, revisions: int) -> int:
    await daemon.do(SetRetention("s", Retention(revisions=revisions), 1))
    return (await daemon.authority.housekeeper.keep("s")).revisions


async def check(daemon: Daemon, contents: dict[int, bytes], kept: set[int], oldest: int) -> None:
    """See that what is kept reads as before, and that the rest says what there is."""
    for revision, content in contents.items():
        if revision in kept:
            assert await read(daemon, revision) == content, revision
        else:
            with pytest.raises(RevisionUnavailableError) as caught:
                await read(daemon, revision)
            nearest = min(kept - {0}, key=lambda each: (abs(each - revision), each))
            assert caught.value.metadata == {
                "revision": str(revision),
                "oldest": str(oldest),
                "newest": str(max(contents)),
                "nearest": str(nearest),
            }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_what_is_kept_reads_as_before(tmp_path: Path, seed: int) -> None:
    """Several rounds, with snapshots taken and dropped in between, and the daemon started anew after each."""
    rng = random.Random(seed)
    contents: dict[int, bytes] = {}
    pins: dict[str, int] = {}
    kept: set[int] = set()
    for number in range(4):
        async with running(tmp_path) as daemon:
            began = max(contents, default=0)
            if not contents:
                contents = await filled(daemon, rng, 10)
            while max(contents) < began + 40:
                if rng.random() < 0.15:
                    pins[await snapshot(daemon)] = max(contents)
                before = dict(contents)
                daemon.store.turned += 1
                outcome = await daemon.do(draw(rng, decode(before[max(before)])))
                if isinstance(outcome, Written) and outcome.point.revision not in contents:
                    contents[outcome.point.revision] = await read(daemon, outcome.point.revision)
            await daemon.authority.background.idle()
            if pins and number:
                gone = rng.choice(sorted(pins))
                await daemon.do(DropSnapshot(REF, Author(), gone))
                del pins[gone]
            head = max(contents)
            there = set(contents) if not number else {r for r in contents if r in kept or r > began}
            await keep(daemon, 15)
            floor = head - 14
            kept = {0, *range(floor, head + 1), *(pin for pin in pins.values() if pin in there)}
            oldest = min(kept - {0})
            await check(daemon, contents, kept, oldest)
            assert await keep(daemon, 15) == 0
        async with running(tmp_path) as daemon:
            await check(daemon, contents, kept, oldest)


@pytest.mark.parametrize("pinned", ["checkpoint", "snapshot"])
async def test_what_is_pinned_while_a_round_is_at_work_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: str
) -> None:
    async with running(tmp_path) as daemon:
        contents = await filled(daemon, random.Random(6), 10)

        async def later(*given: Any) -> Wanted:  # noqa: ANN401 - as it takes them
            """What refers to the log has been gathered; how much of it may go has not been looked up."""
            monkeypatch.setattr(housekeeping, "find_wanted", floors.find_wanted)
            daemon.store.turned += 1
            if pinned == "snapshot":
                await snapshot(daemon)
            else:
                await daemon.do(MakeCheckpoint("s", 1, Author(), 3, REF, None, None, "copy", 1))
            for seed in range(4):
                contents.update(await more(daemon, random.Random(seed), contents))
            return await floors.find_wanted(*given)

        monkeypatch.setattr(housekeeping, "find_wanted", later)
        await keep(daemon, 2)
        assert await read(daemon, 10) == contents[10]
        await keep(daemon, 2)  # what the first one may have left for another
        await check(daemon, contents, {0, 10, 13, 14}, 10)


@pytest.mark.parametrize("policy", [Retention(age=10), Retention(bytes=500), Retention(revisions=9, age=10)])
async def test_another_round_gives_up_nothing_more(tmp_path: Path, policy: Retention) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(4), 30)
        await daemon.do(SetRetention("s", policy, 1))
        assert (await daemon.authority.housekeeper.keep("s")).revisions > 10
        for _ in range(3):
            assert (await daemon.authority.housekeeper.keep("s")).revisions == 0
        if policy.revisions is None and policy.age is not None:
            daemon.store.turned += 1
            assert (await daemon.authority.housekeeper.keep("s")).revisions == 1


async def test_a_full_disk_ends_a_round_wherever_it_is(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(4), 30)
        await daemon.do(SetRetention("s", Retention(revisions=5), 1))
        for step in ("put_image", "raise_floor", "sweep"):

            async def no_room(*_: object) -> None:
                problem = "no room"
                raise StoreFullError(problem)

            real = getattr(daemon.store, step)
            setattr(daemon.store, step, no_room)
            with pytest.raises(EndedError) as ended:
                await daemon.authority.housekeeper.keep("s")
            assert ended.value.reason == "OVERLOADED"
            setattr(daemon.store, step, real)
            await daemon.do(write(Set(("k",), encode(step))))


async def test_what_is_given_up_is_in_no_history(tmp_path: Path) -> None:
    """Also before the log has followed. What made the floor is known without a path, though its row is gone."""
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(4), 30)

        async def listed(path: tuple[str, ...] | None = None) -> list[int]:
            state = await daemon.authority.ask(lambda reader: reader.state("s"))
            question = HistoryQuestion(path, 0, None, newest_first=False, limit=100)
            return [item.revision async for item in daemon.authority.history(state, question)]

        async def cut(*_: object) -> None:
            raise asyncio.CancelledError

        real, daemon.store.put_image = daemon.store.put_image, cut  # type: ignore[method-assign, assignment]
        with contextlib.suppress(asyncio.CancelledError):
            await keep(daemon, 5)
        assert await listed() == [26, 27, 28, 29, 30]
        for path in [("map",), ("map", "a", "x"), ("list",), ("k",)]:
            assert set(await listed(path)) <= {27, 28, 29, 30}
        daemon.store.put_image = real  # type: ignore[method-assign]
        await daemon.do(write(Set(("k",), encode("more"))))
        await keep(daemon, 5)
        assert await listed() == [27, 28, 29, 30, 31]


async def test_the_history_of_a_path_where_the_floor_has_no_image_yet(tmp_path: Path) -> None:
    """Cut off before the log has followed; and nothing is at hand, nor does any revision before say all about the path."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("map", "a"), encode("first"))))
        for number in range(10):
            await daemon.do(write(Set(("k",), encode(number))))
        await daemon.do(write(Set(("map", "a"), encode("second"))))

        async def cut(*_: object) -> None:
            raise asyncio.CancelledError

        daemon.store.put_image = cut  # type: ignore[method-assign, assignment]
        with contextlib.suppress(asyncio.CancelledError):
            await keep(daemon, 5)
    async with running(tmp_path) as daemon:
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        assert (state.kept.floor.revision, (await daemon.store.head(LOG)).floor) == (8, 0)
        state = replace(state, trail=Trail())  # as after many more revisions
        for newest_first in (False, True):
            question = HistoryQuestion(("map", "a"), 0, None, newest_first=newest_first, limit=100)
            items = [item async for item in daemon.authority.history(state, question)]
            assert [(item.revision, item.node and item.node.value()) for item in items] == [(12, "second")]


async def test_a_history_that_is_read_while_the_log_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "FIRST_BYTES", 10**9)
    monkeypatch.setattr(replay, "PAGE", 7)
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(1), 30)
        state = await daemon.authority.ask(lambda reader: reader.state("s"))

        async def shorten() -> None:
            daemon.store.meanwhile = None
            await keep(daemon, 5)

        daemon.store.meanwhile = shorten
        question = HistoryQuestion(None, 0, None, newest_first=False, limit=100)
        with pytest.raises(RewrittenError):
            _ = [item async for item in daemon.authority.history(state, question)]
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        assert [item.revision async for item in daemon.authority.history(state, question)] == [26, 27, 28, 29, 30]


async def test_a_preview_cannot_go_on_where_it_began_once_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MAX_REVISIONS", 1)
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(1), 30)
        await keep(daemon, 5)
        with pytest.raises(RevisionUnavailableError):
            await daemon.authority.ask(lambda reader: preview_restore(reader, REF, Revision(28), (), Point("s", 1, 10)))


async def test_the_rows_are_gone_and_the_file_shrinks(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        for number in range(300):
            await daemon.do(write(Set(("k",), encode(random.Random(number).randbytes(2_000)))))
        await daemon.authority.background.idle()
    before = (tmp_path / "lastgood.db").stat().st_size
    async with running(tmp_path) as daemon:
        assert await keep(daemon, 10) == 290
        assert len(await daemon.store.read_log(LOG, 0, 1000)) == 9
        assert (await daemon.store.head(LOG)).floor == 291
    assert (tmp_path / "lastgood.db").stat().st_size < before / 10


async def test_a_forgotten_snapshot_costs_its_own_delta(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("big",), encode(random.Random(0).randbytes(100_000)))))
        for number in range(300):
            await daemon.do(write(Set(("k",), encode(random.Random(number).randbytes(2_000)))))
            if number in {100, 150}:
                await snapshot(daemon)
        await keep(daemon, 1)
        rows = await daemon.store.read_log(LOG, 0, 1000)
    assert [row.revision for row in rows] == [152, 301]
    assert all(len(row.entry) < 2_200 for row in rows)


async def test_a_time_in_a_gap_is_not_answered_by_guessing(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        contents = await filled(daemon, random.Random(3), 12)
        await snapshot(daemon)
        times = {}
        for revision in contents:
            state = await daemon.authority.ask(lambda reader: reader.state("s"))
            rows = await daemon.store.read_log(LOG, revision - 1, 1) if revision else []
            times[revision] = decode_row(rows[0].entry).timestamp if rows else 0
            assert state.revision == 12
        for _ in range(10):
            daemon.store.turned += 1
            await daemon.do(write(Set(("k",), encode(daemon.store.turned))))
        await keep(daemon, 5)

        async def at(time: int) -> bytes:
            found = await daemon.authority.ask(lambda reader: find(reader, reader.state("s"), Time(time)))
            return found.root.encoded()

        for revision in range(1, 12):
            with pytest.raises(RevisionUnavailableError) as caught:
                await at(times[revision])
            assert caught.value.metadata == {"oldest": "12", "newest": "22", "nearest": "12"}
        with pytest.raises(RevisionUnavailableError):
            await at(times[12])  # 13 is gone, and may have been made in the same microsecond
        assert decode(await at(times[12] + 10**9))["k"] == daemon.store.turned


STEPS = ("put_image", "raise_floor", "squash", "sweep")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("calls", [1, 2, 5])
async def test_cut_off_anywhere_it_reads_the_same_and_is_taken_up_again(tmp_path: Path, step: str, calls: int) -> None:
    rng = random.Random(calls)
    async with running(tmp_path) as daemon:
        contents = await filled(daemon, rng, 30)
        await snapshot(daemon)
        for _ in range(20):
            contents |= await more(daemon, rng, contents)
        await snapshot(daemon)
        for _ in range(20):
            contents |= await more(daemon, rng, contents)
        kept = {0, 30, 50, *range(66, 71)}
        left = calls
        real: Callable[..., Awaitable[object]] = getattr(daemon.store, step)

        async def cut(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise asyncio.CancelledError
            return await real(*arguments)

        setattr(daemon.store, step, cut)
        with contextlib.suppress(asyncio.CancelledError):
            await keep(daemon, 5)
        setattr(daemon.store, step, real)
        await check(daemon, contents, kept, 30)
    async with running(tmp_path) as daemon:
        await check(daemon, contents, kept, 30)
        await keep(daemon, 5)
        await check(daemon, contents, kept, 30)
        assert [row.revision for row in await daemon.store.read_log(LOG, 0, 1000)] == [50, 66, 67, 68, 69, 70]


async def more(daemon: Daemon, rng: random.Random, contents: dict[int, bytes]) -> dict[int, bytes]:
    newest = max(contents)
    while True:
        daemon.store.turned += 1
        outcome = await daemon.do(draw(rng, decode(contents[newest])))
        if isinstance(outcome, Written) and outcome.point.revision > newest:
            return {newest + 1: await read(daemon, newest + 1)}


async def test_a_damaged_base_image_refuses_the_state_and_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(1), 30)
        await daemon.do(Write(StateRef("other"), Author(), Precondition(), (("set", Set(("k",), encode(1))),), 1))
        await keep(daemon, 5)
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    connection.execute("UPDATE images SET data = zeroblob(length(data))").fetchall()
    connection.close()
    async with running(tmp_path) as daemon:
        with pytest.raises(CorruptRecordError, match=r"state 's': the image of revision 26, before which the log is gone"):
            await read(daemon, 30)
        other = await daemon.authority.ask(lambda reader: reader.state("other"))
        assert decode(other.tree.root.encoded()) == {"k": 1}


async def test_a_state_that_is_deleted_while_it_is_looked_up_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(3), 30)
        await keep(daemon, 5)
        read_image = daemon.store.image

        async def deleted_first(log: LogId, at_most: int) -> Image | None:
            monkeypatch.undo()
            await daemon.do(DeleteState(REF, Author(), 1))
            while await daemon.store.sweep():
                pass
            return await read_image(log, at_most)

        monkeypatch.setattr(daemon.store, "image", deleted_first)
        found, _ = await replay.nearest(daemon.store, LOG, 0)
        assert found.revision == 0


async def test_a_damaged_squashed_delta_refuses_what_needs_it(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        contents = await filled(daemon, random.Random(1), 10)
        await snapshot(daemon)
        contents |= {11: (await more(daemon, random.Random(5), contents))[11]}
        await snapshot(daemon)
        contents |= await more(daemon, random.Random(6), contents)
        contents |= await more(daemon, random.Random(7), contents)
        await keep(daemon, 1)
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    entry: Any = connection.execute("SELECT entry FROM changes WHERE revision = 11").get
    damaged = entry[:-30] + bytes([entry[-30] ^ 1]) + entry[-29:]
    connection.execute("UPDATE changes SET entry = ? WHERE revision = 11", (damaged,)).fetchall()
    connection.close()
    async with running(tmp_path) as daemon:
        assert await read(daemon, 13) == contents[13]
        assert await read(daemon, 10) == contents[10]
        with pytest.raises(CorruptRecordError, match="revision 11"):
            await read(daemon, 11)


@pytest.mark.parametrize("pinned", [False, True])
async def test_the_history_begins_at_the_floor(tmp_path: Path, pinned: bool) -> None:
    async with running(tmp_path) as daemon:
        for number in range(1, 31):
            await daemon.do(write(Set(("k",) if number % 2 else ("other", "x"), encode(number))))
            if pinned and number == 7:
                await snapshot(daemon)
        await keep(daemon, 10)
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        for path, expected in [(None, range(21, 31)), (("k",), range(23, 31, 2)), (("other",), range(22, 31, 2))]:
            for newest_first in (False, True):
                question = HistoryQuestion(path, 0, None, newest_first, 100)
                found = [item.revision async for item in daemon.authority.history(state, question)]
                assert found == sorted(expected, reverse=newest_first), path
