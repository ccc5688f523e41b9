"""What looking after a store gives: plain objects that do no I/O, compare by content, and pickle."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """A folder that holds a copy of a store.

    Attributes:
        path: the folder, on the machine of the daemon: ``connect(data_dir=path)`` serves it.
        size: of what is in it, in bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a store that is not what was written, in words for people.

    Attributes:
        where: such as ``"state 'trip'"``.
        what: such as ``"revision 17 does not match its checksum"``.
    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of reading all of a store.

    Attributes:
        states: how many logs of states were read.
        revisions: how many revisions were in them.
        records: how many records of other things were read: snapshots, checkpoints, workflows and the like.
        problems: what is not what was written; of each state and each group of records the first.
    """

    states: int = 0
    revisions: int = 0
    records: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is what was written."""
        return not self.problems
