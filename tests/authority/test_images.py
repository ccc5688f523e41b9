"""Images: any revision is brought back from the nearest one, and all that they hold is in the log as well."""

import asyncio
import logging
import random
from pathlib import Path

import apsw
import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority import imaging
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.targets import Revision, StateRef, find
from lastgood_daemon.engine.edits import Delete, Edit, Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import LogId
from lastgood_daemon.store.sqlite import images
from lastgood_daemon.store.upkeep import Image
from lastgood_proto.values import decode, encode

LOG = LogId("s", 1)
KEYS = 50


@pytest.fixture(autouse=True)
def early_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "FIRST_BYTES", 2_000)


def write(edit: Edit) -> Write:
    return Write(StateRef("s"), Author(), Precondition(), (("set", edit),), 1)


async def written(daemon: Daemon, revisions: int) -> list[dict[str, int]]:
    """Make revisions, and give the content after each."""
    random.seed(1)
    content: dict[str, int] = {}
    contents = [content]
    for number in range(revisions):
        key = f"k{random.randrange(KEYS)}"
        gone = key in content and random.random() < 0.3
        outcome = await daemon.do(write(Delete((key,)) if gone else Set((key,), encode(number))))
        assert isinstance(outcome, Written)
        content = {name: value for name, value in content.items() if name != key} if gone else content | {key: number}
        contents.append(content)
        await daemon.authority.background.idle()
    return contents


async def content(daemon: Daemon, revision: int | None = None) -> object:
    target = None if revision is None else Revision(revision)
    found = await daemon.authority.ask(lambda reader: find(reader, reader.state("s"), target))
    return decode(found.root.encoded())


async def test_every_revision_reads_the_same_from_images(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        contents = await written(daemon, 300)
        assert len(await daemon.store.list_images(LOG)) >= 10
    async with running(tmp_path) as daemon:
        assert await content(daemon) == contents[-1]
        for revision, expected in enumerate(contents):
            assert await content(daemon, revision) == expected
            assert list(expected) == list(await content(daemon, revision) or {})  # type: ignore[call-overload]


async def test_bringing_a_state_back_reads_the_log_from_the_newest_image_on(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await written(daemon, 100)
        newest = (await daemon.store.list_images(LOG))[-1].revision
    async with running(tmp_path) as daemon:
        asked: list[int] = []
        read_log = daemon.store.read_log

        async def noted(log: LogId, after: int, limit: int) -> object:
            asked.append(after)
            return await read_log(log, after, limit)

        daemon.store.read_log = noted  # type: ignore[method-assign, assignment]
        await content(daemon)
        assert min(asked) == newest


async def test_images_never_outgrow_the_log(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await written(daemon, 400)
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        marks = await daemon.store.list_images(LOG)
        assert sum(mark.stored_bytes for mark in marks) <= state.log_bytes


@pytest.mark.parametrize("damage", ["UPDATE images SET data = x'00'", "DELETE FROM images WHERE revision % 2"])
async def test_a_damaged_image_is_passed_over(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path) as daemon:
        contents = await written(daemon, 100)
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    connection.execute(damage).fetchall()
    connection.close()
    with caplog.at_level(logging.WARNING):
        async with running(tmp_path) as daemon:
            assert await content(daemon) == contents[-1]
            assert await content(daemon, 50) == contents[50]
    assert ("damaged image" in caplog.text) == damage.startswith("UPDATE")


async def test_what_a_crash_has_left_of_an_image_is_no_image(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        contents = await written(daemon, 100)
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    connection.execute("UPDATE images SET piece = 1, pieces = 2").fetchall()
    connection.close()
    async with running(tmp_path) as daemon:
        assert await daemon.store.list_images(LOG) == []
        assert await content(daemon) == contents[-1]
        await written(daemon, 20)
        assert len(await daemon.store.list_images(LOG)) >= 1
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    assert connection.execute("SELECT count(*) FROM images WHERE piece = 1").fetchall() == [(0,)], "and is cleared away"
    connection.close()


async def test_images_that_are_written_at_the_same_time_are_both_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As compaction and the background do."""
    monkeypatch.setattr(images, "PIECE", 100)
    async with running(tmp_path) as daemon:
        await written(daemon, 10)
        made = [Image(revision, random.Random(revision).randbytes(20_000)) for revision in (3, 5)]
        first = asyncio.create_task(daemon.store.put_image(LOG, made[0]))
        connection = apsw.Connection(str(tmp_path / "lastgood.db"))
        while connection.execute("SELECT count(*) FROM images WHERE revision = 3").fetchall() == [(0,)]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        connection.close()
        await asyncio.gather(first, daemon.store.put_image(LOG, made[1]))
        assert [await daemon.store.image(LOG, image.revision) for image in made] == made


async def test_the_images_of_a_deleted_state_go_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await written(daemon, 100)
        await daemon.do(DeleteState(StateRef("s"), Author()))
        assert await daemon.store.list_images(LOG) == []
        assert await content(daemon) == {}


async def test_two_images_of_a_revision_are_never_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever shortens a log may write one of a revision that has just been imaged; it may have fewer pieces."""
    monkeypatch.setattr(images, "PIECE", 50)
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(1))))
        first, second = Image(1, bytes(range(250))), Image(1, bytes(range(100)))
        await daemon.store.put_image(LOG, first)
        await daemon.store.put_image(LOG, second)
        assert await daemon.store.image(LOG, 1) == first
