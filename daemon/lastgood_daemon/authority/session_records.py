"""The records of sessions: the newest answers of each under ``""``, its chunks of older ones under their places."""

from collections.abc import Iterable

import msgspec

from lastgood_daemon.authority.sessions import Chunk, Newest, Session
from lastgood_daemon.store.protocol import CorruptRecordError, Record, RecordKey

_encode = msgspec.msgpack.Encoder().encode


def session_key(session_id: str) -> RecordKey:
    """Return the name of the record of the newest answers."""
    return RecordKey("session", session_id, "")


def chunk_key(session_id: str, place: int) -> RecordKey:
    """Return the name of the record of a chunk."""
    return RecordKey("session", session_id, f"{place:020d}")


def type_of(key: RecordKey) -> type[Newest | Chunk]:
    """Return what the record of that name is read as."""
    return Chunk if key.key else Newest


def changes_of(session_id: str, session: Session) -> dict[RecordKey, bytes | None]:
    """Return the records that are to be written for a session that has changed, and (as None) to be deleted."""
    changes: dict[RecordKey, bytes | None] = {session_key(session_id): _encode(session.stored())}
    for place in session.changed:
        chunk = session.chunks.get(place)
        changes[chunk_key(session_id, place)] = None if chunk is None else _encode(chunk)
    return changes


def session_of(session_id: str, records: Iterable[Record]) -> Session | None:
    """Return the session of which these are all records; None where there are none.

    Raises:
        CorruptRecordError: some are missing, so it is not known which requests are repetitions.
    """
    newest, chunks = None, dict[int, Chunk]()
    for record in records:
        if record.key.key:
            chunks[int(record.key.key)] = msgspec.msgpack.decode(record.value, type=Chunk)
        else:
            newest = msgspec.msgpack.decode(record.value, type=Newest)
    problem = problem_of(newest, len(chunks))
    if problem:
        message = f"session {session_id!r} {problem}"
        raise CorruptRecordError(message)
    return None if newest is None else Session.of(newest, chunks)


def problem_of(newest: Newest | None, chunks: int) -> str:
    """Return what is wrong with a session that has so many chunks; "" if nothing is."""
    if newest is None:
        return "has older answers, but no record" if chunks else ""
    return f"has {newest.chunks} records of older answers, and {chunks} are there" if chunks < newest.chunks else ""
