"""Redaction: nothing of the text is left anywhere, the rest reads as before, and it happens at once or not at all."""

import asyncio
import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.authority.at_work import LONG, Daemon, running
from tests.engine.test_redaction import MARK, SECRET, replaced, told

from lastgood_daemon.authority import compaction, imaging
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.commands.redaction import Redact
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.steps import BeginStep
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Done, Redacted, SnapshotTaken, Written
from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.authority.replay import rebuilt, replay
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Content, Revision, StateRef, find
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.effect import Failure
from lastgood_daemon.engine.errors import NotRedactableError, RefusedError, StateNotFoundError
from lastgood_daemon.engine.image import decode_image
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.store.protocol import LogId, Moved, Rewrite, StoreFullError, Unit
from lastgood_daemon.store.sqlite.packing import unpacked
from lastgood_proto.values import decode, encode

LOG = LogId("s", 1)
REF = StateRef("s")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes thousands of revisions in life takes a few here."""
    monkeypatch.setattr(imaging, "FIRST_BYTES", 3_000)
    monkeypatch.setattr(compaction, "CHUNK", 7)


def write(edit: Edit, state: str = "s") -> Write:
    return Write(StateRef(state), Author("me"), Precondition(), (("set", edit),), 1)


def wanted(text: str = SECRET, state: str = "s", replacement: str = MARK) -> Wanted:
    return Wanted(StateRef(state), Author("me"), text, replacement, 1)


def draw(rng: random.Random) -> Write:
    secret = f"{rng.choice(['', 'x'])}{SECRET}{rng.choice(['', 'y'])}"
    number = rng.randrange(99)
    value: Any = rng.choice([secret, [secret, 1], {"a": secret}, {secret: number}, number, "plain" * 30])
    match rng.randrange(7):
        case 0:
            return write(Delete((rng.choice("klmn"),)))
        case 1:
            return write(Append(("list",), (encode(value), encode(rng.randrange(9)))))
        case 2:
            return write(Set(("map", rng.choice("abc"), rng.choice("xyz")), encode(value)))
        case 3:
            items = [f"item {number}" * 3 for number in range(rng.randrange(20, 30))]
            return write(Set(("long",), encode([*items[: rng.randrange(20)], secret, *items])))
        case _:
            return write(Set((rng.choice("klmn"),), encode(value)))


async def state_of(daemon: Daemon, name: str = "s") -> State:
    return await daemon.authority.ask(lambda reader: reader.state(name))


async def read(daemon: Daemon, revision: int) -> object:
    found = await daemon.authority.ask(lambda reader: find(reader, reader.state("s"), Revision(revision)))
    return decode(found.root.encoded())


async def filled(daemon: Daemon, rng: random.Random, until: int, contents: dict[int, Any], pins: int = 0) -> None:
    while max(contents, default=0) < until:
        daemon.store.turned += 1
        outcome = await daemon.do(draw(rng))
        if isinstance(outcome, Written) and outcome.point.revision not in contents:
            contents[outcome.point.revision] = await read(daemon, outcome.point.revision)
            if pins and rng.randrange(pins) == 0:
                await snapshot(daemon, "pin")
    await daemon.authority.background.idle()


async def snapshot(daemon: Daemon, label: str) -> SnapshotTaken:
    taken = await daemon.do(TakeSnapshot(REF, Author(), f"snap{random.random()}", label, encode({"m": label}), 1))
    assert isinstance(taken, SnapshotTaken)
    return taken


async def keep(daemon: Daemon, revisions: int) -> int:
    await daemon.do(SetRetention("s", Retention(revisions=revisions), 1))
    return (await daemon.authority.housekeeper.keep("s")).revisions


def remains(folder: Path, text: str = SECRET) -> list[str]:
    """Say where a text still is: in the bytes of any file, and in what is compressed there."""
    needle = text.encode()
    found = [path.name for path in folder.iterdir() if path.is_file() and needle in path.read_bytes()]
    connection = apsw.Connection(str(folder / "lastgood.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows: Any = connection.execute("SELECT revision, entry FROM changes").fetchall()
        found += [f"revision {revision}" for revision, entry in rows if needle in unpacked(entry)]
        images: dict[tuple[int, int], bytes] = {}
        rows = connection.execute("SELECT log, revision, data FROM images ORDER BY log, revision, piece").fetchall()
        for log, revision, data in rows:
            images[log, revision] = images.get((log, revision), b"") + data
        found += [f"image {name}" for name, data in images.items() if needle in unpacked(data)]
        rows = connection.execute("SELECT kind, owner, value FROM records").fetchall()
        found += [f"record {kind} {owner}" for kind, owner, value in rows if needle in value]
    finally:
        connection.close()
    return found


async def check(daemon: Daemon, contents: dict[int, Any], kept: set[int]) -> None:
    """See that all that is kept reads as it did, but for the text, however it is rebuilt; and that the head matches."""
    for revision in sorted(kept & contents.keys()):
        assert await read(daemon, revision) == replaced(contents[revision]), revision
        state, _, _ = await rebuilt(daemon.store, Point("s", 1, revision))
        assert decode(state.tree.root.encoded()) == replaced(contents[revision]), revision
    present = await state_of(daemon)
    head = await daemon.store.head(LOG)
    again, _, _ = await rebuilt(daemon.store, Point("s", 1, 0))
    assert (head.revision, head.chain) == (present.revision, present.chain) == (again.revision, again.chain)
    assert told(again.tree) == told(present.tree)
    if not head.floor:
        bare = await replay(daemon.store, State("s", About(born=True)))
        assert told(bare.tree) == told(present.tree)
        assert bare.log_bytes == present.log_bytes
        for mark in await daemon.store.list_images(LOG):
            image = await daemon.store.image(LOG, mark.revision)
            assert image is not None
            there = await replay(daemon.store, State("s", About(born=True)), until=mark.revision)
            assert told(decode_image(image.data).tree) == told(there.tree)


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_left_and_the_rest_reads_as_before(tmp_path: Path, seed: int) -> None:
    """Written, imaged, perhaps compacted with pins, and redacted; the daemon still running, and after it has ended."""
    rng, contents = random.Random(seed), dict[int, Any]()
    async with running(tmp_path) as daemon:
        await filled(daemon, rng, 40, contents, pins=8)
        if seed % 2:
            await keep(daemon, 12)
        kept = {revision for revision in contents if (await state_of(daemon)).kept.has(revision)}
        chains = {row.revision: row.chain for row in await daemon.store.read_log(LOG, 0, 1000)}
        assert remains(tmp_path)
        done = await daemon.authority.redaction.redact(wanted())
        assert done.point.revision == 41
        assert done.revisions > 5
        assert remains(tmp_path) == []
        await daemon.authority.background.idle()
        after = {row.revision: row.chain for row in await daemon.store.read_log(LOG, 0, 1000)}
        assert {revision: after[revision] for revision in chains} == chains
        await check(daemon, contents, kept)
        await daemon.do(write(Set(("after",), encode("x" * 4_000))))
        await daemon.authority.background.idle()
    async with running(tmp_path) as daemon:
        await check(daemon, {revision: contents[revision] for revision in kept}, kept)
        assert await daemon.authority.redaction.redact(wanted("not there")) == Redacted(Point("s", 1, 42), 0, 0)
    assert remains(tmp_path) == []


async def test_the_present_is_seen_to_have_changed_where_it_was_replaced(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("a",), encode({"b": SECRET, "c": 1}))))
        await daemon.do(write(Set(("d",), encode([1, [SECRET]]))))
        done = await daemon.authority.redaction.redact(wanted())
        tree = (await state_of(daemon)).tree
        changes = {path: tree.last_change(path) for path in [("a", "b"), ("a", "c"), ("d", "1", "0"), ("d", "0")]}
        assert done == Redacted(Point("s", 1, 3), 2, 0)
        assert changes == {("a", "b"): 3, ("a", "c"): 1, ("d", "1", "0"): 3, ("d", "0"): 2}


async def test_in_the_past_only_it_is_a_revision_that_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("a",), encode(SECRET))))
        await daemon.do(write(Set(("a",), encode(1))))
        assert await daemon.authority.redaction.redact(wanted()) == Redacted(Point("s", 1, 3), 1, 0)
        assert (await state_of(daemon)).tree.last_change(("a",)) == 2
        assert await read(daemon, 1) == {"a": MARK}


async def test_the_records_of_the_state_and_of_its_workflow(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        identity = Identity("session", 1)
        ref = StateRef("wf")
        taken = await daemon.do(TakeSnapshot(ref, Author(), "snap", f"l {SECRET}", encode({SECRET: [SECRET]}), 1))
        assert isinstance(taken, SnapshotTaken)
        await daemon.ask(TakeSnapshot(ref, Author(), "other", f"m {SECRET}", None, 1), identity)
        await daemon.do(Claim("wf", Author(f"ann {SECRET}"), None, 0, "claim", f"on {SECRET}", LONG, LONG, 1))
        me = Author("ann", "wf", 1)
        await daemon.do(BeginStep("wf", 0, me))
        await daemon.do(ClaimEffect("wf", 0, "pay", me, "id", refuse_doubt=False))
        await daemon.do(RecordEffect("wf", 0, "pay", me, encode({"r": SECRET}), None, 1))
        await daemon.do(ClaimEffect("wf", 0, "tell", me, "id", refuse_doubt=False))
        await daemon.do(RecordEffect("wf", 0, "tell", me, None, Failure("E", f"no {SECRET}", encode([SECRET])), 1))
        await daemon.do(
            MakeCheckpoint("wf", 5, me, 3, Content(encode({"c": SECRET})), None, encode({"m": SECRET}), "copy", 1)
        )
        assert {name.split()[1] for name in remains(tmp_path) if name.startswith("record")} == {
            "snapshot",
            "session",
            "attempt",
            "effect",
            "workflow",
            "checkpoint",
        }
        done = await daemon.authority.redaction.redact(wanted(state="wf"))
        assert remains(tmp_path) == []
        assert (done.revisions, done.records) == (1, 7)
        workflow = await daemon.authority.ask(lambda reader: reader.workflow("wf"))
        results = {effect.key: effect.result for effect in workflow.all_effects()}
        assert results == {"pay": encode({"r": MARK}), "tell": None}
        repeated = await daemon.ask(TakeSnapshot(ref, Author(), "other", f"m {SECRET}", None, 1), identity)
        assert isinstance(repeated, SnapshotTaken)
        assert repeated.snapshot.label == f"m {MARK}"
    async with running(tmp_path) as daemon:
        again = await daemon.authority.ask(lambda reader: reader.workflow("wf"))
        assert (again.checkpoints, again.attempts, again.effects) == (
            workflow.checkpoints,
            workflow.attempts,
            workflow.effects,
        )
        labels = [snapshot.label for snapshot in (await state_of(daemon, "wf")).snapshots_in_order()]
        assert labels == [f"l {MARK}", f"m {MARK}"]
        copy = await state_of(daemon, workflow.in_order()[0].point.state_id)
        assert decode(copy.tree.root.encoded()) == {"c": MARK}
    assert remains(tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        write(Set(("keys", SECRET), encode(1))),
        Write(REF, Author(SECRET), Precondition(), (("set", Set(("k",), encode(1))),), 1),
        TakeSnapshot(REF, Author(), f"snap {SECRET}", None, None, 1),
    ],
)
async def test_where_it_cannot_be_replaced_nothing_is_done(tmp_path: Path, command: Command) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("k",), encode(SECRET))))
        await daemon.do(command)
        before = await daemon.store.read_log(LOG, 0, 100)
        with pytest.raises(NotRedactableError) as caught:
            await daemon.authority.redaction.redact(wanted())
        assert SECRET not in str(caught.value)
        assert await daemon.store.read_log(LOG, 0, 100) == before
        assert await read(daemon, 1) == {"k": SECRET}


async def test_a_path_can_be_compacted_away(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("keys", SECRET), encode(1))))
        await daemon.do(write(Set(("gone", SECRET), encode(1))))
        await daemon.do(write(Delete(("gone", SECRET))))
        with pytest.raises(NotRedactableError, match="compact it past revision 1"):
            await daemon.authority.redaction.redact(wanted())
        await daemon.do(write(Set(("k",), encode(2))))
        await keep(daemon, 1)
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path) == []
        assert await read(daemon, 5) == {"keys": {MARK: 1}, "gone": {}, "k": 2}
        assert (await state_of(daemon)).tree.last_change(("gone", MARK)) == 3


async def test_names_that_would_become_one_are_refused(tmp_path: Path) -> None:
    """One is in the log, the other only in the present: what came before has been compacted."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("m",), encode({MARK: 1}))))
        await daemon.do(write(Set(("n",), encode(1))))
        await keep(daemon, 1)
        await daemon.do(write(Set(("k",), encode({SECRET: 2}))))
        with pytest.raises(NotRedactableError, match="choose another replacement"):
            await daemon.authority.redaction.redact(wanted())
        assert await read(daemon, 3) == {"m": {MARK: 1}, "n": 1, "k": {SECRET: 2}}
        await daemon.authority.redaction.redact(wanted(replacement="<gone>"))
        assert await read(daemon, 4) == {"m": {MARK: 1}, "n": 1, "k": {"<gone>": 2}}


