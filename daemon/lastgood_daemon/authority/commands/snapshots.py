"""Taking and forgetting snapshots."""

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import SnapshotTaken, Written
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.state import Snapshot


class TakeSnapshot(msgspec.Struct, frozen=True):
    """Name and pin the present revision."""

    state: StateRef
    author: Author
    snapshot_id: str
    label: str | None
    metadata: bytes | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> SnapshotTaken:
        """See ``Command``."""
        state = find_state(layer, self.state)
        admit(layer, self.author, now)
        snapshot = Snapshot(self.snapshot_id, state.last_ordinal + 1, state.revision, now, self.label, self.metadata)
        layer.put_snapshot(state, snapshot)
        return SnapshotTaken(state.point(), snapshot)


class DropSnapshot(msgspec.Struct, frozen=True):
    """Forget a snapshot."""

    state: StateRef
    author: Author
    snapshot_id: str
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        state = find_state(layer, self.state)
        admit(layer, self.author, now)
        existed = self.snapshot_id in state.snapshots
        if existed:
            layer.drop_snapshot(state, self.snapshot_id)
        return Written(state.point(), existed=existed)
