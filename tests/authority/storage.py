"""The daemon's storage at work, against a model; see ``test_storage_model``."""

import asyncio
import contextlib
import shutil

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.authority.slow_reads import ReadsMachine
from tests.engine.model import Everything
from tests.engine.promises import STATES, mark_of
from tests.engine.test_model import STEPS

FROM_ENGINE = tuple(step for step in STEPS if step not in {"batch_ends", "image", "restart"})
OF_STORAGE = (
    *("set_policy", "set_policy", "set_policy"),
    *("housekeep",) * 7,
    *("busy", "busy", "busy", "busy", "refer", "refer"),
    *("read_slowly", "read_slowly"),
    *("go_on", "go_on", "go_on"),
    *("restart", "restart", "crash", "crash", "crash", "fill_up"),
)


class StorageMachine(ReadsMachine):
    """Has all of that happen, and the daemon end, crash and run out of room meanwhile."""

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

    def finish_everything(self) -> None:
        self.finish("read")
        self.finish("round")

    def recover(self, after: Everything | None) -> None:
        event("crashed")
        note("-- recovers")
        for slow in self.slow.values():
            slow.task.cancel()
            with contextlib.suppress(BaseException):
                self.daemon.wait(asyncio.wait_for(slow.task, 1))
        self.slow = {}
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
