"""The operations of StateService."""

import msgspec

from lastgood_daemon.authority import questions
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.questions import Seen
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set
from lastgood_daemon.engine.errors import TooLargeError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.rpc.operations import Ask, Do, Edge, Operation, Run, of_context, of_nothing, of_state
from lastgood_daemon.rpc.pages import Number, PointOfToken, place_of, point_or, size_of_page, token_of
from lastgood_daemon.rpc.requests import (
    author_of,
    edit_of,
    path_of,
    precondition_of,
    state_of,
    target_of,
    value_of,
)
from lastgood_daemon.rpc.responses import node_value, value
from lastgood_proto.v1 import common_pb2, state_pb2
from lastgood_proto.values import MAX_BYTES


def _write(context: common_pb2.WriteContext, *edits: tuple[str, Edit]) -> Write:
    size = sum([_size(edit) for _, edit in edits])
    if size > MAX_BYTES:
        what = "the call"
        raise TooLargeError(what, size, MAX_BYTES)
    return Write(state_of(context.state), author_of(context), precondition_of(context), list(edits), size)


def _size(edit: Edit) -> int:
    match edit:
        case Set(_, encoded) | Merge(_, encoded) | Increment(_, encoded):
            return len(encoded)
        case Append(_, items):
            return sum(map(len, items))
        case Delete():
            return 0


def read(edge: Edge, request: state_pb2.ReadRequest) -> Ask[Seen]:
    """StateService.Read."""
    ref, path, at = state_of(request.state), path_of(request.path), target_of(request.at)
    pending = [edit_of(edit)[1] for edit in request.pending]

    def respond(seen: Seen) -> state_pb2.ReadResponse:
        node = seen.node
        found = None if request.omit_value else node_value(node)
        response = state_pb2.ReadResponse(existed=node is not None, value=found)
        return edge.headers.at(response, seen.state.incarnation, seen.revision)

    return Ask(lambda reader: questions.read(reader, ref, path, at, pending), respond)


class _KeysPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page of names begins, and in which content (none: in one that was brought along)."""

    at: PointOfToken | None
    start: Number


def list_keys(edge: Edge, request: state_pb2.ListKeysRequest) -> Ask[Seen]:
    """StateService.ListKeys."""
    ref, path, at = state_of(request.state), path_of(request.path), target_of(request.at)
    place = place_of(request.page_token, _KeysPlace) or _KeysPlace(None, 0)
    at, limit = point_or(place.at, at), size_of_page(request.page_size)

    def respond(seen: Seen) -> state_pb2.ListKeysResponse:
        names, end = questions.keys(seen.node, place.start, limit)
        return state_pb2.ListKeysResponse(
            header=edge.headers.of_point(seen.state.point(seen.revision)),
            keys=names,
            next_page_token="" if end is None else token_of(_KeysPlace(PointOfToken.of(seen.found.point), end)),
        )

    return Ask(lambda reader: questions.read(reader, ref, path, at), respond)


def set_(edge: Edge, request: state_pb2.SetRequest) -> Do:
    """StateService.Set."""
    edit = Set(path_of(request.path), value_of(request.value))
    return Do(
        _write(request.context, ("set", edit)),
        lambda written: edge.headers.on(state_pb2.SetResponse(), written.point),
    )


def update(edge: Edge, request: state_pb2.UpdateRequest) -> Do:
    """StateService.Update."""
    edits = (("update", Set(path_of(a.path), value_of(a.value))) for a in request.assignments)
    return Do(
        _write(request.context, *edits),
        lambda written: edge.headers.on(state_pb2.UpdateResponse(), written.point),
    )


def merge(edge: Edge, request: state_pb2.MergeRequest) -> Do:
    """StateService.Merge."""
    edit = Merge(path_of(request.path), value_of(request.data, "data"))
    return Do(
        _write(request.context, ("merge", edit)),
        lambda written: edge.headers.on(state_pb2.MergeResponse(), written.point),
    )


def append(edge: Edge, request: state_pb2.AppendRequest) -> Do:
    """StateService.Append."""
    edit = Append(path_of(request.path), tuple(value_of(item, "items") for item in request.items))
    return Do(
        _write(request.context, ("append", edit)),
        lambda written: edge.headers.on(state_pb2.AppendResponse(), written.point),
    )


def increment(edge: Edge, request: state_pb2.IncrementRequest) -> Do:
    """StateService.Increment."""

    def respond(written: Written) -> state_pb2.IncrementResponse:
        return edge.headers.on(state_pb2.IncrementResponse(value=value(written.number)), written.point)

    edit = Increment(path_of(request.path), value_of(request.by, "by"))
    return Do(_write(request.context, ("increment", edit)), respond)


def delete(edge: Edge, request: state_pb2.DeleteRequest) -> Do:
    """StateService.Delete."""

    def respond(written: Written) -> state_pb2.DeleteResponse:
        return edge.headers.on(state_pb2.DeleteResponse(existed=written.existed), written.point)

    return Do(_write(request.context, ("delete", Delete(path_of(request.path)))), respond)


def transact(edge: Edge, request: state_pb2.TransactRequest) -> Do:
    """StateService.Transact."""
    return Do(
        _write(request.context, *map(edit_of, request.edits)),
        lambda written: edge.headers.on(state_pb2.TransactResponse(), written.point),
    )


def list_states(edge: Edge, request: state_pb2.ListStatesRequest) -> Run:
    """StateService.ListStates."""

    async def work() -> state_pb2.ListStatesResponse:
        ids, more = await edge.authority.list_states(request.page_token, size_of_page(request.page_size))
        return state_pb2.ListStatesResponse(
            header=edge.headers.of_none(), state_ids=ids, next_page_token=ids[-1] if more else ""
        )

    return Run(work)


def delete_state(edge: Edge, request: state_pb2.DeleteStateRequest) -> Do:
    """StateService.DeleteState."""

    def respond(written: Written) -> state_pb2.DeleteStateResponse:
        point = Point(written.point.state_id, written.point.incarnation, written.point.revision)
        if written.existed:
            edge.authority.reclaim_soon()
        return state_pb2.DeleteStateResponse(header=edge.headers.of_point(point), existed=written.existed)

    return Do(DeleteState(state_of(request.state), author_of(request.context)), respond)


OPERATIONS = {
    "read": Operation("read", of_state, read),
    "list_keys": Operation("read", of_state, list_keys),
    "set": Operation("write", of_context, set_),
    "update": Operation("write", of_context, update),
    "merge": Operation("write", of_context, merge),
    "append": Operation("write", of_context, append),
    "increment": Operation("write", of_context, increment),
    "delete": Operation("write", of_context, delete),
    "transact": Operation("write", of_context, transact),
    "list_states": Operation("read", of_nothing, list_states),
    "delete_state": Operation("write", of_state, delete_state),
}
