"""The daemon's storage at work, against a model; see ``test_storage_model``."""

import asyncio
import contextlib
import shutil

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.authority.redactions import RedactionsMachine
from tests.engine.model import Everything
from tests.engine.promises import STATES
from tests.engine.test_model import STEPS

FROM_ENGINE = tuple(step for step in STEPS if step not in {"batch_ends", "image", "restart"})
OF_STORAGE = (
    *("set_policy", "set_policy", "set_policy"),
    *("housekeep",) * 7,
    *("busy", "busy", "busy", "busy", "refer", "refer"),
    *("read_slowly", "read_slowly"),
    *("leak", "leak", "leak", "redact", "redact", "redact"),
    *("go_on", "go_on", "go_on"),
    *("restart", "restart", "crash", "crash", "crash", "fill_up"),
)


class StorageMachine(RedactionsMachine):
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
            self.do_much(data)

    def fill_up(self, data: st.DataObject) -> None:
        self.store.full_in = data.draw(st.sampled_from([1, 1, 2, 3, 4, 5, 6, 8, 12, 20]))
        if data.draw(st.booleans()):
            self.do_much(data)

    def do_much(self, data: st.DataObject) -> None:
        """Do what takes many writes, any of which may be the one."""
        getattr(self, data.draw(st.sampled_from(["housekeep", "redact"])))(data)

    def finish_everything(self) -> None:
        self.finish("read")
        self.finish("redaction")
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
        if self.of and after is None:
            self.settle_redaction()
        self.of = ""
        was = self.model
        if after is not None and self.is_there(after):
            self.accept(after)
        found = {owner: self.policy_of(owner) for owner in ("", *STATES)}
        if after is was and found != {owner: self.policies.get(owner) for owner in found}:
            assert found == {owner: self.asked_policies.get(owner) for owner in found}
            self.adopt_policies(found)
        self.settle()
        self.check_everything()
