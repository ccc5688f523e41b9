"""Letting go of revisions."""

import msgspec

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Done
from lastgood_daemon.engine.kept import KeptAt
from lastgood_daemon.engine.log import Entry
from lastgood_daemon.store.protocol import LogId


class Compact(msgspec.Struct, frozen=True):
    """Have only the revisions from a floor on, and some pinned ones below it, be there.

    Nothing is done where something may have been pinned after the pins were looked for; there will be another time.
    """

    log: LogId
    floor: KeptAt
    pins: tuple[KeptAt, ...]
    since: int
    """When the pins were looked for."""
    entry: Entry | None = None
    """What made the floor."""
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        del now
        state = layer.state(self.log.state_id)
        kept = state.kept.after(self.floor, self.pins, self.entry)
        taken = {snapshot.revision for snapshot in state.snapshots.values()} | self._of_workflow(layer)
        stale = state.incarnation != self.log.incarnation or state.about.referred_at >= self.since
        if stale or self.floor.revision < state.kept.floor.revision or not all(map(kept.has, filter(state.kept.has, taken))):
            return Done(existed=False)
        if kept != state.kept:
            layer.put_kept(state, kept)
        return Done()

    def _of_workflow(self, layer: Layer) -> set[int]:
        """Give what the state's own workflow may go back to: a checkpoint of the present revision is noted nowhere else."""
        workflow = layer.workflow(self.log.state_id)
        points = [checkpoint.point for checkpoint in workflow.in_order()]
        points += [workflow.progress.began] if workflow.progress.began is not None else []
        return {point.revision for point in points if (point.state_id, point.incarnation) == self.log}
