"""Giving up the revisions of a log that nobody can ask for any more.

First it is decided, by a command among all others, which revisions there still are (``engine/kept.py``): from then on the
others cannot be asked for. Then the log follows, in small steps, each of which leaves a log that reads the same; so whatever
is cut off in between is taken up by the next round.

    revisions   1 … 12 … 40 … 900 … 1000        pins 12 and 40, floor 900
    images      of 900, before anything is squashed, and of 12
    floor       12: rows up to it, and older images, are removed in chunks
    squashed    12 → 40, 40 → 900               one row each, the difference between the two
    as before   901 … 1000
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.compaction import Compact
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.outcomes import Done, Outcome
from lastgood_daemon.authority.replay import PAGE, rebuilt
from lastgood_daemon.engine.history import in_short
from lastgood_daemon.engine.image import Image, encode_image
from lastgood_daemon.engine.kept import Kept, KeptAt
from lastgood_daemon.engine.labour import let_go, working
from lastgood_daemon.engine.log import Entry, Squash, decode_row, encode_squash, sealed
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.restore import bridge
from lastgood_daemon.engine.state import State
from lastgood_daemon.store import upkeep
from lastgood_daemon.store.protocol import LogId, LogRow, Store

CHUNK = 5000
"""Rows that are squashed, and removed, in one transaction."""


class Wanted(NamedTuple):
    """What of a log is to stay: the floor and all above it, and the pins below."""

    floor: int
    """At most the present revision."""
    pins: frozenset[int]
    """Of snapshots, of checkpoints, and where the workflow began. Those below the floor are what matters."""
    since: int
    """When the pins were looked for. Where ``About.referred_at`` is not below that, there may be one more: leave the log."""


async def compact_log(
    store: Store,
    hand_in: Callable[[Command], Awaitable[Outcome]],
    loader: Loader,
    log: LogId,
    wanted: Wanted,
    *,
    dry: bool = False,
) -> int:
    """Give up all revisions but those that are wanted; how many they were. In a dry run, only count them."""
    state = await loader.ask(lambda reader: reader.state(log.state_id))
    if state.incarnation != log.incarnation:
        return 0
    before, head = state.kept, state.revision
    floor = max(min(wanted.floor, head), before.floor.revision)
    pins = sorted(revision for revision in wanted.pins if 0 < revision < floor and before.has(revision))
    at = [await _dated(store, log, before, revision) for revision in (*pins, floor)]
    entry = await _entry(store, log, floor)
    done = await hand_in(Compact(log, at[-1], tuple(at[:-1]), wanted.since, entry))
    if not isinstance(done, Done) or not done.existed:
        return 0
    kept = before.after(at[-1], at[:-1], entry)
    if not dry:
        await follow(store, log, kept)
    return _count(before, head) - _count(kept, head)


async def follow(store: Store, log: LogId, kept: Kept) -> None:
    """Make a log as short as what is kept of it allows."""
    floor, oldest = kept.floor.revision, kept.oldest
    if not oldest:
        return
    for revision in (floor, oldest):  # the floor first: past a squashed delta its last changes would not be known
        if all(mark.revision != revision for mark in await store.list_images(log)):
            state = await _at(store, log, revision)
            data = await asyncio.to_thread(encode_image, Image(state.tree, state.chain, state.log_bytes))
            await store.put_image(log, upkeep.Image(revision, data))
    await store.raise_floor(log, oldest)
    stops = [*(pin.revision for pin in kept.between), floor]
    for after, until in reversed(list(pairwise(stops))):
        await _squash(store, log, after, until)
    while await store.sweep():
        pass


async def _squash(store: Store, log: LogId, after: int, until: int) -> None:
    """Have one squashed delta lead from a revision to another. Where the way is long, parts of it are squashed first.

    From the end backwards: a squashed delta does not keep what later entries refer to, so none may come before them.
    """
    stops = await _stops(store, log, after, until)
    for begin, end in reversed(list(pairwise(stops))):
        await _write(store, log, await _at(store, log, begin), await _at(store, log, end))
    if len(stops) > _ONE_STEP:
        await _write(store, log, await _at(store, log, after), await _at(store, log, until))


_ONE_STEP = 2


async def _stops(store: Store, log: LogId, after: int, until: int) -> list[int]:
    """Give the revisions between which to squash; none where there is nothing left to do."""
    stops, count, revision = [after], 0, after
    while rows := await store.read_log(log, revision, PAGE):
        for row in rows:
            if row.revision >= until:
                done = row.revision != until or (count == 0 and isinstance(decode_row(row.entry), Squash))
                return [] if done else [*stops, until]
            count += 1
            if count % CHUNK == 0:
                stops.append(row.revision)
        revision = rows[-1].revision
    return []


async def _write(store: Store, log: LogId, begin: State, end: State) -> None:
    await store.squash(log, begin.revision, await asyncio.to_thread(working, partial(_squashed, begin, end)))


def _squashed(begin: State, end: State) -> LogRow:
    """Return the row that leads from a revision to another."""
    changes = bridge(begin.tree.root, end.tree.root)
    squash = sealed(begin.revision, end.revision, end.tree.timestamp, changes, end.chain)
    let_go(changes)
    return LogRow(end.revision, encode_squash(squash), end.chain)


async def _at(store: Store, log: LogId, revision: int) -> State:
    return (await rebuilt(store, Point(log.state_id, log.incarnation, revision))).state


async def _dated(store: Store, log: LogId, kept: Kept, revision: int) -> KeptAt:
    """Give a revision with when it was made."""
    for known in (*kept.between, kept.floor):
        if known.revision == revision:
            return known
    rows = await store.read_log(log, revision - 1, 1)
    return KeptAt(revision, decode_row(rows[0].entry).timestamp if rows else 0)


async def _entry(store: Store, log: LogId, revision: int) -> Entry | None:
    """Return what made a revision, in short; None where that has been squashed, or is gone already."""
    rows = await store.read_log(log, revision - 1, 1)
    entry = decode_row(rows[0].entry) if rows and rows[0].revision == revision else None
    return in_short(entry) if isinstance(entry, Entry) else None


def _count(kept: Kept, head: int) -> int:
    return head - max(kept.floor.revision, 1) + 1 + len(kept.between)
