"""The records: each is held against its checksum, read as what it must be, and followed to what it refers to.

While others write, what a record refers to may be gone a moment later, and then so is the record, or it has changed: it is
read again before a problem is reported.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from lastgood_daemon.authority.layer import workflow_key
from lastgood_daemon.authority.records import about_of
from lastgood_daemon.authority.session_records import problem_of, session_key, type_of
from lastgood_daemon.authority.sessions import CHUNK, Chunk, Newest
from lastgood_daemon.authority.verify.readable import problem_of_record
from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.engine.attempt import Attempt
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import About, Snapshot, State
from lastgood_daemon.engine.workflow import Progress
from lastgood_daemon.store.protocol import CorruptRecordError, Damaged, LogId, Reading, Record, RecordKey
from lastgood_daemon.store.timeline import Epoch

PAGE = 100

KINDS: dict[str, Any] = {
    "state": About,
    "kept": Kept,
    "snapshot": Snapshot,
    "workflow": Progress,
    "attempt": Attempt,
    "effect": Effect,
    "checkpoint": Checkpoint,
    "retention": Retention,
    "session": Newest | Chunk,  # which of them, the key says
    "timeline": tuple[Epoch, ...],
}
"""What a record of each kind must be."""


async def check_records(reading: Reading, live: Mapping[str, State], findings: Findings, after: str) -> str:
    """Check the next page of records. A place is the kind and the owner."""
    del live
    kind, _, owner = after.partition(":")
    if not after:
        kind = next(iter(KINDS))
        for unknown in sorted({*await reading.kinds()} - KINDS.keys()):
            findings.add(f"records of kind {unknown!r}", "are none that this version of lastgood writes")
    page = await reading.list_records(kind, owner, PAGE)
    bad: set[str] = set()
    for record in page:
        problem = await _problem(reading, record)
        if problem and record.key.owner not in bad:  # the first of each group
            bad.add(record.key.owner)
            findings.add(name_of(record.key), problem)
    findings.records += len(page)
    if page:
        return f"{kind}:{page[-1].key.owner}"
    later = list(KINDS)[[*KINDS, kind].index(kind) + 1 :]
    return f"{later[0]}:" if later else ""


async def _problem(reading: Reading, record: Record | Damaged) -> str:
    """Say what is wrong with a record; "": nothing."""
    if isinstance(record, Damaged):
        return "does not match its checksum"
    kind = record.key.kind
    try:
        found = msgspec.msgpack.decode(record.value, type=type_of(record.key) if kind == "session" else KINDS[kind])
    except msgspec.DecodeError as error:
        return f"cannot be read as a {kind}: {error}"
    unreadable = problem_of_record(found)
    if unreadable:
        return f"has a value that cannot be read: {unreadable}"
    try:
        problem = await _leads_nowhere(reading, record.key, found)
        if problem and await reading.record(record.key) == record:
            return problem
    except CorruptRecordError:
        pass  # what it refers to is damaged, and named where it is checked itself
    return ""


async def _leads_nowhere(reading: Reading, key: RecordKey, found: object) -> str:
    """Say what a record refers to that is not there; "": nothing."""
    match found:
        case About(born=True):
            if (await reading.head(LogId(key.owner, found.incarnation))).revision == 0:
                return "says that the state has been written, and there is no log of it"
        case Snapshot():
            about = await _about(reading, key.owner)
            return await _not_reached(reading, Point(key.owner, about.incarnation, found.revision))
        case Checkpoint() | Attempt() | Effect():
            if await reading.record(workflow_key(key.owner)) is None:
                return "belongs to a workflow that has no record"
            if isinstance(found, Checkpoint):
                return await _not_reached(reading, found.point)
        case Newest() | Chunk():
            return await _incomplete(reading, key.owner, found)
    return ""


async def _incomplete(reading: Reading, session_id: str, found: Newest | Chunk) -> str:
    """Say what is missing beside a record of a session; "": nothing."""
    if isinstance(found, Newest):
        there = len(await reading.records("session", session_id)) - 1 if found.chunks else 0
        return problem_of(found, there)
    return "" if await reading.record(session_key(session_id)) is not None else "belongs to a session that has no record"


async def _not_reached(reading: Reading, point: Point) -> str:
    """Say why there is no such revision; "": there is, or was, in a life of the state that is over."""
    if point.revision == 0:
        return ""
    head = await reading.head(LogId(point.state_id, point.incarnation))
    about = await _about(reading, point.state_id)  # read later: a log is there as long as its life is the present one
    if point.incarnation < about.incarnation or point.revision <= head.revision:
        return ""
    return f"refers to revision {point.revision} of state {point.state_id!r}, which has come to {head.revision}"


async def _about(reading: Reading, state_id: str) -> About:
    try:
        return await about_of(reading, state_id) or About()
    except msgspec.DecodeError as error:
        raise CorruptRecordError(str(error)) from error


def name_of(key: RecordKey) -> str:
    """Name a record in words."""
    numbers = [part.lstrip("0") or "0" for part in key.key.split("/", 2)]
    match key.kind, numbers:
        case "snapshot", _:
            return f"snapshot {key.key!r} of state {key.owner!r}"
        case "checkpoint", [step, attempt]:
            return f"the checkpoint of step {step} in attempt {attempt} at workflow {key.owner!r}"
        case "attempt", [number]:
            return f"attempt {number} at workflow {key.owner!r}"
        case "effect", [step, _, _]:
            return f"effect {key.key.split('/', 2)[2]!r} of step {step} of workflow {key.owner!r}"
        case "session", [place] if key.key:
            first = int(place) * CHUNK
            return f"the answers to requests {first} to {first + CHUNK - 1} of session {key.owner!r}"
    return f"the record of {key.kind} {key.owner!r}"
