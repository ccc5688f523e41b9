"""Request identity: a request that comes twice is applied once, and answered the same.

A session numbers its requests. The store keeps, written in the same transaction as what the requests do, up to which number
everything is settled at the client, and the answers to the numbers above that.

    acknowledged 4, answers {5: revision 17, 7: refused}        6 has not come, or was dropped unanswered
    request 7 again      ->  refused, as the first time
    request 3 again      ->  OUTCOME_UNKNOWN: the client said that it has the answer, so this is not a retry
    request 6            ->  evaluated

The newest answers are in one record, which each transaction writes again. When there are more than ``CHUNK``, those of the
lowest numbers move to a record of their own, which is written once and deleted when all its numbers are acknowledged. So a
write costs the same however many answers are not acknowledged:

    chunk 0    answers 1 to 127             written once
    chunk 1    answers 128 to 255           written once
    newest     acknowledged 0, 2 chunks, answers 256 to 300

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from immutables import Map

from lastgood_daemon.authority.outcomes import Outcome, Refused, decode_outcome, encode_outcome
from lastgood_proto.texts import shortened

DIGEST_BYTES = 8
"""Of a request: enough to tell a mistake from a repetition."""
_BOUND = b"\xc1"
"""What an answer begins with that has a digest before it; no outcome does. Those of old have none."""

CHUNK = 128
"""Numbers of which the answers are one record, once they are not the newest any more."""

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
        return _remembered(self.digest, self.outcome)


def _remembered(digest: bytes, outcome: bytes) -> bytes:
    return _BOUND + digest + outcome if digest else outcome


def digest_of(operation: str, request: bytes) -> bytes:
    """Return the digest of an operation and its encoded request."""
    whole = _digest_from(operation).copy()
    whole.update(request)
    return whole.digest()


@cache
def _digest_from(operation: str) -> blake2b:
    return blake2b(operation.encode() + b"\0", digest_size=DIGEST_BYTES)


class Newest(msgspec.Struct, frozen=True, array_like=True):
    """The record of a session. Each of its transactions writes it, so that it also tells how old the session is."""

    acknowledged: int = 0
    answers: Mapping[int, bytes] = {}
    chunks: int = 0
    """How many there are."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """The record of older answers: to numbers that have the same quotient by ``CHUNK``."""

    answers: Mapping[int, bytes]


@dataclass(slots=True)
class Session:
    """What is remembered of a session."""

    acknowledged: int = 0
    newest: dict[int, bytes] = field(default_factory=dict)
    chunks: Map[int, Chunk] = field(default_factory=Map)
    """By the quotient of their numbers by ``CHUNK``; a number is in ``newest`` or here."""
    changed: set[int] = field(default_factory=set)
    """The chunks that are to be written, or deleted where they are not there."""

    @classmethod
    def of(cls, newest: Newest, chunks: Mapping[int, Chunk]) -> "Session":
        """Return what was stored."""
        return cls(newest.acknowledged, dict(newest.answers), Map(chunks))

    def recall(self, identity: Identity) -> Outcome | None:
        """Return the answer that a request has had, or a refusal if it is not the request that had it; None if it is new."""
        sequence = identity.sequence
        remembered = self._answer(sequence)
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
            self._acknowledge(identity.acknowledged)
        self.newest[identity.sequence] = _remembered(identity.digest, encode_outcome(outcome))
        while len(self.newest) > CHUNK:
            self._seal(min(self.newest) // CHUNK)

    def answers(self) -> Iterator[tuple[int, bytes]]:
        """Yield the numbers and the answers that are remembered, encoded."""
        yield from self.newest.items()
        for chunk in self.chunks.values():
            yield from chunk.answers.items()

    def replace(self, answers: Mapping[int, bytes]) -> None:
        """Put other answers in the place of those to the same numbers."""
        self.newest.update({number: answers[number] for number in self.newest.keys() & answers.keys()})
        for place in {number // CHUNK for number in answers.keys() - self.newest.keys()}:
            chunk = self.chunks[place].answers
            self._put(place, {number: answers.get(number, answer) for number, answer in chunk.items()})

    def copy(self) -> "Session":
        """Return one that can be changed without changing this one. The chunks are not copied."""
        return Session(self.acknowledged, dict(self.newest), self.chunks, set(self.changed))

    def stored(self) -> Newest:
        """Return the record of the session."""
        return Newest(self.acknowledged, self.newest, len(self.chunks))

    def _answer(self, sequence: int) -> bytes | None:
        found = self.newest.get(sequence)
        if found is None and sequence > self.acknowledged:
            chunk = self.chunks.get(sequence // CHUNK)
            found = None if chunk is None else chunk.answers.get(sequence)
        return found

    def _acknowledge(self, acknowledged: int) -> None:
        """Forget the answers up to a number; a chunk goes when all its numbers are acknowledged."""
        before, after = (self.acknowledged + 1) // CHUNK, (acknowledged + 1) // CHUNK
        self.acknowledged = acknowledged
        for sequence in [sequence for sequence in self.newest if sequence <= acknowledged]:
            del self.newest[sequence]
        places: Iterable[int] = range(before, after) if after - before <= len(self.chunks) else list(self.chunks)
        for place in places:
            if place < after and place in self.chunks:
                self.chunks = self.chunks.delete(place)
                self.changed.add(place)

    def _seal(self, place: int) -> None:
        """Move the newest answers to the numbers of a chunk there. It may be there already: numbers come in any order."""
        moved = {number: self.newest.pop(number) for number in list(self.newest) if number // CHUNK == place}
        known = self.chunks.get(place, Chunk({})).answers
        answers = {number: answer for number, answer in {**known, **moved}.items() if number > self.acknowledged}
        if answers:
            self._put(place, answers)

    def _put(self, place: int, answers: Mapping[int, bytes]) -> None:
        self.chunks = self.chunks.set(place, Chunk(answers))
        self.changed.add(place)


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
