"""The daemon around its commands, without tasks or files: batches that become durable or are lost, and restarts.

Commands are evaluated as the committer would: each on a layer of its own over that of its batch; what is not in memory is
brought from a ``Disk``, which checks every expectation of what is committed to it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast
from unittest import mock

import msgspec
from immutables import Map
from tests.support.rows import entry_of

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.layer import Layer, state_key, workflow_key
from lastgood_daemon.authority.outcomes import Outcome, decode_outcome, encode_outcome
from lastgood_daemon.authority.world import (
    Need,
    NotLoadedError,
    Others,
    OthersNeed,
    StateNeed,
    TimeNeed,
    TreeNeed,
    WorkflowNeed,
    World,
    written_by_others,
)
from lastgood_daemon.engine import labour
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.checkpoints import Checkpoints
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.history import Step
from lastgood_daemon.engine.image import Image, decode_image, encode_image
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import chain
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import About, Snapshot, State
from lastgood_daemon.engine.trail import Trail
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.engine.workflow import Progress, Workflow
from lastgood_daemon.store.protocol import LogId, LogRow, RecordKey, Unit

T = TypeVar("T")


class Disk:
    """What has been committed; refuses what does not fit it."""

    def __init__(self) -> None:
        self.logs: dict[LogId, list[LogRow]] = {}
        self.records: dict[RecordKey, tuple[bytes, int]] = {}
        self.images: dict[LogId, dict[int, bytes]] = {}

    def image(self, state: State) -> None:
        """Keep an image of a durable state."""
        made = encode_image(Image(state.tree, state.chain, state.log_bytes))
        self.images.setdefault(LogId(state.state_id, state.incarnation), {})[state.revision] = made

    def commit(self, unit: Unit) -> None:
        assert not unit.renames, "nothing is imported here"
        for append in unit.appends:
            rows = self.logs.setdefault(append.log, [])
            assert len(rows) == append.expected_head
            rows.extend(append.rows)
            assert [row.revision for row in rows] == list(range(1, len(rows) + 1))
        for key, value, expected_version in unit.writes:
            assert self.records.get(key, (b"", 0))[1] == expected_version
            if value is None:
                del self.records[key]
            else:
                self.records[key] = (value, expected_version + 1)
        for log in unit.drops:
            self.logs.pop(log, None)
            self.images.pop(log, None)


class Librarian:
    """Brings what is not in memory from the disk, as ``loader`` does."""

    def __init__(self, disk: Disk, world: World) -> None:
        self._disk = disk
        self._world = world

    def bring(self, need: Need) -> bool:
        """Bring something, and say whether it was there to be brought."""
        world = self._world
        match need:
            case StateNeed(state_id):
                world.states[state_id] = self.state(state_id)
            case WorkflowNeed(workflow_id):
                world.workflows[workflow_id] = self.workflow(workflow_id)
            case TreeNeed(point):
                rows = self._disk.logs.get(LogId(point.state_id, point.incarnation), [])
                if len(rows) < point.revision:
                    return False
                self.rebuilt(point.state_id, point.incarnation, point.revision, imaged=True)
                world.trees.put(point, self.last_rebuilt.tree)
            case TimeNeed(state_id, incarnation, time):
                rows = self._disk.logs.get(LogId(state_id, incarnation), [])
                times = [(entry_of(row.entry).timestamp, row.revision) for row in rows]
                world.times.put(need, max((revision for timestamp, revision in times if timestamp <= time), default=0))
            case OthersNeed(log, after):
                rows = self._disk.logs.get(log, [])
                world.others_found.put(need, Others(len(rows), written_by_others(log.state_id, rows[after:])))
        return True

    def rebuilt(self, state_id: str, incarnation: int, until: int | None = None, *, imaged: bool = False) -> list[Step]:
        """Replay a log from its bytes, checking its chain; with ``imaged`` from the nearest image on."""
        state, log = State(state_id, About(incarnation=incarnation)), LogId(state_id, incarnation)
        images = [revision for revision in self._disk.images.get(log, {}) if until is None or revision <= until]
        if imaged and images:
            tree, image_chain, log_bytes = decode_image(self._disk.images[log][max(images)])
            state = replace(state, tree=tree, chain=image_chain, log_bytes=log_bytes, trail=Trail(oldest=tree.revision + 1))
        steps = []
        for row in self._disk.logs.get(log, [])[state.revision : until]:
            entry = entry_of(row.entry)
            assert chain(state.chain, row.revision, entry) == row.chain
            after = state.replay(entry, row.chain)
            steps.append(Step(entry, state.tree, after.tree))
            state = after
        self.last_rebuilt = state
        return steps

    def state(self, state_id: str) -> State:
        """Rebuild a state with its snapshots."""
        record = self._record(state_key(state_id))
        about = About() if record is None else msgspec.msgpack.decode(record, type=About)
        self.rebuilt(state_id, about.incarnation, imaged=True)
        snapshots = self._parts("snapshot", state_id, Snapshot)
        return replace(self.last_rebuilt, about=about).with_snapshots(snapshots)

    def workflow(self, workflow_id: str) -> Workflow:
        """Rebuild a workflow with its parts."""
        record = self._record(workflow_key(workflow_id))
        progress = Progress() if record is None else msgspec.msgpack.decode(record, type=Progress)
        effects = self._parts("effect", workflow_id, Effect)
        return Workflow(
            workflow_id,
            progress,
            Checkpoints.of(self._parts("checkpoint", workflow_id, Checkpoint)),
            Map({attempt.number: attempt for attempt in self._parts("attempt", workflow_id, Attempt)}),
            Map({(effect.step, effect.key): effect for effect in effects if not effect.superseded}),
            Map({effect.order: effect for effect in effects if effect.superseded}),
        )

    def _record(self, key: RecordKey) -> bytes | None:
        value, version = self._disk.records.get(key, (None, 0))
        if version:
            self._world.versions.put(key, version)
        return value

    def _parts(self, kind: str, owner: str, of: type[T]) -> list[T]:
        keys = [key for key in self._disk.records if (key.kind, key.owner) == (kind, owner)]
        return [msgspec.msgpack.decode(value, type=of) for value in map(self._record, keys) if value is not None]


class Daemon:
    """See the module. ``on_commit`` is called when a batch has become durable, which may be in the middle of a question."""

    def __init__(self, on_commit: Callable[[], None]) -> None:
        self.disk = Disk()
        self.batch: Layer | None = None
        self._on_commit = on_commit
        self.restart()

    def restart(self) -> None:
        """Forget what is in memory, and with it a batch that is under way."""
        self.batch = None
        self.world = World()
        self.librarian = Librarian(self.disk, self.world)

    def begin(self) -> None:
        """Begin a batch."""
        self.batch = Layer(self.world)

    def commit(self) -> None:
        """Make the batch durable."""
        assert self.batch is not None
        unit = self.batch.unit(self.world)
        if unit is not None:
            self.disk.commit(unit)
            self.batch.publish(self.world, unit)
        self.batch = None
        self._on_commit()

    def ask(self, question: Callable[[Any], T], reader: World | None = None) -> T:
        """Ask as the loader does. What is not durable yet has to wait for the batch, as in the committer."""
        while True:
            try:
                return question(reader or self.batch or self.world)
            except NotLoadedError as missing:
                if not self.librarian.bring(missing.need):
                    assert reader is None
                    self.commit()
                    self.begin()

    def evaluate(self, command: Command, now: int) -> tuple[Layer, Outcome]:
        """Evaluate a command on a layer over the batch, which is left to be merged down. Raises its refusal."""

        def evaluated(batch: Layer) -> tuple[Layer, Outcome]:
            # Twice, because the committer may have to, too; and the two ways in which it does must come to the same.
            elsewhere, first = self._worked_out(batch, command, now)
            layer = Layer(batch)
            outcome = working(partial(command.evaluate, layer, now))
            assert outcome == first
            assert layer.staged.rows == elsewhere.staged.rows
            assert decode_outcome(encode_outcome(outcome)) == outcome
            return layer, outcome

        return self.ask(evaluated)

    @staticmethod
    def _worked_out(batch: Layer, command: Command, now: int) -> tuple[Layer, Outcome]:
        """Evaluate, with all that may be long worked out first: the least is long here. Each time on a new layer."""
        with mock.patch.object(labour, "LONG_COST", -1):
            while True:
                layer = Layer(Layer(batch), command)
                try:
                    return layer, command.evaluate(layer, now)
                except labour.LabourError as error:
                    error.work()

    def state(self, state_id: str, reader: World | None = None) -> State:
        """Give a state, with what the batch makes of it or (of the world) as it is durable."""
        return self.ask(lambda reader: cast("State", reader.state(state_id)), reader)

    def workflow(self, workflow_id: str, reader: World | None = None) -> Workflow:
        """Give a workflow, likewise."""
        return self.ask(lambda reader: cast("Workflow", reader.workflow(workflow_id)), reader)

    def tree(self, point: Point) -> Tree:
        """Give the content of a revision."""
        return self.ask(lambda reader: cast("Tree", reader.tree(point)))
