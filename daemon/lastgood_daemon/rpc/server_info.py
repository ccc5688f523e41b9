"""The operation of ServerService."""

from lastgood_daemon.rpc.operations import Ask, Edge, Operation, of_nothing
from lastgood_proto.v1 import server_pb2


def get_server_info(edge: Edge, request: server_pb2.GetServerInfoRequest) -> Ask[None]:
    """ServerService.GetServerInfo."""
    del request
    answer = server_pb2.GetServerInfoResponse(header=edge.headers.of_none(), server=edge.server)
    return Ask(lambda _: None, lambda _: answer)


OPERATIONS = {"get_server_info": Operation("read", of_nothing, get_server_info)}
