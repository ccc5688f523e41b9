"""A state, made from what the store has of it: the nearest image, and the log from there on. Checks the chain.

get at revision 900,000        image 870,500 ── rows 870,501 … 900,000      whatever the log has before
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import msgspec

from lastgood_daemon.engine.history import Step
from lastgood_daemon.engine.image import DamagedImageError, decode_image
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import Entry, Squash, chain, decode_row, seal_of
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.engine.trail import MAX_REVISIONS, Trail
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow, Reading
from lastgood_daemon.store.upkeep import Image

PAGE = 1000
"""Revisions of the log that are read, and applied in a thread, at a time."""

Visit = Callable[[list[Step]], bool]

log = logging.getLogger(__name__)


class Rebuilt(NamedTuple):
    """A state, and the bytes of the image that it was made from (0: none), which was at ``image_log_bytes`` of its log."""

    state: State
    image_size: int
    image_log_bytes: int


class RewrittenError(Exception):
    """The log was compacted while it was read: to be read again."""


class InexactError(CorruptRecordError):
    """The log goes on after a squashed delta: the image there is damaged, or was not yet written when this was begun."""


TRIES = 5


async def rebuilt(store: Reading, point: Point) -> Rebuilt:
    """Rebuild a state at a revision, 0: at its present one.

    Raises:
        CorruptRecordError: its log is damaged.
    """
    name = LogId(point.state_id, point.incarnation)
    inexact = 0
    while True:
        head = await store.head(name)
        try:
            start, image_size = await nearest(store, name, point.revision or head.revision)
            state = await replay(store, start, until=point.revision, trail_from=head.revision - MAX_REVISIONS)
        except RewrittenError:
            continue
        except InexactError:
            inexact += 1
            if inexact == TRIES:
                raise
            continue
        whole = point.revision == 0
        if state.revision < min(point.revision, head.revision) or (whole and (state.revision, state.chain) != head[:2]):
            if await store.head(name) != head:
                continue  # it has grown, or gone, meanwhile
            message = f"state {point.state_id!r}: the log ends at {state.revision}, its head says {head.revision}"
            raise CorruptRecordError(message)
        return Rebuilt(state, image_size, start.log_bytes)


async def nearest(store: Reading, name: LogId, at_most: int) -> tuple[State, int]:
    """Give the state at the newest image at or below a revision, and how large that is; an empty one where there is none.

    An image that is damaged is passed over: all that it says is in the log, too; but for the one at the floor.

    Raises:
        CorruptRecordError: the image at the floor is damaged.
    """
    floor = (await store.head(name)).floor
    while True:
        try:
            return await _at_or_below(store, name, floor, max(at_most, floor))
        except CorruptRecordError:
            before, floor = floor, (await store.head(name)).floor
            if floor == before:
                raise  # else the state has been deleted meanwhile, or compacted further


async def _at_or_below(store: Reading, name: LogId, floor: int, below: int) -> tuple[State, int]:
    while True:
        try:
            image = await store.image(name, below)
            if image is None and not floor:
                return State(name.state_id, About(incarnation=name.incarnation)), 0
            if image is None:
                raise _lost(name, floor)
            return await asyncio.to_thread(_of_image, name, image), len(image.data)
        except (CorruptRecordError, DamagedImageError) as error:
            marks = [mark.revision for mark in await store.list_images(name) if mark.revision <= below]
            if floor and max(marks, default=0) <= floor:
                raise _lost(name, floor) from error
            log.warning("passing over a damaged image: %s", error)
            below = max(marks, default=1) - 1


def _lost(name: LogId, floor: int) -> CorruptRecordError:
    return CorruptRecordError(
        f"state {name.state_id!r}: the image of revision {floor}, before which the log is gone, does not match its checksum"
    )


def _of_image(name: LogId, image: Image) -> State:
    tree, entry_chain, log_bytes = decode_image(image.data)
    if tree.revision != image.revision:
        message = f"the image of revision {image.revision} says that it is of {tree.revision}"
        raise DamagedImageError(message)
    return State(
        name.state_id,
        About(incarnation=name.incarnation, born=True),
        tree,
        entry_chain,
        log_bytes,
        trail=Trail(oldest=tree.revision + 1),
    )


async def replay(store: Reading, start: State, visit: Visit | None = None, until: int = 0, trail_from: int = 0) -> State:
    """Apply the log after a state to it.

    Args:
        store: where the log is.
        start: where to start.
        visit: called in a thread with each page of revisions; stops the replay by returning True.
        until: the last revision to apply; 0: all there are.
        trail_from: the revision from which on to keep those before at hand.

    Raises:
        CorruptRecordError: a revision does not match its chain.
    """
    state, stop = start, False
    name = LogId(start.state_id, start.incarnation)
    while not stop and (not until or state.revision < until):
        limit = min(PAGE, until - state.revision) if until else PAGE
        rows = await store.read_log(name, state.revision, limit)
        rows = [row for row in rows if not until or row.revision <= until]
        if not rows:
            break
        state, stop = await asyncio.to_thread(apply_rows, state, rows, visit, trail_from)
    return state


def apply_rows(state: State, rows: Sequence[LogRow], visit: Visit | None = None, trail_from: int = 0) -> tuple[State, bool]:
    """Apply a page of the log to a state; with it comes what ``visit`` says of its revisions.

    Raises:
        CorruptRecordError: a revision does not match its chain.
        RewrittenError: the log was compacted since the state was made.
    """
    steps: list[Step] = []
    for row in rows:
        after, entry = applied(state, row)
        if row.revision < trail_from:
            after = replace(after, trail=Trail(oldest=row.revision + 1))
        if visit is not None and entry is not None:
            steps.append(Step(entry, state.tree, after.tree))
        state = after
    return state, visit is not None and visit(steps)


def applied(state: State, row: LogRow) -> tuple[State, Entry | None]:
    """Give the state after the next row of its log, and the entry that it is; none for a squashed delta.

    Raises:
        CorruptRecordError: the row does not match its chain.
        RewrittenError: it follows on an earlier state than this one.
    """
    try:
        entry = decode_row(row.entry)
    except msgspec.DecodeError as error:
        raise _corrupt(state, row) from error
    if isinstance(entry, Squash):
        if entry.before < state.revision:
            raise RewrittenError
        if entry.before > state.revision or seal_of(entry, row.revision, row.chain) != entry.seal:
            raise _corrupt(state, row)
        after = working(partial(state.replay_squash, entry, row.revision, row.chain))
        return after.logged(len(row.entry)), None
    if not state.exact:
        message = f"state {state.state_id!r}: the image of revision {state.revision}, where its log begins, is damaged"
        raise InexactError(message)
    if row.revision != state.revision + 1 or chain(state.chain, row.revision, entry) != row.chain:
        raise _corrupt(state, row)
    return working(partial(state.replay, entry, row.chain)).logged(len(row.entry)), entry


def _corrupt(state: State, row: LogRow) -> CorruptRecordError:
    return CorruptRecordError(f"state {state.state_id!r}: revision {row.revision} does not match its checksum")
