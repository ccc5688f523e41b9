"""Redaction: nothing of the text is left anywhere, and the rest reads as before."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from tests.authority.at_work import LONG, running
from tests.authority.leaked import LOG, REF, check, filled, keep, read, state_of, wanted, write
from tests.authority.remains import Remain, remains
from tests.engine.test_redaction import MARK, SECRET

from lastgood_daemon.authority import compaction, imaging
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.steps import BeginStep
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Redacted, SnapshotTaken
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Content, StateRef
from lastgood_daemon.engine.edits import Delete, Set
from lastgood_daemon.engine.effect import Failure
from lastgood_daemon.engine.errors import NotRedactableError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import LogId, Moved, Rewrite, Unit
from lastgood_proto.values import decode, encode


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes thousands of revisions in life takes a few here."""
    monkeypatch.setattr(imaging, "FIRST_BYTES", 3_000)
    monkeypatch.setattr(compaction, "CHUNK", 7)


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
        assert remains(tmp_path, SECRET)
        done = await daemon.authority.redaction.redact(wanted())
        assert done.point.revision == 41
        assert done.revisions > 5
        assert remains(tmp_path, SECRET) == []
        await daemon.authority.background.idle()
        after = {row.revision: row.chain for row in await daemon.store.read_log(LOG, 0, 1000)}
        assert {revision: after[revision] for revision in chains} == chains
        await check(daemon, contents, kept)
        await daemon.do(write(Set(("after",), encode("x" * 4_000))))
        await daemon.authority.background.idle()
    async with running(tmp_path) as daemon:
        await check(daemon, {revision: contents[revision] for revision in kept}, kept)
        assert await daemon.authority.redaction.redact(wanted("not there")) == Redacted(Point("s", 1, 42), 0, 0)
    assert remains(tmp_path, SECRET) == []


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
        whats = {each.what for each in remains(tmp_path, SECRET)}
        assert whats > {"snapshot", "session", "attempt", "effect", "workflow", "checkpoint"}
        done = await daemon.authority.redaction.redact(wanted(state="wf"))
        assert remains(tmp_path, SECRET) == []
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
    assert remains(tmp_path, SECRET) == []


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
        assert remains(tmp_path, SECRET) == []
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


async def test_a_copy_that_no_checkpoint_refers_to_any_more_goes_too(tmp_path: Path) -> None:
    """One recorded again by the same attempt leaves the copy of the first behind, until there is a round of housekeeping."""
    async with running(tmp_path) as daemon:
        for number, value in enumerate([SECRET, "other"]):
            content = Content(encode({"c": value}))
            await daemon.do(MakeCheckpoint("s", 0, Author("me"), 3, content, None, None, f"copy {number}", 1))
            daemon.store.turned += 1
        assert Remain("copy 0", "revision 1") in remains(tmp_path, SECRET)
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path, SECRET) == []
        assert decode((await state_of(daemon, "copy 1")).tree.root.encoded()) == {"c": "other"}


async def test_what_was_let_go_of_but_is_not_removed_yet_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        for number in range(20):
            await daemon.do(write(Set((f"k{number}",), encode(SECRET))))

        async def cut_off() -> bool:
            raise asyncio.CancelledError

        with monkeypatch.context() as patched, contextlib.suppress(asyncio.CancelledError):
            patched.setattr(daemon.store, "sweep", cut_off)
            await keep(daemon, 5)
        assert Remain("s", "revision 3") in remains(tmp_path, SECRET)
        await daemon.authority.redaction.redact(wanted())
        assert remains(tmp_path, SECRET) == []


async def test_lists_that_become_the_same_by_it_are_read_anew(tmp_path: Path) -> None:
    """Somebody has replaced it by hand before: in the log as it is now that list has not changed."""
    async with running(tmp_path) as daemon:
        await daemon.do(write(Set(("l",), encode([SECRET, 1]))))
        await daemon.do(write(Set(("l",), encode([MARK, 1]))))
        await daemon.authority.redaction.redact(wanted())
        await check(daemon, {1: {"l": [SECRET, 1]}, 2: {"l": [MARK, 1]}}, {1, 2})


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
