"""A state with its history as JSON lines, page by page.

    {"lastgood_export": 1, "state_id": "trip", …}       what it is
    {"kept": 12, …, "value": {…}}                       what was pinned where the log has been compacted,
    {"floor": 900, …, "tree": {…}, "graves": […]}       and the revision from which on it is whole
    {"revision": 901, …, "edits": […]}                  one each
    {"snapshot": {…}}                                   one each
    {"end": true, …, "chain": "…", "digest": "…"}       nothing is missing

All pages are about the revision that was the present one when the first was asked for. A page ends anywhere in a line.
The chain vouches for the revisions; the digest for all other lines.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.replay import RewrittenError, rebuilt, replay
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.engine.errors import InvalidArgumentError, RevisionUnavailableError, StateNotFoundError
from lastgood_daemon.engine.log import Entry, decode_row
from lastgood_daemon.engine.portable.entry import entry_document, point_document
from lastgood_daemon.engine.portable.format import FORMAT, digest_after, line_of
from lastgood_daemon.engine.portable.tree import grave_document, node_document
from lastgood_daemon.engine.portable.value import value_document
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, LogRow

PAGE_BYTES = 1024 * 1024
"""A page ends with the line that reaches this."""
PIECE_BYTES = 2 * 1024 * 1024
"""What is longer is cut: to copy more in one call would hold the event loop."""
KEPT_SECONDS = 15.0
"""For which a line that was cut is kept for the next page; after that it is made again."""
PAGE_ROWS = 1000


class Page(NamedTuple):
    """A piece of the text; without a token nothing follows."""

    data: bytes
    next_token: str
    state: State


_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Place(msgspec.Struct, frozen=True):
    """Where in the lines a page begins."""

    incarnation: _Number
    head: _Number
    floor: _Number
    stage: _Number = 0
    after: _Number = 0
    """Of what the stage has, the revision or the ordinal of the line before."""
    offset: _Number = 0
    """Bytes of the line that were in the page before."""
    chain: str = ""
    """At the head."""
    digest: str = ""


_HEADER, _KEPT, _LOG, _SNAPSHOTS, _END, _DONE = range(6)


async def export_page(loader: Loader, ref: StateRef, token: str) -> Page:
    """Give a page of a state and its history.

    Raises:
        RefusedError: there is no such state, the token is none, or what it is about was given up meanwhile.
    """
    place = _place_of(token) if token else None
    if place is not None:
        ref = StateRef(ref.state_id, place.incarnation)
    state = await loader.ask(lambda reader: find_state(reader, ref))
    if place is None:
        _require_written(state)
        place = _Place(state.incarnation, state.revision, state.kept.floor.revision, chain=state.chain.hex())
    _require(state, place)
    data = bytearray()
    while place.stage != _DONE and len(data) < PAGE_BYTES:
        for line, after in _kept_for(loader, state, place) or await _lines(loader, state, place):
            piece = memoryview(line)[place.offset :]
            room = PIECE_BYTES - len(data)
            if len(piece) > room:
                data += piece[:room]
                cut = msgspec.structs.replace(place, offset=place.offset + room)
                _keep(loader, state, cut, line, after)
                return Page(bytes(data), _token_of(cut), state)
            data += piece
            place = after
    return Page(bytes(data), "" if place.stage == _DONE else _token_of(place), state)


_Lines = list[tuple[bytes, _Place]]


class _Cut(NamedTuple):
    """A line of which a page has given only the beginning."""

    state_id: str
    redacted: int
    """By which revision its state was redacted last."""
    at: _Place
    line: bytes
    after: _Place


_cut: WeakKeyDictionary[Loader, _Cut] = WeakKeyDictionary()
"""The last one of each daemon. To make a line of 40 MB anew for each page of it would take its square."""


def _keep(loader: Loader, state: State, at: _Place, line: bytes, after: _Place) -> None:
    log = LogId(state.state_id, state.incarnation)
    cut = _cut[loader] = _Cut(state.state_id, loader.redacted(log), at, line, after)

    def forget() -> None:
        if _cut.get(loader) is cut:
            del _cut[loader]

    asyncio.get_running_loop().call_later(KEPT_SECONDS, forget)


def _kept_for(loader: Loader, state: State, place: _Place) -> _Lines:
    """Return the line that a page begins within, if it is at hand as it would be made now; the next page takes it over."""
    known = _cut.get(loader)
    if known is None or not place.offset:
        return []
    now = (state.state_id, loader.redacted(LogId(state.state_id, state.incarnation)), place)
    if known[:3] != now:
        return []
    del _cut[loader]
    return [(known.line, known.after)]


async def _lines(loader: Loader, state: State, place: _Place) -> _Lines:
    """Give some of the lines from a place on, each with the place after it; none where a stage has no more."""
    match place.stage:
        case stage if stage == _HEADER:
            return [_covered(_header(state, place), msgspec.structs.replace(place, stage=_KEPT))]
        case stage if stage == _KEPT:
            return await _next_kept(loader, state, place)
        case stage if stage == _LOG:
            return await _next_revisions(loader, state, place)
        case stage if stage == _SNAPSHOTS:
            return await asyncio.to_thread(_next_snapshots, state, place)
    end = {"end": True, "revisions": place.head - place.floor, "chain": place.chain, "digest": place.digest}
    return [(line_of(end), msgspec.structs.replace(place, stage=_DONE))]


def _header(state: State, place: _Place) -> dict[str, Any]:
    about = state.about
    return {
        "lastgood_export": FORMAT,
        "state_id": state.state_id,
        "incarnation": state.incarnation,
        "created_at": about.created_at,
        "origin": None if about.origin is None else point_document(about.origin),
        "head": place.head,
        "chain": place.chain,
    }


async def _next_kept(loader: Loader, state: State, place: _Place) -> _Lines:
    kept = state.kept
    following = [at.revision for at in (*kept.between, kept.floor) if at.revision > place.after]
    if not following:
        return [(b"", msgspec.structs.replace(place, stage=_LOG, after=place.floor))]
    lines: _Lines = []
    size, then = 0, None
    for revision in following:
        # Each goes on from the one before; the floor does not, since after a squashed delta only values are known.
        whole = revision == place.floor
        then = await _state_at(loader, state, revision, None if whole else then)
        if then.revision != revision or (whole and not then.exact):
            raise _gone(state, revision)
        after = msgspec.structs.replace(place, after=revision)
        line, place = await asyncio.to_thread(_kept_line, then, after, kept.entry, whole=whole)
        lines.append((line, place))
        size += len(line)
        if size >= PAGE_BYTES:
            break
    return lines


async def _state_at(loader: Loader, state: State, revision: int, before: State | None) -> State:
    if before is None:
        return (await rebuilt(loader.store, state.point(revision))).state
    try:
        return await replay(loader.store, before, until=revision, trail_from=revision + 1)
    except RewrittenError:
        raise _gone(state, revision) from None


def _kept_line(state: State, after: _Place, entry: Entry | None, *, whole: bool) -> tuple[bytes, _Place]:
    try:
        document = _kept_document(state, entry, whole=whole)
    except ValueError as error:
        message = f"state {state.state_id!r}: the content of revision {state.revision} cannot be read: {error}"
        raise CorruptRecordError(message) from error
    return _covered(document, after)


def _kept_document(state: State, entry: Entry | None, *, whole: bool) -> dict[str, Any]:
    at = {"timestamp": state.tree.timestamp, "chain": state.chain.hex()}
    if not whole:
        return {"kept": state.revision, **at, "value": value_document(state.tree.root.encoded())}
    return {
        "floor": state.revision,
        **at,
        "tree": node_document(state.tree.root),
        "graves": grave_document(state.tree.graves),
        **({} if entry is None else {"entry": entry_document(state.revision, entry)}),
    }


async def _next_revisions(loader: Loader, state: State, place: _Place) -> _Lines:
    if place.after == place.head:
        return [(b"", msgspec.structs.replace(place, stage=_SNAPSHOTS, after=0))]
    log = LogId(state.state_id, state.incarnation)
    rows = await loader.store.read_log(log, place.after, min(PAGE_ROWS, place.head - place.after))
    if not rows:
        raise StateNotFoundError(state.state_id)
    return await asyncio.to_thread(_entry_lines, state, rows, place)


def _entry_lines(state: State, rows: Sequence[LogRow], place: _Place) -> _Lines:
    lines: _Lines = []
    size = 0
    for row in rows:
        try:
            entry = decode_row(row.entry)
        except msgspec.DecodeError as error:
            message = f"state {state.state_id!r}: revision {row.revision} cannot be read: {error}"
            raise CorruptRecordError(message) from error
        if not isinstance(entry, Entry) or row.revision != place.after + 1:
            raise _gone(state, place.after + 1)
        place = msgspec.structs.replace(place, after=row.revision, offset=0)
        try:
            document = entry_document(row.revision, entry)
        except ValueError as error:
            message = f"state {state.state_id!r}: a value of revision {row.revision} cannot be read: {error}"
            raise CorruptRecordError(message) from error
        lines.append((line_of(document), place))
        size += len(lines[-1][0])
        if size >= PAGE_BYTES:
            break
    return lines


def _next_snapshots(state: State, place: _Place) -> _Lines:
    lines: _Lines = []
    size = 0
    for taken in state.snapshots_after(place.after):
        if taken.revision > place.head:
            continue
        after = msgspec.structs.replace(place, after=taken.ordinal)
        line, place = _covered({"snapshot": _snapshot_document(taken)}, after)
        lines.append((line, place))
        size += len(line)
        if size >= PAGE_BYTES:
            return lines
    return lines or [(b"", msgspec.structs.replace(place, stage=_END))]


def _snapshot_document(taken: Snapshot) -> dict[str, Any]:
    return {
        "snapshot_id": taken.snapshot_id,
        "revision": taken.revision,
        "created_at": taken.created_at,
        "label": taken.label,
        "metadata": None if taken.metadata is None else value_document(taken.metadata),
    }


def _covered(document: dict[str, Any], after: _Place) -> tuple[bytes, _Place]:
    """Give a line that goes into the digest, and the place after it."""
    return line_of(document), msgspec.structs.replace(after, offset=0, digest=digest_after(after.digest, document))


def _require_written(state: State) -> None:
    if state.about.born or state.snapshots:
        return
    if state.incarnation > 1:
        remedy = "there is nothing to export"
        raise StateNotFoundError(state.state_id, remedy)
    field = "state_id"
    raise InvalidArgumentError(
        field, f"must name a state that has been written, got {state.state_id!r}: there is nothing to export"
    )


def _require(state: State, place: _Place) -> None:
    if state.kept.floor.revision != place.floor:
        raise _gone(state, place.floor)


def _gone(state: State, revision: int) -> RevisionUnavailableError:
    nearest = state.kept.nearest(revision)
    return RevisionUnavailableError(state.state_id, revision, state.kept.oldest, state.revision, nearest)


def _token_of(place: _Place) -> str:
    return msgspec.json.encode(place).decode()


def _place_of(token: str) -> _Place:
    try:
        place = msgspec.json.decode(token, type=_Place)
    except msgspec.DecodeError:
        place = None
    if place is None or place.stage > _END:
        field = "page_token"
        raise InvalidArgumentError(field, "must be a page token issued by this daemon")
    return place
