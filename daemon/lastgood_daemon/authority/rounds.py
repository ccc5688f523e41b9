"""What a round of housekeeping has come to, and what it passes over."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.authority.policies import Policies
from lastgood_daemon.engine.errors import EndedError
from lastgood_daemon.store.protocol import CorruptRecordError

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class Compaction:
    """What went."""

    states: int = 0
    """Ids of which something went."""
    revisions: int = 0
    checkpoints: int = 0
    effects: int = 0
    deleted: int = 0
    """States and workflows that went as a whole."""
    copies: int = 0
    damaged: int = 0
    """What was passed over because it cannot be read."""
    bytes: int = 0
    """By which the file has become smaller."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing went."""
        return not (self.states or self.copies)


@dataclass(slots=True)
class Round:
    """One round, under the policies that it has found; only for one id where that is named."""

    policies: Policies
    only: str | None
    hand_in: Callable[[Command], Awaitable[Outcome]]
    """Performs a command; in a dry run, tells what it would come to."""
    dry: bool = False
    """Whether nothing is to be changed: only counted."""
    found: Compaction = field(default_factory=Compaction)
    _changed: set[str] = field(default_factory=set)
    _damaged: set[str] = field(default_factory=set)

    def changed(self, owner: str) -> None:
        """Note that something of an id went."""
        self._changed.add(owner)
        self.found.states = len(self._changed)

    def shortens(self, owner: str) -> bool:
        """Whether the log of a state is to be looked at."""
        return self.only in {None, owner} and self.policies.of(owner).shortens

    async def guard(self, work: Awaitable[T]) -> T | None:
        """Do a piece of work; where something cannot be read, note that and leave the rest of the piece.

        Raises:
            EndedError: that is what the round is about.
        """
        try:
            return await work
        except CorruptRecordError as error:
            if self.only is not None:
                reason = "CORRUPT"
                raise EndedError(reason, str(error)) from error
            log.error("passing over what cannot be read: %s", error)  # noqa: TRY400 - expected, no traceback
            self._damaged.add(str(error))
            self.found.damaged = len(self._damaged)
            return None
