"""What changes something: each a pure function of a layer, the time and itself.

A command is evaluated by the committer, perhaps several times: again when something was not in memory, and again when the
batch that it was in could not be stored. So it carries all it needs, fresh ids included, and its ``evaluate`` has no effect
but on the layer.
"""

from typing import Protocol

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Outcome


class Command(Protocol):
    """Something to do."""

    @property
    def size(self) -> int:
        """How many bytes it carries, for the bound on what may wait."""
        ...

    def evaluate(self, layer: Layer, now: int) -> Outcome:
        """Do it to a layer.

        Raises:
            RefusedError: it cannot be done; the layer is to be thrown away.
            NotLoadedError: something is not in memory; likewise, and it is to be evaluated again.
        """
        ...
