"""Redaction while others write and read, where it is cut off, and where there is no room: at once or not at all."""

import asyncio
import random
import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.authority.at_work import Answer, running
from tests.authority.leaked import LOG, REF, check, filled, keep, read, state_of, wanted, write
from tests.authority.remains import remains
from tests.engine.test_redaction import MARK, SECRET

from lastgood_daemon.authority import compaction, imaging
from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.commands.redaction import Redact
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.outcomes import Done, Redacted, SnapshotTaken
from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Content, StateRef
from lastgood_daemon.authority.world import Need, SessionNeed
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.errors import RefusedError, StateNotFoundError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.store.protocol import LogId, StoreFullError
from lastgood_daemon.store.upkeep import Image
from lastgood_proto.values import decode, encode


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes thousands of revisions in life takes a few here."""
    monkeypatch.setattr(imaging, "FIRST_BYTES", 3_000)
    monkeypatch.setattr(compaction, "CHUNK", 7)


async def test_what_was_prepared_for_another_revision_is_not_done(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        await daemon.do(write(Set(("k",), encode(1))))
        for seen in ((LOG, 1), (LogId("s", 2), 2)):
            command = Redact(REF, Author(), Redactor(SECRET, MARK), [], [seen], [], 1)
            assert await daemon.do(command) == Done(existed=False)


async def test_a_state_that_was_deleted_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        with pytest.raises(StateNotFoundError):
            await daemon.authority.redaction.redact(Wanted(StateRef("s", 7), Author(), SECRET, MARK, 1))


async def test_it_grows_while_it_is_prepared(tmp_path: Path) -> None:
    """Whatever is written while the log is read is redacted, too; and the writers are not held up for longer."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        written = 0

        async def meanwhile() -> None:
            nonlocal written
            if written < 5:
                written += 1
                daemon.ask(write(Set((f"k{written}",), encode(f"{written} {SECRET}"))))
                if written < 3:
                    await daemon.settled()

        daemon.store.meanwhile = meanwhile
        done = await daemon.authority.redaction.redact(wanted())
        daemon.store.meanwhile = None
        assert written == 5
        await daemon.settled()
        before = await read(daemon, done.point.revision)
        assert SECRET not in str(before)
        assert done.point.revision > 3
        after = await read(daemon, (await state_of(daemon)).revision)
        assert set(after) == {"k", "k1", "k2", "k3", "k4", "k5"}  # type: ignore[call-overload]
        await daemon.authority.redaction.redact(wanted())
    assert remains(tmp_path, SECRET) == []


def checkpoint(copy_id: str) -> MakeCheckpoint:
    return MakeCheckpoint("s", 0, Author("me"), 3, Content(encode({"c": SECRET})), None, None, copy_id, 1)


async def test_a_checkpoint_is_made_while_it_is_prepared(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))

        async def meanwhile() -> None:
            daemon.store.meanwhile = None
            await daemon.do(checkpoint("copy"))

        daemon.store.meanwhile = meanwhile
        assert (await daemon.authority.redaction.redact(wanted())).revisions == 2
        assert remains(tmp_path, SECRET) == []
        assert decode((await state_of(daemon, "copy")).tree.root.encoded()) == {"c": MARK}


async def test_what_comes_while_answers_are_brought_back_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(name: str) -> TakeSnapshot:
        return TakeSnapshot(REF, Author(), name, SECRET, None, 1)

    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        assert isinstance(await daemon.ask(taken("first"), Identity("session", 1)), SnapshotTaken)
    async with running(tmp_path) as daemon:
        bring = daemon.authority.loader.bring
        later: list[Answer] = []

        def meanwhile(need: Need) -> Awaitable[None]:
            if isinstance(need, SessionNeed) and not later:
                later.append(daemon.ask(taken("second")))
            return bring(need)

        monkeypatch.setattr(daemon.authority.loader, "bring", meanwhile)
        done = await daemon.authority.redaction.redact(wanted())
        second = await later[0]
        assert isinstance(second, SnapshotTaken)
        assert second.snapshot.revision == done.point.revision


