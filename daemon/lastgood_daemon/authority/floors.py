"""What of a log stays: found by reading no more of it than may go, and once more where its size matters."""

import asyncio
from collections.abc import Sequence

import msgspec

from lastgood_daemon.authority.compaction import Wanted
from lastgood_daemon.authority.records import kept_of
from lastgood_daemon.authority.references import References
from lastgood_daemon.authority.replay import PAGE
from lastgood_daemon.engine.log import SQUASHED
from lastgood_daemon.engine.retention import Logged, Retention, floor, lowest
from lastgood_daemon.engine.state import Snapshot
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow, Store


class _Stamp(msgspec.Struct, array_like=True):
    """The beginning of an entry of the log."""

    timestamp: int


async def find_wanted(store: Store, log: LogId, policy: Retention, references: References, since: int) -> Wanted:
    """Give the floor of a log, and its pins; ``since``: when the references were gathered."""
    found = await find_floor(store, log, policy)
    pins = references.revisions(log) | {taken.revision for taken in await snapshots(store, log.state_id)}
    return Wanted(found, frozenset(pins), since)


async def find_floor(store: Store, log: LogId, policy: Retention) -> int:
    """Give the lowest revision of a log that its policy keeps."""
    head = await store.head(log)
    after = lowest(policy, head.revision) - 1
    if policy.age is None and policy.bytes is None:
        return after + 1
    size = await _size(store, log, after) if policy.bytes is not None else 0
    kept, age = await kept_of(store, log), store.timeline.ages(store.now())
    if head.floor == kept.floor.revision > after:  # it has an image, and no row any more
        found = floor(policy, age, head.revision, size, [Logged(kept.floor.revision, kept.floor.timestamp, 0)])
        if found is not None:
            return found
    while rows := await store.read_log(log, after, PAGE):
        logged = await asyncio.to_thread(measured, rows)
        found = floor(policy, age, head.revision, size, logged)
        if found is not None:
            return found
        size -= sum(row.size for row in logged)
        after = rows[-1].revision
    return head.revision


async def snapshots(store: Store, state_id: str) -> list[Snapshot]:
    """Give the snapshots of a state."""
    return [msgspec.msgpack.decode(record.value, type=Snapshot) for record in await store.records("snapshot", state_id)]


def measured(rows: Sequence[LogRow]) -> list[Logged]:
    """Give when revisions were made and how long they are, without looking further into them."""
    try:
        stamps = [msgspec.msgpack.decode(row.entry.removeprefix(SQUASHED), type=_Stamp) for row in rows]
    except msgspec.DecodeError as error:
        message = f"a revision from {rows[0].revision} to {rows[-1].revision} cannot be read: {error}"
        raise CorruptRecordError(message) from error
    return [Logged(row.revision, stamp.timestamp, len(row.entry)) for row, stamp in zip(rows, stamps, strict=True)]


async def _size(store: Store, log: LogId, after: int) -> int:
    size = 0
    while rows := await store.read_log(log, after, PAGE):
        size += sum(len(row.entry) for row in rows)
        after = rows[-1].revision
    return size
