"""A command that waits to be evaluated, and whoever wants to hear what it came to."""

import math
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.leases import Renew
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.workings import Workings


class Listener(Protocol):
    """The caller, as far as it matters whether an answer reaches it."""

    @property
    def is_there(self) -> bool:
        """Whether it is connected."""
        ...

    @property
    def has_heard(self) -> bool:
        """Whether it is known to have the answer."""
        ...


class Present:
    """A caller within the daemon."""

    is_there = True
    has_heard = True


PRESENT = Present()


class Submission(msgspec.Struct, eq=False):
    """See the module.

    ``deadline`` is by the clock of the event loop; a command that has not been evaluated by then is dropped.
    """

    command: Command
    deliver: Callable[[Outcome], None]
    identity: Identity | None = None
    deadline: float | None = None
    listener: Listener = PRESENT
    waits: bool = False
    """Whether it is kept back for a workflow that is held."""
    until: float = math.inf
    """When that ends, by the clock of the event loop."""
    answered: bool = False
    moves: int = 0
    """How often the store has moved under it."""
    workings: Workings | None = None
    """What was worked out for it, where anything was."""

    @property
    def overtakes(self) -> bool:
        """Whether it need not wait for what its session has handed in before: nobody is to lose a lease by a large write."""
        return isinstance(self.command, Renew)

    def note_labour(self, workings: Workings, state_ids: Iterable[str]) -> None:
        """Note that something must be worked out for it; the second time, reserve the states that it asks for."""
        if self.workings is not None:
            workings.reserve(self.command, state_ids)
        self.workings = workings

    def answer(self, outcome: Outcome) -> None:
        """Tell what it came to; whatever happens, only once."""
        if not self.answered:
            self.answered = True
            if self.workings is not None:
                self.workings.forget(self.command)
            self.deliver(outcome)
