"""Which revisions somebody may go back to: gathered by looking through the whole store, once a round of housekeeping."""

from collections import defaultdict

import msgspec

from lastgood_daemon.authority.scanning import scan
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.workflow import Progress
from lastgood_daemon.store.protocol import LogId, Store


class References:
    """What checkpoints and workflows refer to, besides the present revisions. Snapshots are records of their own states."""

    def __init__(self) -> None:
        self._revisions: defaultdict[LogId, set[int]] = defaultdict(set)
        self._foreign: set[LogId] = set()

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Note what a checkpoint was made of. A superseded one may be restored, too."""
        log = self._add(checkpoint.point)
        if log.state_id != checkpoint.workflow_id:
            self._foreign.add(log)

    def add_workflow(self, progress: Progress) -> None:
        """Note where a workflow began: there it begins again when it has no good checkpoint."""
        if progress.began is not None:
            self._add(progress.began)

    def revisions(self, log: LogId) -> frozenset[int]:
        """Give the revisions of a log that are referred to."""
        return frozenset(self._revisions.get(log, ()))

    def is_needed(self, log: LogId) -> bool:
        """Whether a checkpoint of another workflow than that of its id refers to a life of a state."""
        return log in self._foreign

    def _add(self, point: Point) -> LogId:
        log = LogId(point.state_id, point.incarnation)
        self._revisions[log].add(point.revision)
        return log


async def gather(store: Store) -> References:
    """Look through all checkpoints and workflows.

    Raises:
        CorruptRecordError: one of them cannot be read, so that nobody knows what it refers to.
    """
    found = References()
    async for owned in scan(store, "checkpoint"):
        for record in owned.records():
            found.add_checkpoint(msgspec.msgpack.decode(record.value, type=Checkpoint))
    async for owned in scan(store, "workflow"):
        for record in owned.records():
            found.add_workflow(msgspec.msgpack.decode(record.value, type=Progress))
    return found
