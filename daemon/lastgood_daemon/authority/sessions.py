"""Request identity: a request that comes twice is applied once, and answered the same.

A session numbers its requests. The store keeps one record a session, written in the same transaction as what the requests
do: up to which number everything is settled at the client, and the answers to the numbers above that.

    acknowledged 4, answers {5: revision 17, 7: refused}        6 has not come, or was dropped unanswered
    request 7 again      ->  refused, as the first time
    request 3 again      ->  OUTCOME_UNKNOWN: the client said that it has the answer, so this is not a retry
    request 6            ->  evaluated

A number is bound to its request, as the key of a unary call is: a digest of the request is stored with the answer. Another
request under the same number or key is refused:

    key "pay"   set("a", 1)   evaluated: revision 4        set("a", 1)   revision 4, as before
                                                           set("b", 2)   REQUEST_MISMATCH

The id of a session is given by the daemon and says which copy of the store gave it and when. A record lives for at least
``LIFETIME`` after the last write, so an id younger than that without a record has never written anything, and an older one
may have expired: a resend on it must not be applied again. One that another copy has given (this one is a backup, or that
one is) may have written there: its client gets a new session, and is told that what has become of its calls under way is
unknown. The keys of unary calls come from the callers and are no such ids: what a backup knows of them stays true of it.
"""

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from lastgood_daemon.authority.outcomes import Outcome, Refused, decode_outcome, encode_outcome
from lastgood_proto.texts import shortened

DIGEST_BYTES = 8
"""Of a request: enough to tell a mistake from a repetition."""
_BOUND = b"\xc1"
"""What an answer begins with that has a digest before it; no outcome does. Those of old have none."""

LIFETIME = 24 * 60 * 60 * 1_000_000
"""Microseconds."""


class Identity(msgspec.Struct, frozen=True):
    """Names a request. ``acknowledged``: the client has settled all numbers up to this one."""

    session_id: str
    sequence: int
    acknowledged: int = 0
    digest: bytes = b""
    """Of the request; empty where it is not bound to one."""


class Answered(NamedTuple):
    """An answer that is remembered: the digest of its request, if that is known, and the encoded outcome."""

    digest: bytes
    outcome: bytes

    @classmethod
    def of(cls, remembered: bytes) -> "Answered":
        """Return what is remembered."""
        if remembered[:1] != _BOUND:
            return cls(b"", remembered)
        return cls(remembered[1 : 1 + DIGEST_BYTES], remembered[1 + DIGEST_BYTES :])

    def remembered(self) -> bytes:
        """Return it as it is stored."""
        return _BOUND + self.digest + self.outcome if self.digest else self.outcome


def digest_of(operation: str, request: bytes) -> bytes:
    """Return the digest of an operation and its encoded request."""
    whole = blake2b(operation.encode() + b"\0", digest_size=DIGEST_BYTES)
    whole.update(request)
    return whole.digest()


class Session(msgspec.Struct, array_like=True):
    """What is remembered of a session; one record in the store."""

    acknowledged: int = 0
    answers: dict[int, bytes] = {}

    def recall(self, identity: Identity) -> Outcome | None:
        """Return the answer that a request has had, or a refusal if it is not the request that had it; None if it is new."""
        sequence = identity.sequence
        remembered = self.answers.get(sequence)
        if remembered is not None:
            answered = Answered.of(remembered)
            if answered.digest and identity.digest and answered.digest != identity.digest:
                return _mismatch(identity)
            outcome: Outcome = decode_outcome(answered.outcome)
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
        self.answers[identity.sequence] = Answered(identity.digest, encode_outcome(outcome)).remembered()

    def copy(self) -> "Session":
        """Give one that can be changed without changing this one."""
        return Session(self.acknowledged, dict(self.answers))


def key_session(key: str) -> str:
    """Return the id under which the answer to a unary call with an idempotency key is remembered."""
    return f"{_KEY}{key}"


def _mismatch(identity: Identity) -> Refused:
    if identity.session_id.startswith(_KEY):
        key = identity.session_id.removeprefix(_KEY)
        text = f"the idempotency key {shortened(key)} was used for another request, so nothing was done: use a new one"
        return Refused("REQUEST_MISMATCH", text, {"key": key})
    text = f"request {identity.sequence} of this session was another one; nothing was done"
    return Refused("REQUEST_MISMATCH", text, {"sequence": str(identity.sequence)})


_KEY = "key:"


def new_session_id(copy_id: str, now: int) -> str:
    """Make the id of a session that begins now."""
    return f"{_issuer(copy_id)}-{now:x}-{secrets.token_hex(8)}"


def is_of(session_id: str, copy_id: str) -> bool:
    """Whether that copy of the store has given the id."""
    return session_id.partition("-")[0] == _issuer(copy_id)


def may_have_expired(session_id: str, age: Callable[[int], int]) -> bool:
    """Whether a session without a record may have had one. ``age`` says how much time has passed since a moment."""
    _, _, rest = session_id.partition("-")
    issued, _, _ = rest.partition("-")
    try:
        return age(int(issued, 16)) >= LIFETIME
    except ValueError:
        return True


def _issuer(copy_id: str) -> str:
    return copy_id.replace("-", "")[:12]
