"""Reading the lines of an export, one after the other, into a state. Plain work for a thread.

Whatever does not fit is refused, and then nothing of it counts: the lines have an order, each revision follows on the one
before it, its changes fit what is there, and the last line says what it must have come to.
"""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

import msgspec

from lastgood_daemon.engine.change import DamagedLogError
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.graves import NO_GRAVES
from lastgood_daemon.engine.history import in_short
from lastgood_daemon.engine.kept import Kept, KeptAt
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import Entry, chain, encode_entry, encode_squash, sealed
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.portable.entry import Count, entry_of
from lastgood_daemon.engine.portable.format import FORMAT, digest_after, require_point, require_text
from lastgood_daemon.engine.portable.line import parsed
from lastgood_daemon.engine.portable.tree import grave_of, node_of
from lastgood_daemon.engine.portable.value import value_of
from lastgood_daemon.engine.restore import bridge
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.engine.trail import Trail
from lastgood_daemon.engine.tree import Tree
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.texts import MAX_METADATA_BYTES

Document = dict[str, Any]


class Made(NamedTuple):
    """A row for the log: a revision, or a squashed delta up to it; encoded, and with the chain there."""

    revision: int
    encoded: bytes
    chain: bytes


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    lastgood_export: int
    state_id: str
    incarnation: Count
    created_at: Count
    origin: Point | None
    head: Count
    chain: str


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kept: Count
    timestamp: Count
    chain: str
    value: Any


class _Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    floor: Count
    timestamp: Count
    chain: str
    tree: Any
    graves: Any
    entry: Document | None = None


class _Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    snapshot_id: str
    revision: Count
    created_at: Count
    label: str | None
    metadata: Any


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    end: bool
    revisions: Count
    chain: str
    digest: str


