"""Ending a daemon that a client has started, over its own socket."""

import grpc

from lastgood.errors import DaemonUnavailableError
from lastgood.locate import Endpoint
from lastgood.transport import forks
from lastgood.transport.link import target_of
from lastgood_proto import proof
from lastgood_proto.v1.process_pb2 import DESCRIPTOR, ShutDownRequest, ShutDownResponse

_METHOD = "/" + DESCRIPTOR.services_by_name["ProcessService"].full_name + "/ShutDown"
_SECONDS = 5.0


def shut_down(endpoint: Endpoint) -> None:
    """Have the daemon at an endpoint end, as SIGTERM does. It has begun to when this returns.

    Raises:
        DaemonUnavailableError: it did not answer, or may not be ended by clients.
    """
    forks.mark_used()
    request = ShutDownRequest(proof=proof.of_shut_down(endpoint.secret))
    with grpc.insecure_channel(target_of(endpoint.address), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            ask = channel.unary_unary(_METHOD, ShutDownRequest.SerializeToString, ShutDownResponse.FromString)
            ask(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            text = f"the daemon at {endpoint.address} could not be asked to end: {error}"
            raise DaemonUnavailableError(text) from error
