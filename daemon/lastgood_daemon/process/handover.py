"""Asking a daemon that a client has started to make room for this one.

It is asked over its own socket, with a proof that only who can read the folder's endpoint.json can give. A signal to the
process id that stands there might hit any other process: the number may be used again, or be one of another container.
"""

import grpc
from grpc import aio

from lastgood_daemon.process.endpoint import Endpoint
from lastgood_proto import proof
from lastgood_proto.v1 import process_pb2, process_pb2_grpc

_SECONDS = 2.0


async def shut_down(endpoint: Endpoint) -> bool:
    """Ask the daemon at an endpoint to end, and tell whether it is about to."""
    request = process_pb2.ShutDownRequest(proof=proof.of_shut_down(endpoint.secret))
    async with aio.insecure_channel(endpoint.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            await process_pb2_grpc.ProcessServiceStub(channel).ShutDown(request, timeout=_SECONDS)
        except grpc.RpcError:
            return False
    return True
