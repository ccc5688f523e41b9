"""Whether a caller is there to hear its answer. See ``authority.grants`` for whom that matters."""

from typing import NamedTuple


class Presence:
    """A session, across its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.acknowledged = 0
        """Up to which number its client is known to have the answers."""


class SessionCall(NamedTuple):
    """The caller of one call of a session."""

    presence: Presence
    sequence: int

    @property
    def is_there(self) -> bool:
        """Whether the session has a connection."""
        return self.presence.connections > 0

    @property
    def has_heard(self) -> bool:
        """Whether the client has acknowledged the answer."""
        return self.sequence <= self.presence.acknowledged


class UnaryCall:
    """The caller of a unary call: there until the call breaks off, and taken to have heard what it was answered."""

    def __init__(self) -> None:
        self.is_there = True
        self.has_heard = False
