"""The operations of TransferService."""

from lastgood_daemon.authority.exporting import export_page
from lastgood_daemon.authority.importing import Piece
from lastgood_daemon.rpc.operations import Edge, Operation, Run, of_state
from lastgood_daemon.rpc.requests import author_of, id_of, state_of
from lastgood_proto.v1 import transfer_pb2


def export_state(edge: Edge, request: transfer_pb2.ExportStateRequest) -> Run:
    """TransferService.ExportState."""
    ref = state_of(request.state)

    async def work() -> transfer_pb2.ExportStateResponse:
        page = await export_page(edge.authority.loader, ref, request.page_token)
        header = edge.headers.of_state(page.state)
        return transfer_pb2.ExportStateResponse(header=header, data=page.data, next_page_token=page.next_token)

    return Run(work)


def import_state(edge: Edge, request: transfer_pb2.ImportStateRequest) -> Run:
    """TransferService.ImportState."""
    state_id, import_id = id_of(request.state_id, "state_id"), id_of(request.import_id, "import_id")
    piece, author = Piece(request.offset, request.data, request.last), author_of(request.context)

    async def work() -> transfer_pb2.ImportStateResponse:
        point = await edge.authority.importer.take(state_id, import_id, piece, author)
        header = edge.headers.of_none() if point is None else edge.headers.of_point(point)
        return transfer_pb2.ImportStateResponse(header=header)

    return Run(work)


OPERATIONS = {
    "export_state": Operation("read", of_state, export_state),
    "import_state": Operation("write", lambda request: (request.state_id, ""), import_state),
}
