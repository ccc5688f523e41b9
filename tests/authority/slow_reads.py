"""Readers that take their time; see ``test_storage_model``."""

import contextlib

from hypothesis import event
from hypothesis import strategies as st
from tests.authority.rounds import RoundsMachine
from tests.engine.model import Life

from lastgood_daemon.authority import targets
from lastgood_daemon.authority.targets import Revision
from lastgood_daemon.engine.errors import RevisionUnavailableError
from lastgood_daemon.store.protocol import StoreBrokenError


class ReadsMachine(RoundsMachine):
    """Has somebody read who is held up."""

    def __init__(self) -> None:
        super().__init__()
        self.read: tuple[str, int, list[bytes | None]] = ("", 0, [])

    def read_slowly(self, data: st.DataObject) -> None:
        if "read" in self.slow:
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

        self.slow["read"] = self.daemon.begin(read(), data.draw(st.integers(1, 12)), alone=False)
        self.after_slow_read()

    def content_of(self, life: Life, revision: int) -> bytes | None:
        return life.revisions[revision].bytes_at[()] if life.has(revision) else None

    def after_slow_read(self) -> None:
        if self.daemon.until_held_up(self.slow["read"]):
            event("read held up")
            return
        slow = self.slow.pop("read")
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
