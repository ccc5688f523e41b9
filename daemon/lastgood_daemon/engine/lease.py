"""Who holds a workflow, and for how long.

Time is that of the store, on which setting a clock has no effect. A lease is live until it expires; from then on it is lost,
also where nobody else has claimed the workflow yet: whoever slept past it must not go on as if nothing had happened.
"""

from collections.abc import Callable

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
    reckoned_at: int = 0
    """When that was reckoned; 0: when it was granted or renewed."""

    def is_live(self, now: int) -> bool:
        """Whether it holds."""
        return now < self.expires_at

    def granted_to(self, attempt: int) -> "Lease":
        """Give it as that of an attempt."""
        return msgspec.structs.replace(self, attempt=attempt)

    def renewed(self, now: int) -> "Lease":
        """Give it with its full length again."""
        return msgspec.structs.replace(self, expires_at=now + self.length, reckoned_at=0)

    def reckoned(self, now: int, end: Callable[[int, int], int]) -> "Lease":
        """Return it with the end that it has by now, after the store was away.

        Args:
            now: the moment.
            end: says from when a lease was to end, and when that was reckoned, when it ends.
        """
        ends = end(self.expires_at, self.reckoned_at or self.expires_at - self.length)
        return self if ends == self.expires_at else msgspec.structs.replace(self, expires_at=ends, reckoned_at=now)
