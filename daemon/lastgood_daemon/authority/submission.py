"""A command that waits to be evaluated, and whoever wants to hear what it came to."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.sessions import Identity


@dataclass(slots=True, eq=False)
class Submission:
    """See the module.

    ``deadline`` is by the clock of the event loop; a command that has not been evaluated by then is dropped.
    """

    command: Command
    deliver: Callable[[Outcome], None]
    identity: Identity | None = None
    deadline: float | None = None
    waits: bool = False
    """Whether it is kept back for a workflow that is held."""
    until: float = math.inf
    """When that ends, by the clock of the event loop."""
    answered: bool = False
    moves: int = 0
    """How often the store has moved under it."""
    labours: int = 0
    """How often something had to be worked out for it."""

    def answer(self, outcome: Outcome) -> None:
        """Tell what it came to; whatever happens, only once."""
        if not self.answered:
            self.answered = True
            self.deliver(outcome)
