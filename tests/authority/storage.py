"""The daemon's storage at work, against a model; see ``test_storage_model``."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.authority.fragile import Daemon, FragileStore, Slow
from tests.authority.storage_model import Situation, Sizes, answered_at, nearest, oldest
from tests.engine.model import Everything, Life, Mark, PointOf, RefusalError
from tests.engine.promises import STATES, Answer, mark_of
from tests.engine.test_model import STEPS, EngineMachine

from lastgood_daemon.authority import compaction, floors, imaging, loader, memory, replay, scanning, targets
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.layer import state_key
from lastgood_daemon.authority.outcomes import Done, Outcome, Refused
from lastgood_daemon.authority.replay import rebuilt
from lastgood_daemon.authority.targets import Revision, Time
from lastgood_daemon.engine.errors import EndedError, RevisionUnavailableError
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.log import Author, decode_row
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import LogId, StoreBrokenError
from lastgood_daemon.store.sqlite import images

FROM_ENGINE = tuple(step for step in STEPS if step not in {"batch_ends", "image", "restart"})
OF_STORAGE = (
    *("set_policy", "set_policy", "set_policy"),
    *("housekeep",) * 7,
    *("busy", "busy", "busy", "busy", "refer", "refer"),
    *("read_slowly", "read_slowly"),
    *("go_on", "go_on", "go_on"),
    *("restart", "restart", "crash", "crash", "crash", "fill_up"),
)

policies = st.builds(
    Retention,
    revisions=st.sampled_from([None, 1, 2, 3, 5]),
    age=st.sampled_from([None, None, 1, 5, 20]),
    bytes=st.sampled_from([None, None, 1, 200, 600]),
    ttl=st.sampled_from([None, None, None, None, 30]),
    checkpoints=st.sampled_from([None, None, 1, 2]),
    superseded=st.sampled_from([None, None, 0]),
)

PAGES = (compaction, floors, loader, replay)
"""Where the log is read in pages."""


class StorageMachine(EngineMachine):
    """See ``test_storage_model``."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lastgood-model-"))
        self.policies: dict[str, Retention] = {}
        self.asked_policies: dict[str, Retention | None] = {}
        self.touched: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self.round: Slow | None = None
        self.expected: Situation | None = None
        """What is to come of the round under way, if nobody disturbs it."""
        self.round_policies: Situation | None = None
        self.reading: Slow | None = None
        self.read: tuple[str, int, list[bytes | None]] = ("", 0, [])

    @initialize(
        budget=st.sampled_from([0, 0, 10_000, 10**9]),
        chunk=st.sampled_from([1, 2, 5]),
        page=st.sampled_from([1, 2, 3, 1000]),
        piece=st.sampled_from([50, 1000, 256 * 1024]),
        first=st.sampled_from([0, 1000, 10**6]),
    )
    def open(self, budget: int, chunk: int, page: int, piece: int, first: int) -> None:
        """What takes thousands of revisions in life takes a few here."""
        patches = [(module, "PAGE", page) for module in PAGES]
        patches += [(compaction, "CHUNK", chunk), (scanning, "PAGE", page), (imaging, "FIRST_BYTES", first)]
        for module, name, value in [*patches, (images, "PIECE", piece), (memory, "RECENT", 1)]:
            self.cleanup.enter_context(mock.patch.object(module, name, value))
        self.daemon: Any = Daemon(self.folder, budget)
        self.daemon.store.time = self.now

    @property
    def store(self) -> FragileStore:
        store: FragileStore = self.daemon.store
        return store

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(FROM_ENGINE * 2 + OF_STORAGE * 3))
        note(f"-- {name}")
        getattr(self, name)(data)
        self.recover_if_crashed()

    def teardown(self) -> None:
        try:
            if hasattr(self.daemon, "store"):
                self.finish_everything()
                self.restart(None)
                self.daemon.close()
        finally:
            self.cleanup.close()
            shutil.rmtree(self.folder)

    # The daemon around the commands.

    def time_passes(self, data: st.DataObject) -> None:
        self.now += data.draw(st.integers(0, 10))
        self.store.time = self.now

    def run(self, command: Command, expected: Callable[[Everything], Answer]) -> Outcome | None:
        note(f"{self.now}: {command}")
        try:
            answer: Answer | None = expected(self.model)
            refusal = None
        except RefusalError as error:
            answer, refusal = None, error.kind
        event(f"{type(command).__name__} {'done' if refusal is None else refusal.__name__}")
        outcome = self.ask_for(command, None if answer is None else answer.after)
        if outcome is None:
            return None
        if isinstance(outcome, Refused):
            note(f"  refused: {outcome}")
            assert refusal is not None, outcome
            assert outcome.reason == refusal.reason
            outcome = None
        else:
            assert refusal is None, f"{outcome!r}, expected {refusal}"
            assert answer is not None
            for name, value in answer.outcome.items():
                assert getattr(outcome, name) == value, name
            self.accept(answer.after)
        if not self.store.crashed:
            self._check_all()
        return outcome

    def ask_for(self, command: Command, after: Everything | None) -> Outcome | None:
        """Have a command done; nothing where the daemon crashed over it, or the disk was full."""
        self.store.was_full = False
        outcome: Outcome = self.daemon.do(command)
        if isinstance(outcome, Refused) and outcome.reason == "OVERLOADED":
            assert self.store.was_full
            event("refused by a full disk")
            return None
        if isinstance(outcome, Refused) and outcome.reason in {"OUTCOME_UNKNOWN", "UNAVAILABLE"}:
            assert self.store.crashed
            self.recover(after)
            return None
        return outcome

    def accept(self, after: Everything) -> None:
        for workflow_id, work in after.works.items():
            if work != self.model.work(workflow_id) or work is not self.model.work(workflow_id):
                known = self.model.work(workflow_id)
                if work.marks != known.marks or (work.attempt, work.began) != (known.attempt, known.began) or work.marks:
                    self.touched[workflow_id] = self.now
        for state_id, life in after.lives.items():
            known_snapshots = self.model.life(state_id).snapshots
            for snapshot_id, _ in life.snapshots:
                if (snapshot_id, _) not in known_snapshots:
                    self.taken[snapshot_id] = self.now
        self.model = after

    @property
    def situation(self) -> Situation:
        return Situation(self.model, self.now, dict(self.policies), dict(self.touched), dict(self.taken))

    @situation.setter
    def situation(self, situation: Situation) -> None:
        self.model, self.touched = situation.model, dict(situation.touched)

    # What happens to the daemon.

    def restart(self, data: st.DataObject | None) -> None:
        del data
        self.finish_everything()
        self.daemon.restart()
        self.check_everything()
        self.check_the_log_alone()

    def crash(self, data: st.DataObject) -> None:
        """Have it crash now, or at one of its next writes."""
        self.store.crash_in = data.draw(st.sampled_from([0, 1, 1, 2, 3, 4, 5, 6, 8, 12, 20, 40]))
        self.store.after = data.draw(st.booleans())
        if not self.store.crash_in:
            self.store.crash()
        elif data.draw(st.booleans()):
            self.housekeep(data)

    def fill_up(self, data: st.DataObject) -> None:
        self.store.full_in = data.draw(st.sampled_from([1, 1, 2, 3, 4, 5, 6, 8, 12, 20]))
        if data.draw(st.booleans()):
            self.housekeep(data)

    def recover_if_crashed(self) -> None:
        if self.store.crashed:
            self.recover(None)

    def recover(self, after: Everything | None) -> None:
        """Go on from what a crash has left; ``after``: what the command under way would have made."""
        event("crashed")
        note("-- recovers")
        for slow in (self.round, self.reading):
            if slow is not None:
                slow.task.cancel()
                with contextlib.suppress(BaseException):
                    self.daemon.wait(asyncio.wait_for(slow.task, 1))
        self.round = self.reading = None
        self.daemon.recover()
        was = self.model
        if after is not None and self.is_there(after):
            self.accept(after)
        found = {owner: self.policy_of(owner) for owner in ("", *STATES)}
        if after is was and found != {owner: self.policies.get(owner) for owner in found}:
            assert found == {owner: self.asked_policies.get(owner) for owner in found}
            self.adopt_policies(found)
        self.settle()
        self.check_everything()

    def policy_of(self, owner: str) -> Retention | None:
        found: Retention | None = self.daemon.ask(lambda reader: reader.retention(owner))
        return found

    def is_there(self, after: Everything) -> bool:
        """Whether what a command would have made is in the file."""
        for state_id in {*self.model.lives, *after.lives}:
            was, would = self.model.life(state_id), after.life(state_id)
            if (was.incarnation, was.revision, was.snapshots) != (would.incarnation, would.revision, would.snapshots):
                state = self.daemon.state(state_id)
                snapshots = tuple((s.snapshot_id, s.revision) for s in state.snapshots_in_order())
                return bool(
                    (state.incarnation, state.revision, snapshots) == (would.incarnation, would.revision, would.snapshots)
                )
        for workflow_id, work in after.works.items():
            if work != self.model.work(workflow_id):
                workflow = self.daemon.workflow(workflow_id)
                found = {c.order: mark_of(c) for c in workflow.in_order()}
                return bool((workflow.progress.attempt, found) == (work.attempt, work.marks))
        return True

    # What makes a log that is worth shortening.

    def busy(self, data: st.DataObject) -> None:
        """Write several times, with snapshots in between, so that there are gaps."""
        for _ in range(data.draw(st.integers(2, 4))):
            for _ in range(data.draw(st.integers(1, 3))):
                self.write(data)
            self.take_snapshot(data)

    def refer(self, data: st.DataObject) -> None:
        """Have a workflow refer to a revision of another one's state, often while a round is held up."""
        state_id = data.draw(st.sampled_from(["wf", "wf", "y"]))
        life = self.model.life(state_id)
        revision = data.draw(st.integers(0, life.revision))
        source = Point(state_id, life.incarnation, revision)
        step, workflow_id = data.draw(st.integers(0, 3)), "x"

        def expected(before: Everything) -> Answer:
            if not life.has(revision):
                raise RefusalError(RevisionUnavailableError)
            mark = Mark(step, 0, 3, PointOf(state_id, life.incarnation, revision))
            return Answer(before.with_work(workflow_id, before.work(workflow_id).marked(mark)))

        self.run(MakeCheckpoint(workflow_id, step, Author("ann"), 3, source, None, None, "", 1), expected)

    # Policies, and rounds.

    def set_policy(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(["", "wf", "wf", "x", "y"]))
        policy = data.draw(st.none() | policies | policies | policies)
        note(f"{owner!r}: {policy}")
        self.asked_policies = {**self.policies, owner: policy}
        outcome = self.ask_for(SetRetention(owner, policy, 1), self.model)
        if outcome is not None:
            assert outcome == Done(existed=owner in self.policies)
            self.adopt_policies(self.asked_policies)

    def adopt_policies(self, found: dict[str, Retention | None]) -> None:
        self.policies = {owner: policy for owner, policy in found.items() if policy is not None}

    def housekeep(self, data: st.DataObject) -> None:
        """Do a round, or begin one and hold it up somewhere."""
        if self.round is not None:
            self.go_on(data)
            return
        self.now += 1
        self.store.time = self.now
        only = data.draw(st.sampled_from([None, None, None, "wf", "x"]))
        steps = data.draw(st.sampled_from([0, 0, 0, *range(1, 30), 40, 50, 60, 80]))
        self.store.was_full = False
        if not (self.store.crash_in > 0 or self.store.full_in > 0):
            self.expected = self.situation.after_a_round(only, self.sizes())
        self.round_policies = self.situation
        self.round = self.daemon.begin(self.daemon.authority.housekeeper.keep(only), steps, alone=True)
        if steps:
            self.expected = None
        self.after_slow_round()

    def sizes(self) -> Sizes:
        found = {}
        for state_id in STATES:
            log = LogId(state_id, self.model.life(state_id).incarnation)
            found[state_id] = {row.revision: len(row.entry) for row in self.daemon.wait(self.store.read_log(log, 0, 10**6))}
        return found

    def go_on(self, data: st.DataObject) -> None:
        slow_ones = [slow for slow in (self.round, self.reading) if slow is not None]
        if not slow_ones:
            return
        slow = data.draw(st.sampled_from(slow_ones))
        slow.pause.go_on(data.draw(st.sampled_from([0, 0, *range(1, 20)])))
        if slow is self.round:
            self.after_slow_round()
        else:
            self.after_slow_read()

    def finish_everything(self) -> None:
        if self.reading is not None:
            self.reading.pause.go_on(0)
            self.after_slow_read()
        self.recover_if_crashed()
        if self.round is not None:
            self.round.pause.go_on(0)
            self.after_slow_round()
        self.recover_if_crashed()

    def after_slow_round(self) -> None:
        """See what a round, or a part of one, has come to."""
        assert self.round is not None
        if self.daemon.until_held_up(self.round):
            note("  held up")
            event("round held up")
            self.settle()
            return
        slow, self.round = self.round, None
        failed = slow.task.exception()
        note(f"  {failed or slow.task.result()}")
        if self.store.crashed:
            assert isinstance(failed, (EndedError, StoreBrokenError, type(None))), failed
            self.expected = None
            return
        if failed is not None:
            assert isinstance(failed, EndedError), failed
            assert failed.reason == "OVERLOADED"
            assert self.store.was_full
            event("round ended by a full disk")
        else:
            assert slow.task.result().damaged == 0
            event(f"round {'disturbed' if self.expected is None else 'undisturbed'}")
        self.settle()
        if self.expected is not None and not self.store.was_full:
            self.check_round(self.expected)
        self.expected = None
        self.check_everything(some=True)

    def check_round(self, expected: Situation) -> None:
        note(f"  expected {expected.model.lives.keys()}")
        assert set(self.model.lives) == set(expected.model.lives)
        for state_id, life in expected.model.lives.items():
            actual = self.model.life(state_id)
            assert (actual.incarnation, actual.floor) == (life.incarnation, life.floor), state_id
            if actual.floor > self.round_floor(state_id):
                assert actual.between == life.between, state_id
            else:  # where the floor stays, what is pinned no more may stay, too
                assert life.between <= actual.between
        for workflow_id, work in expected.model.works.items():
            assert self.model.work(workflow_id) == work, workflow_id

    def round_floor(self, state_id: str) -> int:
        assert self.round_policies is not None
        return self.round_policies.model.life(state_id).floor

    def settle(self) -> None:
        """Have the model let go of what a round has let go of, if it may."""
        situation = self.situation
        for workflow_id in STATES:
            workflow, work = self.daemon.workflow(workflow_id), situation.model.work(workflow_id)
            state, life = self.daemon.state(workflow_id), situation.model.life(workflow_id)
            if state.incarnation > life.incarnation or workflow.progress.attempt > work.attempt:
                assert situation.expirable(workflow_id), workflow_id
                event("expired")
                situation = situation.without(workflow_id)
                continue
            gone = set(work.marks) - {checkpoint.order for checkpoint in workflow.in_order()}
            if gone:
                assert gone == situation.prunable(workflow_id)
                event("pruned")
                situation = situation.without_marks(workflow_id, gone)
        for state_id in list(situation.model.lives):
            if situation.hidden(state_id) and self.daemon.wait(self.store.record(state_key(state_id))) is None:
                assert not situation.pins(state_id), state_id
                event("copy dropped")
                situation = situation.without_copy(state_id)
        for state_id in STATES:
            situation = self.settle_kept(situation, state_id)
        self.situation = situation

    def settle_kept(self, situation: Situation, state_id: str) -> Situation:
        state, life = self.daemon.state(state_id), situation.model.life(state_id)
        floor = state.kept.floor.revision
        between = frozenset(pin.revision for pin in state.kept.between)
        if (floor, between) == (life.floor, life.between):
            return situation
        event("shortened")
        assert self.round_policies is not None
        # A round that is held up before it has looked at the policies goes by those that were set meanwhile.
        exactly = situation.policies == self.round_policies.policies and not self.by_size(state_id)
        at_most = situation.floor(state_id, {}) if exactly else life.revision
        assert life.floor <= floor <= at_most, state_id
        had = {revision for revision in range(1, floor) if life.has(revision)}
        assert {pin for pin in situation.pins(state_id) if 0 < pin < floor} <= between <= had, state_id
        for kept in (*state.kept.between, state.kept.floor):
            assert kept.timestamp == life.revisions[kept.revision].timestamp
        return situation.with_kept(state_id, floor, between)

    def by_size(self, state_id: str) -> bool:
        assert self.round_policies is not None
        return self.round_policies.policy(state_id).bytes is not None

    # A reader that takes its time.

    def read_slowly(self, data: st.DataObject) -> None:
        if self.reading is not None:
            self.go_on(data)
            return
        state_id = data.draw(st.sampled_from(["wf", "wf", "x"]))
        life = self.model.life(state_id)
        revision = data.draw(st.integers(0, life.revision))
        self.read = (state_id, revision, [self.content_of(life, revision)])

        async def read() -> bytes:
            found = await self.daemon.authority.ask(
                lambda reader: targets.find(reader, reader.state(state_id), Revision(revision))
            )
            return bytes(found.root.encoded())

        self.reading = self.daemon.begin(read(), data.draw(st.integers(1, 12)), alone=False)
        self.after_slow_read()

    def content_of(self, life: Life, revision: int) -> bytes | None:
        return life.revisions[revision].bytes_at[()] if life.has(revision) else None

    def after_slow_read(self) -> None:
        assert self.reading is not None
        if self.daemon.until_held_up(self.reading):
            event("read held up")
            return
        slow, self.reading = self.reading, None
        if self.store.crashed:
            with contextlib.suppress(StoreBrokenError, RevisionUnavailableError):
                slow.task.result()
            return
        state_id, revision, may = self.read
        may.append(self.content_of(self.model.life(state_id), revision))
        try:
            assert slow.task.result() in may
        except RevisionUnavailableError:
            event("read gone meanwhile")
            assert may[-1] is None

    # What is promised.

    def check_everything(self, *, some: bool = False) -> None:
        """See that all that is kept is there, and that the rest says what there is."""
        for state_id, life in self.model.lives.items():
            self.check_revisions(state_id, life, some=some)
            if not some:
                self.check_times(state_id, life)
                self.check_history(state_id, life)
        self._check_all()
        for workflow_id in STATES:
            self.check_workflow(workflow_id)
        for owner in ("", *STATES):
            assert self.policy_of(owner) == self.policies.get(owner)

    def check_revisions(self, state_id: str, life: Life, *, some: bool) -> None:
        for revision in range(life.revision + 2):
            ends = {0, life.floor, life.floor + 1, life.floor - 1, life.revision + 1, *life.between}
            if some and revision not in ends:
                continue
            if life.has(revision):
                assert self.content(state_id, Revision(revision)) == life.revisions[revision].bytes_at[()], revision
                if revision >= max(life.floor, 1):
                    tree = self.daemon.tree(Point(state_id, life.incarnation, revision))
                    assert tree.timestamp == life.revisions[revision].timestamp
                    for path, change in life.revisions[revision].last_change.items():
                        assert tree.last_change(path) == change, (
                            state_id,
                            life.floor,
                            life.between,
                            life.revision,
                            revision,
                            path,
                        )
                continue
            refused = self.refusal(state_id, Revision(revision))
            there = {"oldest": oldest(life), "newest": life.revision}
            there["nearest"] = life.revision if revision > life.revision else nearest(life, revision)
            assert refused == {"revision": str(revision)} | {name: str(value) for name, value in there.items()}

    def check_times(self, state_id: str, life: Life) -> None:
        times = {revision.timestamp for revision in life.revisions}
        for time in sorted({*times, *(time - 1 for time in times if time)}):
            revision = answered_at(life, time)
            if revision is None:
                found = self.refusal(state_id, Time(time))
                assert (found["oldest"], found["newest"]) == (str(oldest(life)), str(life.revision))
                assert life.has(int(found["nearest"]))
            else:
                assert self.content(state_id, Time(time)) == life.revisions[revision].bytes_at[()], time

    def content(self, state_id: str, target: Revision | Time) -> bytes:
        found = self.daemon.ask(lambda reader: targets.find(reader, reader.state(state_id), target))
        return bytes(found.root.encoded())

    def refusal(self, state_id: str, target: Revision | Time) -> dict[str, str]:
        try:
            self.content(state_id, target)
        except RevisionUnavailableError as error:
            return error.metadata
        message = f"{state_id} has {target}, which is gone"
        raise AssertionError(message)

    async def listed(self, state: State, question: HistoryQuestion) -> list[HistoryItem]:
        return [item async for item in self.daemon.authority.history(state, question)]

    def check_history(self, state_id: str, life: Life) -> None:
        """The revisions above the floor in which something changed, of some paths."""
        state: State = self.daemon.state(state_id)
        for path in sorted(life.revisions[-1].bytes_at)[:4]:
            expected = [
                revision
                for revision in range(life.floor + 1, life.revision + 1)
                if life.revisions[revision].bytes_at.get(path, b"?") != life.revisions[revision - 1].bytes_at.get(path, b"?")
                and path in life.revisions[revision - 1].bytes_at
            ]
            items = self.daemon.wait(self.listed(state, HistoryQuestion(path, 0, None, newest_first=False, limit=1000)))
            known = [item.revision for item in items if path in life.revisions[item.revision - 1].bytes_at]
            assert [revision for revision in known if revision > life.floor] == expected, path
            assert all(life.has(item.revision) for item in items), path
            for item in items:
                there = None if item.node is None else item.node.encoded()
                assert there == life.revisions[item.revision].bytes_at.get(path, there)

    def check_the_log_alone(self) -> None:
        """Bring every state back from a copy of the file without images, but for those that the log begins at."""
        copy = self.folder / "copy"
        copy.mkdir()
        for name in self.daemon.file.parent.iterdir():
            if not name.name.endswith("-shm"):
                shutil.copyfile(name, copy / name.name)
        self.daemon.wait(self._check_the_log_alone(copy))
        shutil.rmtree(copy)

    async def _check_the_log_alone(self, copy: Path) -> None:
        store = FragileStore.open(copy / self.daemon.file.name)
        try:
            for state_id, life in self.model.lives.items():
                log = LogId(state_id, life.incarnation)
                if not life.revision:
                    continue
                begins = (await store.head(log)).floor
                rows = await store.read_log(log, 0, 10**6)
                squashed = [row.revision for row in rows if not hasattr(decode_row(row.entry), "edits")]
                needed = {begins, max(squashed, default=begins)}
                for mark in await store.list_images(log):
                    if mark.revision not in needed:
                        await store.drop_image(log, mark.revision)
                found = await rebuilt(store, Point(state_id, life.incarnation, 0))
                assert found.state.tree.root.encoded() == life.revisions[-1].bytes_at[()]
                for path, change in life.revisions[-1].last_change.items():
                    assert found.state.tree.last_change(path) == change, path
                while await store.sweep():
                    pass
        finally:
            await store.close()

    # What is drawn.

    def draw_target(self, data: st.DataObject, state_id: str) -> tuple[targets.Target, Any]:
        target, content = super().draw_target(data, state_id)
        if isinstance(target, Time):
            life = self.model.life(state_id)
            revision = answered_at(life, target.time)
            content = PointOf(state_id, life.incarnation, life.revision + 1 if revision is None else revision)
        return target, content
