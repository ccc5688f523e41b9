"""Bringing in a state with its history: collected under a name that nobody knows, and made known at the end, all at once."""

from collections.abc import Sequence

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Done, Written
from lastgood_daemon.engine.errors import InvalidArgumentError, StateExistsError
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.store.protocol import LogRow


class Collect(msgspec.Struct, frozen=True):
    """Put revisions at the end of what has been collected so far."""

    before: bytes
    """The chain so far."""
    rows: Sequence[LogRow]
    after: State
    """With them."""
    size: int

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        del now
        _require_untouched(layer.state(self.after.state_id), self.before)
        layer.lay(self.after, self.rows)
        return Done()


class Publish(msgspec.Struct, frozen=True):
    """Have what was collected be a state from now on."""

    state_id: str
    """Of which nobody has written anything."""
    import_id: str
    author: Author
    collected: State
    created_at: int
    origin: Point | None
    kept: Kept
    snapshots: Sequence[Snapshot]
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        admit(layer, self.author, now, into=self.state_id)
        target = layer.state(self.state_id)
        if target.about.imported == self.import_id:
            return Written(target.point())
        if target.about.born or target.snapshots:
            raise StateExistsError(self.state_id)
        collected = self.collected
        _require_untouched(layer.state(collected.state_id), collected.chain)
        about = msgspec.structs.replace(
            target.about,
            born=collected.about.born,
            created_at=self.created_at,
            origin=self.origin,
            imported=self.import_id,
        )
        after = layer.rename(collected, target, about)
        if self.kept.oldest:
            layer.put_kept(after, self.kept)
        for taken in self.snapshots:
            layer.put_snapshot(layer.state(self.state_id), taken)
        return Written(after.point())


def _require_untouched(state: State, chain: bytes) -> None:
    if state.chain != chain:
        field = "lines"
        raise InvalidArgumentError(
            field, "could not be imported: another import or write changed the state meanwhile; begin again"
        )
