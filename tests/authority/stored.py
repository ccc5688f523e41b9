"""A daemon on a real file under the commands of the engine's model; see ``test_storage_model``."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import initialize
from tests.authority.fragile import Daemon, FragileStore, Slow
from tests.authority.storage_model import Situation, answered_at
from tests.engine.model import Everything, PointOf, RefusalError
from tests.engine.promises import Answer, mark_of
from tests.engine.test_model import EngineMachine

from lastgood_daemon.authority import compaction, floors, holding, imaging, loader, memory, replay, scanning, targets
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.authority.targets import Time
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.sqlite import images

PAGES = (compaction, floors, loader, replay)
"""Where the log is read in pages."""


class StoredMachine(EngineMachine):
    """Does what the model does, and may crash or be full over it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lastgood-model-"))
        self.policies: dict[str, Retention] = {}
        self.asked_policies: dict[str, Retention | None] = {}
        self.touched: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self.slow: dict[str, Slow] = {}
        """What is under way, and perhaps held up: a read, a round, a redaction."""

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
        patches += [(holding, "AHEAD_SECONDS", 60)]  # by the clock of the machine, on which nothing here may depend
        for module, name, value in [*patches, (images, "PIECE", piece), (memory, "RECENT", 1)]:
            self.cleanup.enter_context(mock.patch.object(module, name, value))
        self.daemon: Any = Daemon(self.folder, budget)
        self.daemon.store.time = self.now

    @property
    def store(self) -> FragileStore:
        store: FragileStore = self.daemon.store
        return store

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
        if self.store.crashed:
            self.recover(None)
        else:
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
                    self.touched[workflow_id] = self.now if work.is_there else 0
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

    def recover(self, after: Everything | None) -> None:
        """Go on from what a crash has left; ``after``: what the command under way would have made."""
        raise NotImplementedError

    def check_everything(self, *, some: bool = False) -> None:
        """See that all that is kept is there, and that the rest says what there is."""
        raise NotImplementedError

    # What takes its time.

    def go_on(self, data: st.DataObject) -> None:
        if self.slow:
            name = data.draw(st.sampled_from(sorted(self.slow)))
            if name == "round":
                self.finish("redaction")  # it lets nothing be shortened
            if name not in self.slow:
                return
            self.slow[name].pause.go_on(data.draw(st.sampled_from([0, 0, *range(1, 20)])))
            self.after_slow(name)

    def finish(self, name: str) -> None:
        if name == "round":
            self.finish("redaction")
        if name in self.slow:
            self.slow[name].pause.go_on(0)
            self.after_slow(name)
        self.recover_if_crashed()

    def after_slow(self, name: str) -> None:
        """See what something that was under way has come to, or a part of it."""
        getattr(self, f"after_slow_{name}")()

    def recover_if_crashed(self) -> None:
        if self.store.crashed:
            self.recover(None)

    # What is drawn.

    def draw_target(self, data: st.DataObject, state_id: str) -> tuple[targets.Target, Any]:
        target, content = super().draw_target(data, state_id)
        if isinstance(target, Time):
            life = self.model.life(state_id)
            revision = answered_at(life, target.time)
            content = PointOf(state_id, life.incarnation, life.revision + 1 if revision is None else revision)
        return target, content
