"""The logs: each is read from its first revision on, and the state that comes of it is held against what is known of it.

A log only grows, and one that is dropped never comes back under the same name. So what was in it once is in it still, unless
there is no such log any more; and that is looked up before a problem is reported.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import msgspec

from lastgood_daemon.authority.records import about_of
from lastgood_daemon.authority.replay import PAGE, RewrittenError, apply_rows, nearest
from lastgood_daemon.authority.verify.index import IndexCheck
from lastgood_daemon.authority.verify.readable import problem_of_changes, problem_of_content
from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.engine.difference import differences
from lastgood_daemon.engine.equality import same_value
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.image import DamagedImageError, Image, decode_image, same_image
from lastgood_daemon.engine.labour import LONG_BYTES
from lastgood_daemon.engine.log import Squash, decode_row
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow, Reading, StoreBrokenError
from lastgood_proto.paths import format_path

T = TypeVar("T")

ROW_BYTES = 2048
"""What it costs to apply a row, besides its bytes."""
MOST_DIGITS = 18
"""Of the number of a life: SQLite has none that are much longer."""


async def check_logs(reading: Reading, live: Mapping[str, State], findings: Findings, after: str) -> str:
    """Check the next log. A place is the life, and the id of the state."""
    for log, _ in await reading.list_logs(_log_of(after), 1):
        where = f"state {log.state_id!r}"
        in_memory = live.get(log.state_id)
        if in_memory is not None and in_memory.incarnation != log.incarnation:
            in_memory = None
        try:
            await _check_owner(reading, log)
            await _check_log(reading, log, in_memory, findings)
        except RewrittenError:
            return after  # compacted while it was read: once more
        except (CorruptRecordError, StoreBrokenError) as error:
            if await _is_there(reading, log):
                findings.add(where, str(error).removeprefix(f"{where}: "))
        findings.states += 1
        return f"{log.incarnation}:{log.state_id}"
    return ""


def _log_of(place: str) -> LogId | None:
    if not place:
        return None
    incarnation, _, state_id = place.partition(":")
    if not incarnation.isdecimal() or len(incarnation) > MOST_DIGITS:
        field = "page_token"
        raise InvalidArgumentError(field, "must be a page token issued by this daemon")
    return LogId(state_id, int(incarnation))


async def _is_there(reading: Reading, log: LogId) -> bool:
    try:
        return (await reading.head(log)).revision > 0
    except (StoreBrokenError, CorruptRecordError):
        return True


async def _check_owner(reading: Reading, log: LogId) -> None:
    """A log belongs to the present life of a state, whose record says that it has been written."""
    try:
        about = await about_of(reading, log.state_id)
    except (CorruptRecordError, msgspec.DecodeError):
        return  # named where the records are checked
    if about is None:
        problem = "has a log, but no record"
        raise CorruptRecordError(problem)
    if (about.incarnation, about.born) != (log.incarnation, True):
        written = "which has been written" if about.born else "which nobody has written"
        problem = f"has a log of its life {log.incarnation}; its record is of life {about.incarnation}, {written}"
        raise CorruptRecordError(problem)


async def _check_log(reading: Reading, log: LogId, live: State | None, findings: Findings) -> None:
    """Read a log up to the head that was seen and the state that is in memory, and hold both against what comes of it."""
    index = await IndexCheck.begin(reading, log)
    head = await reading.head(log)
    images = {mark.revision for mark in await reading.list_images(log)}
    state = State(log.state_id, About(incarnation=log.incarnation))
    if head.floor or images:
        state, _ = await nearest(reading, log, head.floor)
        unreadable = await _done(state.log_bytes, partial(problem_of_content, state.tree.root))
        if unreadable:
            findings.add(f"state {log.state_id!r}", f"the content of revision {state.revision} cannot be read: {unreadable}")
    stops = sorted({head.revision, head.revision if live is None else live.revision} - {state.revision})
    for until in [state.revision, *stops]:
        state = await _replayed(reading, state, until, images, index, findings)
        if until == head.revision and (state.revision, state.chain) != (head.revision, head.chain):
            problem = f"its log ends at revision {state.revision}, its head says {head.revision}"
            if state.revision == head.revision:
                problem = f"revision {head.revision} is not the one that its head names"
            raise CorruptRecordError(problem)
        if live is not None and until == live.revision:
            await _done(live.log_bytes, partial(_compare, state, live))
    beyond = await reading.read_log(log, head.revision, 1)
    if beyond and (await reading.head(log)).revision == head.revision:
        problem = f"its log goes on after revision {head.revision}, where its head says that it ends"
        raise CorruptRecordError(problem)
    await index.end(reading, head.revision, findings)


async def _replayed(
    reading: Reading, state: State, until: int, images: set[int], index: IndexCheck, findings: Findings
) -> State:
    """Read on, and hold each image against what the log says at its revision."""
    log = LogId(state.state_id, state.incarnation)
    while state.revision < until:
        rows = [row for row in await reading.read_log(log, state.revision, PAGE) if row.revision <= until]
        if not rows:
            break
        imaged = next((index for index, row in enumerate(rows, start=1) if row.revision in images), len(rows))
        cost = state.log_bytes + sum(len(row.entry) + ROW_BYTES for row in rows[:imaged])
        unreadable = await _done(cost, partial(_unreadable, rows[:imaged]))
        if unreadable:
            findings.add(f"state {log.state_id!r}", unreadable)
        state, _ = await _done(cost, partial(apply_rows, state, rows[:imaged], index.see))
        findings.revisions += imaged
        if state.revision in images:
            state = await _held_against_image(reading, log, state, findings)
    return state


def _unreadable(rows: Sequence[LogRow]) -> str:
    """Return which of the rows has a value that no reader can read, the first of them; "" if none has."""
    for row in rows:
        try:
            decoded = decode_row(row.entry)
        except msgspec.DecodeError:
            return ""  # named where the rows are applied
        problem = problem_of_changes(decoded.changes if isinstance(decoded, Squash) else decoded.changes())
        if problem:
            return f"revision {row.revision} has a value that cannot be read: {problem}"
    return ""


async def _done(cost: int, work: Callable[[], T]) -> T:
    """Do what takes as long as looking into that many bytes: in a thread, unless to go there and back would take longer."""
    return work() if cost < LONG_BYTES else await asyncio.to_thread(work)


async def _held_against_image(reading: Reading, log: LogId, state: State, findings: Findings) -> State:
    """Go on from the image where the log before it was compacted: what comes of that are values, and no more."""
    try:
        image = await reading.image(log, state.revision)
        if image is None or image.revision != state.revision:
            return state  # dropped meanwhile
        decoded = await asyncio.to_thread(decode_image, image.data)
    except (CorruptRecordError, DamagedImageError) as error:
        problem = f"the image of revision {state.revision} is damaged: {error}"
        findings.add(f"state {log.state_id!r}", problem)
        return state
    if not await asyncio.to_thread(_agree, decoded, state):
        problem = f"the image of revision {state.revision} is not what its log says"
        findings.add(f"state {log.state_id!r}", problem)
    return state if state.exact else replace(state, tree=decoded.tree, log_bytes=decoded.log_bytes, exact=True)


def _agree(image: Image, state: State) -> bool:
    if state.exact:
        return same_image(image, Image(state.tree, state.chain, state.log_bytes))
    return image.chain == state.chain and same_value(image.tree.root, state.tree.root)


def _compare(rebuilt: State, live: State) -> None:
    """Hold what comes of the log against what is in memory at the same revision."""
    if (rebuilt.revision, rebuilt.chain) != (live.revision, live.chain):
        problem = f"in memory it is at revision {live.revision} of another log, and here at {rebuilt.revision}"
        raise CorruptRecordError(problem)
    try:
        is_same = same_value(rebuilt.tree.root, live.tree.root)
    except (ValueError, IndexError):
        return  # a value that cannot be read has been named where its revision was
    if not is_same:
        first = next(differences(rebuilt.tree.root, live.tree.root), None)
        at = "the order of a map" if first is None else f"path {format_path(first.path)!r}"
        problem = f"what is in memory at revision {live.revision} is not what its log says: {at} differs"
        raise CorruptRecordError(problem)
