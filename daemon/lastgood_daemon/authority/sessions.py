"""Request identity: a request that comes twice is applied once, and answered the same.

A session numbers its requests. The store keeps one record a session, written in the same transaction as what the requests
do: up to which number everything is settled at the client, and the answers to the numbers above that.

    acknowledged 4, answers {5: revision 17, 7: refused}        6 has not come, or was dropped unanswered
    request 7 again      ->  refused, as the first time
    request 3 again      ->  OUTCOME_UNKNOWN: the client said that it has the answer, so this is not a retry
    request 6            ->  evaluated

The id of a session is given by the daemon and says which copy of the store gave it and when. A record lives for at least
``LIFETIME`` after the last write, so an id younger than that without a record has never written anything, and an older one
may have expired: a resend on it must not be applied again. One that another copy has given (this one is a backup, or that
one is) may have written there: its client gets a new session, and is told that what has become of its calls under way is
unknown. The keys of unary calls come from the callers and are no such ids: what a backup knows of them stays true of it.
"""

import secrets

import msgspec

from lastgood_daemon.authority.outcomes import Outcome, Refused, decode_outcome, encode_outcome

LIFETIME = 24 * 60 * 60 * 1_000_000
"""Microseconds."""


class Identity(msgspec.Struct, frozen=True):
    """Names a request. ``acknowledged``: the client has settled all numbers up to this one."""

    session_id: str
    sequence: int
    acknowledged: int = 0


class Session(msgspec.Struct, array_like=True):
    """What is remembered of a session; one record in the store."""

    acknowledged: int = 0
    answers: dict[int, bytes] = {}

    def recall(self, sequence: int) -> Outcome | None:
        """Give the answer that a request has had; nothing where it is new."""
        answer = self.answers.get(sequence)
        if answer is not None:
            outcome: Outcome = decode_outcome(answer)
            return outcome
        if sequence <= self.acknowledged:
            return Refused("OUTCOME_UNKNOWN", f"request {sequence} was acknowledged before; its answer is forgotten")
        return None

    def record(self, identity: Identity, outcome: Outcome) -> None:
        """Remember one more answer, and forget those that are acknowledged."""
        if identity.acknowledged > self.acknowledged:
            self.acknowledged = identity.acknowledged
            for sequence in [sequence for sequence in self.answers if sequence <= self.acknowledged]:
                del self.answers[sequence]
        self.answers[identity.sequence] = encode_outcome(outcome)

    def copy(self) -> "Session":
        """Give one that can be changed without changing this one."""
        return Session(self.acknowledged, dict(self.answers))


def new_session_id(copy_id: str, now: int) -> str:
    """Make the id of a session that begins now."""
    return f"{_issuer(copy_id)}-{now:x}-{secrets.token_hex(8)}"


def is_of(session_id: str, copy_id: str) -> bool:
    """Whether that copy of the store has given the id."""
    return session_id.partition("-")[0] == _issuer(copy_id)


def may_have_expired(session_id: str, now: int) -> bool:
    """Whether a session without a record may have had one."""
    _, _, rest = session_id.partition("-")
    issued, _, _ = rest.partition("-")
    try:
        return now - int(issued, 16) >= LIFETIME
    except ValueError:
        return True


def _issuer(copy_id: str) -> str:
    return copy_id.replace("-", "")[:12]
