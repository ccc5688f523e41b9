"""The logs: each is read from its first revision on, and the state that comes of it is held against what is known of it.

A log only grows, and one that is dropped never comes back under the same name. So what was in it once is in it still, unless
there is no such log any more; and that is looked up before a problem is reported.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from lastgood_daemon.authority.layer import state_key
from lastgood_daemon.authority.loader import PAGE, apply_rows
from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.engine.difference import differences
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.store.protocol import CorruptRecordError, Head, LogId, Reading, StoreBrokenError
from lastgood_proto.paths import format_path


async def check_logs(reading: Reading, live: Mapping[str, State], findings: Findings, after: str) -> str:
    """Check the next log. A place is the life, and the id of the state."""
    for log, head in await reading.list_logs(_log_of(after), 1):
        where = f"state {log.state_id!r}"
        in_memory = live.get(log.state_id)
        if in_memory is not None and in_memory.incarnation != log.incarnation:
            in_memory = None
        try:
            await _check_owner(reading, log)
            await _check_log(reading, log, head, in_memory, findings)
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
    if not incarnation.isdecimal():
        field = "page_token"
        raise InvalidArgumentError(field, "is none that this daemon gave")
    return LogId(state_id, int(incarnation))


async def _is_there(reading: Reading, log: LogId) -> bool:
    try:
        return (await reading.head(log)).revision > 0
    except StoreBrokenError:
        return True


async def _check_owner(reading: Reading, log: LogId) -> None:
    """A log belongs to the present life of a state, whose record says that it has been written."""
    try:
        record = await reading.record(state_key(log.state_id))
        about = About() if record is None else msgspec.msgpack.decode(record.value, type=About)
    except (CorruptRecordError, msgspec.DecodeError):
        return  # named where the records are checked
    if record is None:
        problem = "has a log, but no record"
        raise CorruptRecordError(problem)
    if (about.incarnation, about.born) != (log.incarnation, True):
        written = "which has been written" if about.born else "which nobody has written"
        problem = f"has a log of its life {log.incarnation}; its record is of life {about.incarnation}, {written}"
        raise CorruptRecordError(problem)


async def _check_log(reading: Reading, log: LogId, head: Head, live: State | None, findings: Findings) -> None:
    """Read a log up to the head that was seen and the state that is in memory, and hold both against what comes of it."""
    state = State(log.state_id, About(incarnation=log.incarnation))
    for until in sorted({head.revision, head.revision if live is None else live.revision}):
        state = await _replayed(reading, state, until, findings)
        if until == head.revision and (state.revision, state.chain) != head:
            problem = f"its log ends at revision {state.revision}, its head says {head.revision}"
            if state.revision == head.revision:
                problem = f"revision {head.revision} is not the one that its head names"
            raise CorruptRecordError(problem)
        if live is not None and until == live.revision:
            await asyncio.to_thread(_compare, state, live)
    beyond = await reading.read_log(log, head.revision, 1)
    if beyond and (await reading.head(log)).revision == head.revision:
        problem = f"its log goes on after revision {head.revision}, where its head says that it ends"
        raise CorruptRecordError(problem)


async def _replayed(reading: Reading, state: State, until: int, findings: Findings) -> State:
    while state.revision < until:
        rows = await reading.read_log(
            LogId(state.state_id, state.incarnation), state.revision, min(PAGE, until - state.revision)
        )
        if not rows:
            break
        state, _ = await asyncio.to_thread(apply_rows, state, rows, lambda _: False)
        findings.revisions += len(rows)
    return state


def _compare(rebuilt: State, live: State) -> None:
    """Hold what comes of the log against what is in memory at the same revision."""
    if (rebuilt.revision, rebuilt.chain) != (live.revision, live.chain):
        problem = f"in memory it is at revision {live.revision} of another log, and here at {rebuilt.revision}"
        raise CorruptRecordError(problem)
    if not rebuilt.tree.root.same_value(live.tree.root):
        first = next(differences(rebuilt.tree.root, live.tree.root), None)
        at = "the order of a map" if first is None else f"path {format_path(first.path)!r}"
        problem = f"what is in memory at revision {live.revision} is not what its log says: {at} differs"
        raise CorruptRecordError(problem)
