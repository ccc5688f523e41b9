"""What a verification has found."""

from dataclasses import dataclass, field

from lastgood_daemon.store.protocol import LogId


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not what was written, in words for people."""

    where: str
    """Such as ``state 'trip'``."""
    what: str
    """Such as ``revision 17 does not match its checksum``."""


@dataclass(slots=True)
class Findings:
    """What has been looked at, and what is wrong with it."""

    states: int = 0
    """Lives of states whose log was read."""
    revisions: int = 0
    records: int = 0
    indexes: list[LogId] = field(default_factory=list)
    """That are not what their log says. They can be thrown away: another is made of the log."""
    problems: list[Problem] = field(default_factory=list)

    def merge(self, later: "Findings") -> None:
        """Take in what was found after this."""
        self.states += later.states
        self.revisions += later.revisions
        self.records += later.records
        self.indexes += later.indexes
        self.problems += later.problems

    def add(self, where: str, what: object) -> None:
        """Take note of a problem."""
        self.problems.append(Problem(where, str(what)))