async def test_a_checkpoint_and_its_copy_go_while_it_is_prepared(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        await daemon.do(checkpoint("copy"))
        daemon.store.turned += 1
        pages = 0

        async def meanwhile() -> None:
            nonlocal pages
            pages += 1
            if pages == 3:  # one of the state, an empty one, and one of the copy
                await daemon.do(DeleteCheckpoints("s", None, Author(), effects=False))
                assert (await daemon.authority.housekeeper.keep()).copies == 1

        daemon.store.meanwhile = meanwhile
        assert (await daemon.authority.redaction.redact(wanted())).revisions == 1
        daemon.store.meanwhile = None
        assert pages > 3
        assert remains(tmp_path, SECRET) == []
        assert await read(daemon, 1) == {"k": MARK}


async def test_a_state_is_deleted_while_it_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        for number in range(5):
            await daemon.do(write(Set(("k",), encode(f"{number} {SECRET}"))))
        await keep(daemon, 1)
        read_image = daemon.store.image

        async def image(log: LogId, at_most: int) -> Image | None:
            await daemon.do(DeleteState(REF, Author()))
            return await read_image(log, at_most)

        monkeypatch.setattr(daemon.store, "image", image)
        assert await daemon.authority.redaction.redact(wanted()) == Redacted(Point("s", 2, 0), 0, 0)
        assert remains(tmp_path, SECRET) == []


async def test_nobody_who_was_reading_brings_it_back(tmp_path: Path) -> None:
    """A reader that rebuilds an earlier revision while it is redacted has to read again; so has whoever asks later."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        for number in range(400):  # more than are at hand
            await daemon.do(write(Set(("n",), encode(number))))
        assert await read(daemon, 1) == {"k": SECRET}
        going, reading = asyncio.Event(), asyncio.Event()

        async def meanwhile() -> None:
            reading.set()
            await going.wait()

        daemon.store.meanwhile = meanwhile
        reader = asyncio.create_task(read(daemon, 2))
        await asyncio.wait_for(reading.wait(), 10)
        daemon.store.meanwhile = None
        await daemon.authority.redaction.redact(wanted())
        going.set()
        assert await asyncio.wait_for(reader, 10) == {"k": MARK, "n": 0}
        assert await read(daemon, 1) == {"k": MARK}


async def test_an_image_that_waits_does_not_bring_it_back(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.authority.background.turn.acquire()
        for _ in range(30):
            await daemon.do(write(Set(("k",), encode(SECRET * 10))))
        before = await state_of(daemon)
        daemon.authority.background.turn.release()
        await daemon.authority.redaction.redact(wanted())
        await daemon.authority.background.idle()
        assert before.tree.root.value() == {"k": SECRET * 10}
        assert remains(tmp_path, SECRET) == []


@pytest.mark.slow
@pytest.mark.parametrize("compacted", [False, True])
async def test_cut_off_anywhere_it_is_the_old_or_the_new(tmp_path: Path, *, compacted: bool) -> None:
    """What is on the disk before each statement that it has SQLite do is what a process leaves that dies there."""
    contents = dict[int, Any]()
    left: list[Path] = []
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(2), 25, contents, pins=6)
        if compacted:
            await keep(daemon, 8)
        kept = {revision for revision in contents if (await state_of(daemon)).kept.has(revision)}

        def trace(_cursor: object, _statement: str, _bindings: object) -> bool:
            left.append(tmp_path / f"{len(left)}")
            left[-1].mkdir()
            for name in ("lastgood.db", "lastgood.db-wal"):
                shutil.copy(tmp_path / name, left[-1] / name)
            return True

        writer = daemon.store._writer._connection  # noqa: SLF001 - where it dies
        writer.exec_trace = trace
        await daemon.authority.redaction.redact(wanted())
        writer.exec_trace = None
    came = []
    for folder in left:
        async with running(folder) as daemon:
            came.append((await state_of(daemon)).revision)
            if came[-1] == 25:
                assert [await read(daemon, each) for each in sorted(kept)] == [contents[each] for each in sorted(kept)]
            else:
                await check(daemon, contents, kept)
            await daemon.authority.redaction.redact(wanted())
            await check(daemon, contents, kept)
            assert remains(folder, SECRET) == []
    assert came == sorted(came)
    assert len(came) > 20
    assert set(came) == {25, 26}


async def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        daemon.store.full = 1
        with pytest.raises(RefusedError) as caught:
            await daemon.authority.redaction.redact(wanted())
        assert caught.value.reason == "OVERLOADED"
        assert await read(daemon, 1) == {"k": SECRET}
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path, SECRET) == []


async def test_no_room_to_remove_what_was_let_go_of_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))

        async def full() -> bool:
            message = "no room"
            raise StoreFullError(message)

        with monkeypatch.context() as patched:
            patched.setattr(daemon.store, "sweep", full)
            with pytest.raises(RefusedError, match="the disk is full; nothing was redacted") as caught:
                await daemon.authority.redaction.redact(wanted())
        assert caught.value.reason == "OVERLOADED"
        assert await read(daemon, 1) == {"k": SECRET}


async def test_no_room_to_wipe_is_said_and_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))

        async def full() -> bool:
            message = "no room"
            raise StoreFullError(message)

        with monkeypatch.context() as patched:
            patched.setattr(daemon.store, "scrub", full)
            with pytest.raises(RefusedError, match="not yet wiped off the disk; redact again when there is room"):
                await daemon.authority.redaction.redact(wanted())
        assert await read(daemon, 1) == {"k": MARK}
        reader = apsw.Connection(str(tmp_path / "lastgood.db"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM changes").fetchall()
        daemon.store._writer._connection.set_busy_timeout(100)  # noqa: SLF001 - otherwise it waits for ten seconds
        with pytest.raises(RefusedError, match="redact again when no other process reads"):
            await daemon.authority.redaction.redact(wanted())
        reader.close()
        assert await daemon.authority.redaction.redact(wanted()) == Redacted(Point("s", 1, 2), 0, 0)
        assert remains(tmp_path, SECRET) == []
