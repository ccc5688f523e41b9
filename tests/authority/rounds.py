"""Rounds of housekeeping, held up anywhere, by policies that change; see ``test_storage_model``."""

from hypothesis import event, note
from hypothesis import strategies as st
from tests.authority.kept import KeptMachine
from tests.authority.storage_model import Situation, Sizes
from tests.engine.model import Everything, Mark, PointOf, RefusalError
from tests.engine.promises import STATES, Answer

from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.layer import state_key
from lastgood_daemon.authority.outcomes import Done
from lastgood_daemon.engine.errors import EndedError, RevisionUnavailableError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import LogId, StoreBrokenError

policies = st.builds(
    Retention,
    revisions=st.sampled_from([None, 1, 2, 3, 5]),
    age=st.sampled_from([None, None, 1, 5, 20]),
    bytes=st.sampled_from([None, None, 1, 200, 600]),
    ttl=st.sampled_from([None, None, None, None, 30]),
    checkpoints=st.sampled_from([None, None, 1, 2]),
    superseded=st.sampled_from([None, None, 0]),
)


class RoundsMachine(KeptMachine):
    """Lets go of what no policy keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: Situation | None = None
        """What is to come of the round under way, if nobody disturbs it."""
        self.round_policies: Situation | None = None

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
        if "round" in self.slow:
            self.go_on(data)
            return
        self.finish("redaction")  # it lets nothing be shortened
        self.now += 1
        self.store.time = self.now
        only = data.draw(st.sampled_from([None, None, None, "wf", "x"]))
        steps = data.draw(st.sampled_from([0, 0, 0, *range(1, 30), 40, 50, 60, 80]))
        self.store.was_full = False
        if not (self.store.crash_in > 0 or self.store.full_in > 0):
            self.expected = self.situation.after_a_round(only, self.sizes())
        self.round_policies = self.situation
        self.slow["round"] = self.daemon.begin(self.daemon.authority.housekeeper.keep(only), steps, alone=True)
        if steps:
            self.expected = None
        self.after_slow_round()

    def sizes(self) -> Sizes:
        found = {}
        for state_id in STATES:
            log = LogId(state_id, self.model.life(state_id).incarnation)
            found[state_id] = {row.revision: len(row.entry) for row in self.daemon.wait(self.store.read_log(log, 0, 10**6))}
        return found

    def after_slow_round(self) -> None:
        """See what a round, or a part of one, has come to."""
        if self.daemon.until_held_up(self.slow["round"]):
            note("  held up")
            event("round held up")
            self.settle()
            return
        slow = self.slow.pop("round")
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
        situation = self.settle_copies(situation)
        for state_id in STATES:
            situation = self.settle_kept(situation, state_id)
        self.situation = situation

    def settle_copies(self, situation: Situation) -> Situation:
        for state_id in list(situation.model.lives):
            if situation.hidden(state_id) and self.daemon.wait(self.store.record(state_key(state_id))) is None:
                assert not situation.pins(state_id), state_id
                event("copy dropped")
                situation = situation.without_copy(state_id)
        return situation

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
