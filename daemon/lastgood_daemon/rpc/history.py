"""The operations of HistoryService."""

import secrets
from contextlib import suppress

import msgspec

from lastgood_daemon.authority import questions
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.snapshots import DropSnapshot, TakeSnapshot
from lastgood_daemon.authority.commands.states import Fork
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.outcomes import SnapshotTaken, Written
from lastgood_daemon.authority.questions import Ends, Preview
from lastgood_daemon.authority.replay import RewrittenError
from lastgood_daemon.authority.targets import Revision, StateRef, Target, Time, find_state
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.difference import NoSuchDifferenceError
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.rpc import responses
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, Run, of_context, of_state
from lastgood_daemon.rpc.pages import (
    MAX_ITEMS,
    PointOfToken,
    fill,
    gather,
    not_a_token,
    numbers_of,
    place_of,
    point_or,
    size_of_page,
    token_of,
)
from lastgood_daemon.rpc.requests import (
    author_of,
    id_of,
    metadata_in,
    path_of,
    precondition_of,
    required_target,
    state_of,
    target_of,
    text_of,
)
from lastgood_proto.paths import Path
from lastgood_proto.v1 import history_pb2
from lastgood_proto.values import MAX_BYTES


def create_snapshot(edge: Edge, request: history_pb2.CreateSnapshotRequest) -> Do:
    """HistoryService.CreateSnapshot."""
    metadata = metadata_in(request.metadata) if request.HasField("metadata") else None
    label = text_of(request.label, "label") if request.HasField("label") else None

    def respond(taken: SnapshotTaken) -> history_pb2.CreateSnapshotResponse:
        point = taken.point
        return history_pb2.CreateSnapshotResponse(
            header=edge.headers.of_point(point),
            snapshot=responses.snapshot(point.state_id, point.incarnation, taken.snapshot, edge.time),
        )

    command = TakeSnapshot(
        state_of(request.state), author_of(request.context), secrets.token_hex(8), label, metadata, len(metadata or b"")
    )
    return Do(command, respond)


def get_snapshot(edge: Edge, request: history_pb2.GetSnapshotRequest) -> Ask[tuple[State, Snapshot]]:
    """HistoryService.GetSnapshot."""
    ref = state_of(request.state)

    def question(reader: Reader) -> tuple[State, Snapshot]:
        state = find_state(reader, ref)
        return state, state.snapshot(request.snapshot_id)

    def respond(answer: tuple[State, Snapshot]) -> history_pb2.GetSnapshotResponse:
        state, found = answer
        return history_pb2.GetSnapshotResponse(
            header=edge.headers.of_state(state),
            snapshot=responses.snapshot(state.state_id, state.incarnation, found, edge.time),
        )

    return Ask(question, respond)


def list_snapshots(edge: Edge, request: history_pb2.ListSnapshotsRequest) -> Ask[State]:
    """HistoryService.ListSnapshots."""
    ref = state_of(request.state)
    (after,) = numbers_of(request.page_token, 1)

    def respond(state: State) -> history_pb2.ListSnapshotsResponse:
        page = fill(
            state.snapshots_after(after),
            size_of_page(request.page_size),
            lambda snapshot: responses.snapshot(state.state_id, state.incarnation, snapshot, edge.time),
        )
        return history_pb2.ListSnapshotsResponse(
            header=edge.headers.of_state(state),
            snapshots=page.messages,
            next_page_token="" if page.following is None else str(page.following.ordinal - 1),
        )

    return Ask(lambda reader: find_state(reader, ref), respond)


def delete_snapshot(edge: Edge, request: history_pb2.DeleteSnapshotRequest) -> Do:
    """HistoryService.DeleteSnapshot."""

    def respond(written: Written) -> history_pb2.DeleteSnapshotResponse:
        return history_pb2.DeleteSnapshotResponse(header=edge.headers.of_point(written.point), existed=written.existed)

    return Do(DropSnapshot(state_of(request.state), author_of(request.context), request.snapshot_id), respond)


def restore(edge: Edge, request: history_pb2.RestoreRequest) -> Do:
    """HistoryService.Restore."""
    context = request.context
    command = Restore(
        state_of(context.state),
        author_of(context),
        precondition_of(context),
        required_target(request.target),
        tuple(map(path_of, request.paths)),
        request.ByteSize(),
    )
    return Do(command, lambda written: history_pb2.RestoreResponse(header=edge.headers.of_point(written.point)))