class Intake:
    """See the module. ``state`` is what the lines so far have come to."""

    def __init__(self, state: State) -> None:
        """Begin with a state that has no content."""
        self.state = state
        self.header: Header | None = None
        self.kept = Kept()
        self.snapshots: list[Snapshot] = []
        self.ended = False
        self._number = 0
        self._taken: set[str] = set()
        self._revisions = 0
        self._digest = ""

    def take(self, line: bytes) -> Made | None:
        """Take in a line; gives the row of the log that it makes, if it makes one.

        Raises:
            InvalidArgumentError: it does not fit.
        """
        self._number += 1
        if not line.strip():
            return None
        try:
            document = parsed(line)
            if not isinstance(document, dict):
                _misfit("it is no JSON object")
            return self._read(document)
        except (NotAValueError, DamagedLogError, ValueError, OverflowError, RecursionError) as error:
            raise self._refusal(str(error)) from None

    def finish(self) -> Header:
        """Note that there are no more lines.

        Raises:
            InvalidArgumentError: the last one is missing.
        """
        if self.header is None or not self.ended:
            problem = "the export ends here, without its last line: it is cut off"
            raise self._refusal(problem)
        return self.header

    def _refusal(self, problem: str) -> InvalidArgumentError:
        field = "lines"
        cut = problem if len(problem) <= MOST_CHARACTERS else f"{problem[:MOST_CHARACTERS]}…"
        return InvalidArgumentError(field, f"must be those of an export; line {self._number}: {cut}")

    def _read(self, document: Document) -> Made | None:
        if self.header is None:
            self._take_header(document)
            return None
        if self.ended:
            _misfit("it comes after the last line of the export")
        match document:
            case {"revision": _}:
                return self._take_revision(document)
            case {"kept": _} | {"floor": _}:
                return self._take_content(document)
            case {"snapshot": snapshot, **more} if not more:
                self._take_snapshot(msgspec.convert(snapshot, _Snapshot), document)
            case {"end": _}:
                self._take_end(msgspec.convert(document, _End))
            case _:
                _misfit("it is no line of an export")
        return None

    def _take_header(self, document: Document) -> None:
        version = document.get("lastgood_export")
        if version is None:
            _misfit("it is not the first line of an export of lastgood")
        if version != FORMAT:
            _misfit(f"the export has format {version!r}; this daemon reads format {FORMAT}")
        header = msgspec.convert(document, Header)
        if header.origin is not None:
            require_point(header.origin, "origin")
        self.header = header
        self._cover(document)

    def _take_content(self, document: Document) -> Made:
        before = self.state
        if self._revisions or self.snapshots or self.kept.floor.revision:
            _misfit("a content that was kept comes before all revisions")
        read: _Kept | _Floor
        read = msgspec.convert(document, _Kept) if "kept" in document else msgspec.convert(document, _Floor)
        revision = read.kept if isinstance(read, _Kept) else read.floor
        self._require_later(revision, read.timestamp)
        if isinstance(read, _Kept):
            tree = Tree(revision, read.timestamp, Node(revision, encoded=value_of(read.value)), NO_GRAVES)
        else:
            root, graves = node_of(read.tree, revision), grave_of(read.graves, revision)
            tree = Tree(revision, read.timestamp, root, graves)
        if not tree.root.is_map:
            _misfit("the content of a state is a map")
        chained = _hash_of(read.chain)
        changes = working(partial(bridge, before.tree.root, tree.root))
        squash = sealed(before.revision, revision, read.timestamp, changes, chained)
        at = KeptAt(revision, read.timestamp)
        if isinstance(read, _Kept):
            self.kept = Kept(self.kept.floor, (*self.kept.between, at))
        else:
            self.kept = Kept(at, self.kept.between, None if read.entry is None else _made_by(at, read.entry))
        exact = isinstance(read, _Floor)
        if isinstance(read, _Floor):
            tree = tree._replace(root=node_of(read.tree, revision))  # anew: finding the difference has opened it
        self.state = replace(before, tree=tree, chain=chained, exact=exact, trail=Trail(oldest=revision + 1))
        self._cover(document)
        return Made(revision, encode_squash(squash), chained)

    def _take_revision(self, document: Document) -> Made:
        revision, entry = entry_of(document)
        if self.snapshots:
            _misfit("a revision comes before all snapshots")
        if not self.state.exact:
            _misfit("the revision from which on all are there is missing before it")
        self._require_later(revision, entry.timestamp)
        if revision > self.state.revision + 1:
            _misfit(f"revision {revision} comes after revision {self.state.revision}: what is between is missing")
        encoded, chained = encode_entry(entry), chain(self.state.chain, revision, entry)
        after = working(partial(self.state.replay, entry, chained))
        if not after.tree.root.is_map:
            _misfit("the content of a state is a map")
        self.state = after.logged(len(encoded))
        self._revisions += 1
        return Made(revision, encoded, chained)

    def _take_snapshot(self, read: _Snapshot, document: Document) -> None:
        if read.revision > self.state.revision or not self.kept.has(read.revision):
            _misfit(f"it is of revision {read.revision}, which is not in the export")
        require_text(read.snapshot_id, "the snapshot_id")
        if not read.snapshot_id or read.snapshot_id in self._taken:
            _misfit(f"the snapshot_id {read.snapshot_id!r} is empty, or there twice")
        if read.label is not None:
            require_text(read.label, "the label of a snapshot")
        metadata = None if read.metadata is None else value_of(read.metadata)
        if metadata is not None and not Node(0, encoded=metadata).is_map:
            _misfit("the metadata of a snapshot is a map")
        if metadata is not None and len(metadata) > MAX_METADATA_BYTES:
            _misfit(f"the metadata of a snapshot has {len(metadata)} bytes; the limit is {MAX_METADATA_BYTES}")
        self._taken.add(read.snapshot_id)
        ordinal = len(self.snapshots) + 1
        taken = Snapshot(read.snapshot_id, ordinal, read.revision, read.created_at, read.label, metadata)
        self.snapshots.append(taken)
        self._cover(document)

    def _take_end(self, end: _End) -> None:
        header, state = self.header, self.state
        if header is None or not end.end or not state.exact:
            _misfit("it comes too early")
        if end.revisions != self._revisions:
            _misfit(f"the export has {end.revisions} revisions, but {self._revisions} have come")
        if header.head != state.revision:
            _misfit(f"the export ends at revision {header.head}, but {state.revision} was the last")
        if not end.chain == header.chain == state.chain.hex():
            _misfit("the revisions are not those that were exported: their chain is another")
        if end.digest != self._digest:
            _misfit("the lines besides the revisions are not those that were exported: their digest is another")
        self.ended = True

    def _require_later(self, revision: int, timestamp: int) -> None:
        before = self.state
        if revision <= before.revision:
            _misfit(f"revision {revision} comes after revision {before.revision}")
        if timestamp < before.tree.timestamp:
            _misfit(f"revision {revision} was made before revision {before.revision}, which it follows on")

    def _cover(self, document: Document) -> None:
        self._digest = digest_after(self._digest, document)


def _made_by(floor: KeptAt, document: Document) -> Entry:
    revision, entry = entry_of(document)
    if KeptAt(revision, entry.timestamp) != floor or in_short(entry) != entry:
        _misfit("what has made the floor is not an entry in short, of its revision and time")
    return entry


def _hash_of(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _HASH_BYTES:
        _misfit("a chain is 32 hexadecimal digits")
    return found


_HASH_BYTES = 16
MOST_CHARACTERS = 400
"""Of what is wrong with a line, which may quote it."""


def _misfit(problem: str) -> NoReturn:
    raise NotAValueError(problem)
