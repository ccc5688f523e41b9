"""Who holds a workflow, and for how long.

Time is that of the store. A lease is live until it expires; from then on it is lost, also where nobody else has claimed the
workflow yet: whoever slept past it must not go on as if nothing had happened.
"""

import msgspec


class Lease(msgspec.Struct, frozen=True):
    """A claim that was granted. Times in microseconds."""

    attempt: int
    """The attempt that may write while it is live."""
    claim_id: str
    """Chosen by the claimant; names it where it is given up."""
    holder: str
    """Who that is, for people."""
    length: int
    """For how long it holds, unless it is renewed."""
    expires_at: int

    def is_live(self, now: int) -> bool:
        """Whether it holds."""
        return now < self.expires_at

    def granted_to(self, attempt: int) -> "Lease":
        """Give it as that of an attempt."""
        return msgspec.structs.replace(self, attempt=attempt)

    def renewed(self, now: int) -> "Lease":
        """Give it with its full length again."""
        return msgspec.structs.replace(self, expires_at=now + self.length)

    def running_since(self, start: int) -> "Lease":
        """Give it with at least its full length from a time on, before which nobody could have renewed it."""
        return msgspec.structs.replace(self, expires_at=max(self.expires_at, start + self.length))
