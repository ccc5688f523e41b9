"""What is promised of what is kept, and of the rest; see ``test_storage_model``."""

import shutil
from pathlib import Path

from tests.authority.fragile import FragileStore
from tests.authority.storage_model import answered_at, nearest, oldest
from tests.authority.stored import StoredMachine
from tests.engine.model import Life
from tests.engine.promises import STATES

from lastgood_daemon.authority import targets
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.replay import rebuilt
from lastgood_daemon.authority.targets import Revision, Time
from lastgood_daemon.engine.errors import RevisionUnavailableError
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.log import decode_row
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import LogId


class KeptMachine(StoredMachine):
    """Looks at everything that the model knows."""

    def check_everything(self, *, some: bool = False) -> None:
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

    def policy_of(self, owner: str) -> Retention | None:
        found: Retention | None = self.daemon.ask(lambda reader: reader.retention(owner))
        return found

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
