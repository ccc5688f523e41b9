"""What a log is made of, in the words of the store."""

from typing import NamedTuple


class LogId(NamedTuple):
    """One life of one state."""

    state_id: str
    incarnation: int


class LogRow(NamedTuple):
    """One revision: the encoded change, and the hash that chains it to the one before."""

    revision: int
    entry: bytes
    chain: bytes


class Head(NamedTuple):
    """Where a log ends. Revision 0 and an empty chain: it is empty.

    ``floor``: the revision up to which its rows are gone, and at which there is an image instead; 0: all are there.
    """

    revision: int
    chain: bytes
    floor: int = 0


class ChainedRow(NamedTuple):
    """One revision, read alone, with the hash of the one before it (empty before the first, nothing where that is gone)."""

    revision: int
    entry: bytes
    chain: bytes
    before: bytes | None