class _DifferencesPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The difference that a page begins with, and what is compared (none: what was brought along)."""

    old: PointOfToken | None
    new: PointOfToken | None
    start: Path

    @classmethod
    def of(cls, token: str) -> "_DifferencesPlace":
        """Return what a token says."""
        return place_of(token, cls) or cls(None, None, ())


def _differences_page(
    found: Preview | Ends, place: _DifferencesPlace, ends: tuple[Point | None, Point | None], limit: int
) -> tuple[list[history_pb2.Difference], str]:
    """Make the messages of a page of differences, and the token of the next one."""
    try:
        page = fill(found.differences(place.start), limit, responses.difference)
    except NoSuchDifferenceError:
        raise not_a_token() from None
    if page.following is None:
        return page.messages, ""
    old, new = map(PointOfToken.of, ends)
    return page.messages, token_of(_DifferencesPlace(old, new, page.following.path))


_PAGES_OF_PATHS = 4
"""In which what is restored of very many paths is told."""


def preview(edge: Edge, request: history_pb2.PreviewRequest) -> Ask[Preview]:
    """HistoryService.Preview."""
    ref, target, paths = state_of(request.state), required_target(request.target), tuple(map(path_of, request.paths))
    place = _DifferencesPlace.of(request.page_token)
    now = None if place.old is None else Point(*place.old)

    def question(reader: Reader) -> Preview:
        return questions.preview_restore(reader, ref, point_or(place.new, target) or target, paths, now)

    def respond(found: Preview) -> history_pb2.PreviewResponse:
        ends = found.state.point(), found.found.point
        # Each page goes through all paths once more, so the more there are of these, the more a page has.
        size = size_of_page(request.page_size) if request.page_size else max(MAX_ITEMS, len(paths) // _PAGES_OF_PATHS)
        made, token = _differences_page(found, place, ends, size)
        effects = [] if request.page_token else found.effects()
        return history_pb2.PreviewResponse(
            header=edge.headers.of_state(found.state),
            differences=made,
            next_page_token=token,
            effects=[responses.effect(effect.without_result(), edge.time) for effect in effects],
        )

    return Ask(question, respond)


def diff(edge: Edge, request: history_pb2.DiffRequest) -> Ask[Ends]:
    """HistoryService.Diff."""
    ref, place = state_of(request.state), _DifferencesPlace.of(request.page_token)
    old, new = point_or(place.old, required_target(request.old)), point_or(place.new, target_of(request.new))

    def respond(found: Ends) -> history_pb2.DiffResponse:
        ends = found.old.point, found.new.point
        made, token = _differences_page(found, place, ends, size_of_page(request.page_size))
        return history_pb2.DiffResponse(header=edge.headers.of_state(found.state), differences=made, next_page_token=token)

    return Ask(lambda reader: questions.diff(reader, ref, old, new), respond)


def list_history(edge: Edge, request: history_pb2.ListHistoryRequest) -> Run:
    """HistoryService.ListHistory."""
    ref = state_of(request.state)
    path = path_of(request.path) if request.HasField("path") else None
    after, before = target_of(request.after), target_of(request.before)
    newest_first, value_bytes = request.newest_first, _value_bytes(request)
    (turned,) = numbers_of(request.page_token, 1)

    async def work() -> history_pb2.ListHistoryResponse:
        while True:
            with suppress(RewrittenError):  # compacted while it was looked at
                return await page()

    async def page() -> history_pb2.ListHistoryResponse:
        state, lower, upper = await edge.authority.ask(lambda reader: _bounds(reader, ref, after, before))
        if turned:
            lower, upper = (lower, turned) if newest_first else (turned, upper)
        question = HistoryQuestion(path, lower, upper, newest_first, size_of_page(request.page_size), value_bytes)
        items = edge.authority.history(state, question)
        made, more = await gather(items, question.limit, lambda item: responses.history_entry(item, edge.time))
        return history_pb2.ListHistoryResponse(
            header=edge.headers.of_state(state),
            entries=made,
            next_page_token=str(made[-1].revision) if more else "",
        )

    return Run(work)


def _value_bytes(request: history_pb2.ListHistoryRequest) -> int:
    """Return the longest value that the entries are to carry."""
    if request.omit_values:
        return 0
    return min(request.max_value_bytes, MAX_BYTES) if request.HasField("max_value_bytes") else MAX_BYTES


def _bounds(reader: Reader, ref: StateRef, after: Target | None, before: Target | None) -> tuple[State, int, int | None]:
    """Give the state, the revision after which to list, and the one before which to list."""
    state = find_state(reader, ref)
    lower = 0 if after is None else _revision(reader, state, after)
    match before:
        case None:
            upper = None
        case Time(time):
            upper = reader.revision_at(state, time - 1) + 1
        case _:
            upper = _revision(reader, state, before)
    return state, lower, upper


def _revision(reader: Reader, state: State, target: Target) -> int:
    match target:
        case Revision(revision):
            return revision
        case Time(time):
            return reader.revision_at(state, time)
        case Point(state.state_id, incarnation, revision):
            state.require(incarnation)
            return revision
        case _:
            field = "after/before"
            raise InvalidArgumentError(field, "must be a revision, a snapshot or a time of the same state")


def fork(edge: Edge, request: history_pb2.ForkRequest) -> Do:
    """HistoryService.Fork."""
    new_id = id_of(request.new_state_id or secrets.token_hex(16), "new_state_id")

    def respond(written: Written) -> history_pb2.ForkResponse:
        return history_pb2.ForkResponse(header=edge.headers.of_point(written.point), state_id=written.point.state_id)

    return Do(Fork(state_of(request.state), author_of(request.context), target_of(request.at), new_id), respond)


def get_lineage(edge: Edge, request: history_pb2.GetLineageRequest) -> Ask[State]:
    """HistoryService.GetLineage."""
    ref = state_of(request.state)

    def respond(state: State) -> history_pb2.GetLineageResponse:
        origin = state.about.origin
        return history_pb2.GetLineageResponse(
            header=edge.headers.of_state(state), origin=None if origin is None else responses.snapshot_ref(origin)
        )

    return Ask(lambda reader: find_state(reader, ref), respond)


OPERATIONS = {
    "create_snapshot": Operation("write", of_state, create_snapshot),
    "get_snapshot": Operation("read", of_state, get_snapshot),
    "list_snapshots": Operation("read", of_state, list_snapshots),
    "delete_snapshot": Operation("write", of_state, delete_snapshot),
    "restore": Operation("write", of_context, restore),
    "preview": Operation("read", of_state, preview),
    "diff": Operation("read", of_state, diff),
    "list_history": Operation("read", of_state, list_history),
    "fork": Operation("write", of_state, fork),
    "get_lineage": Operation("read", of_state, get_lineage),
}
