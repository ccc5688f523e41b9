"""Revisions of a log that are looked at without the state that they make. Each is held against its chain all the same."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

import msgspec

from lastgood_daemon.authority.replay import RewrittenError
from lastgood_daemon.engine.log import Entry, Squash, chain, decode_row
from lastgood_daemon.store.protocol import ChainedRow, CorruptRecordError, LogId, Store

PAGE = 1000
"""Revisions that are read, and decoded in a thread, at a time."""


class Revision(NamedTuple):
    """A revision, and what it did."""

    number: int
    entry: Entry


async def read_some(store: Store, log: LogId, numbers: Sequence[int]) -> list[Revision]:
    """Give revisions by their numbers, in that order: fewer where they are large, none where the log has been deleted.

    Raises:
        CorruptRecordError: one does not match its chain, or is not there.
        RewrittenError: one has been compacted.
    """
    rows = await store.read_revisions(log, numbers)
    if not rows and numbers and (await store.head(log)).revision > 0:
        raise _corrupt(log, numbers[0])
    return await asyncio.to_thread(_verified, log, numbers, rows)


async def read_on(store: Store, log: LogId, after: int, until: int) -> AsyncIterator[list[Revision]]:
    """Give the revisions after one, up to another, in pages; they end early where the log has been deleted.

    Raises:
        CorruptRecordError: one does not match its chain, or is not there.
    """
    before: bytes | None = None
    if after < until:
        before = next((row.before for row in await store.read_revisions(log, [after + 1])), None)
    while after < until:
        rows = await store.read_log(log, after, min(PAGE, until - after))
        if not rows:
            return
        earlier = [before, *(row.chain for row in rows)]
        chained = [ChainedRow(*row, hash_) for row, hash_ in zip(rows, earlier, strict=False)]
        yield await asyncio.to_thread(_verified, log, range(after + 1, until + 1), chained)
        after, before = rows[-1].revision, rows[-1].chain


def _verified(log: LogId, numbers: Iterable[int], rows: Sequence[ChainedRow]) -> list[Revision]:
    revisions = []
    for number, row in zip(numbers, rows, strict=False):
        try:
            entry = decode_row(row.entry)
        except msgspec.DecodeError as error:
            raise _corrupt(log, number) from error
        if isinstance(entry, Squash):
            raise RewrittenError
        if row.revision != number or row.before is None or chain(row.before, number, entry) != row.chain:
            raise _corrupt(log, number)
        revisions.append(Revision(number, entry))
    return revisions


def _corrupt(log: LogId, number: int) -> CorruptRecordError:
    return CorruptRecordError(f"state {log.state_id!r}: revision {number} does not match its checksum")