async def test_what_was_let_go_of_but_is_not_removed_yet_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        for number in range(20):
            await daemon.do(write(Set((f"k{number}",), encode(SECRET))))

        async def cut_off() -> bool:
            raise asyncio.CancelledError

        with monkeypatch.context() as patched, contextlib.suppress(asyncio.CancelledError):
            patched.setattr(daemon.store, "sweep", cut_off)
            await keep(daemon, 5)
        assert "revision 3" in remains(tmp_path)
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path) == []


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
    assert remains(tmp_path) == []


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
        assert remains(tmp_path) == []


async def test_lists_that_become_the_same_by_it_are_read_anew(tmp_path: Path) -> None:
    """Somebody has replaced it by hand before: in the log as it is now that list has not changed."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("l",), encode([SECRET, 1]))))
        await daemon.do(write(Set(("l",), encode([MARK, 1]))))
        await daemon.authority.redaction.redact(wanted())
        await check(daemon, {1: {"l": [SECRET, 1]}, 2: {"l": [MARK, 1]}}, {1, 2})


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
            assert remains(folder) == []
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
        assert remains(tmp_path) == []


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
        assert remains(tmp_path) == []


async def test_the_store_rewrites_only_what_was_read(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon, random.Random(1), 20, {})
        await keep(daemon, 5)
        row = (await daemon.store.read_log(LOG, 0, 1))[0]
        image = await daemon.store.image(LOG, 16)
        assert image is not None
        for rewrite in (
            Rewrite(LOG, [row._replace(chain=b"other")], [image]),
            Rewrite(LOG, [row._replace(revision=99)], [image]),
            Rewrite(LOG, [row], []),
            Rewrite(LOG, [row], [image, image._replace(revision=18)]),
            Rewrite(LogId("none", 1), [], []),
        ):
            assert isinstance((await daemon.store.commit([Unit(rewrites=[rewrite])]))[0], Moved), rewrite
        assert (await daemon.store.read_log(LOG, 0, 1))[0] == row
