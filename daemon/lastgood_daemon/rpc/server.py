"""The gRPC server: its services, its limits, and the order in which it ends."""

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.rpc.dispatch import Dispatcher
from lastgood_daemon.rpc.operations import Edge
from lastgood_daemon.rpc.responses import Headers
from lastgood_daemon.rpc.session import SessionService
from lastgood_daemon.rpc.unary import SERVICES, unary_handlers
from lastgood_proto.v1 import session_pb2, session_pb2_grpc
from lastgood_proto.v1.server_pb2 import ServerInfo

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Of one gRPC message; what is larger goes over a session in parts."""
STOP_SECONDS = 5.0
SESSION_SERVICE = session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    # Two servers on one port would each get half of the clients.
    ("grpc.so_reuseport", 0),
    # Clients on TCP ping every 30 seconds to notice a dead connection; without this they are cut off for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class RpcServer:
    """See the module."""

    def __init__(self, authority: Authority, info: ServerInfo, token: str | None) -> None:
        edge = Edge(authority, Headers(authority.daemon_id), info)
        dispatcher = Dispatcher(edge)
        self._dispatcher = dispatcher
        self._server = aio.server(options=OPTIONS)
        self.sessions = SessionService(edge, dispatcher, token)
        session_pb2_grpc.add_SessionServiceServicer_to_server(self.sessions, self._server)
        self._server.add_generic_rpc_handlers(tuple(unary_handlers(dispatcher, token)))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [SESSION_SERVICE, *(service.full_name for service in SERVICES), health.SERVICE_NAME]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], self._server)

    async def start(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listen at an address; gives the port (1 for a Unix socket).

        Raises:
            RuntimeError: the address cannot be had.
        """
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        return port

    @property
    def connected(self) -> int:
        """How many sessions are connected."""
        return self.sessions.connected

    @property
    def performed(self) -> int:
        """How many operations there have been, unary ones included."""
        return self._dispatcher.performed

    async def serving(self) -> None:
        """Say that calls are answered."""
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, reason: str) -> None:
        """Say that no more calls are answered, end the sessions, and then everything else."""
        await self._health.enter_graceful_shutdown()
        self.sessions.end_all(reason)
        await self._server.stop(STOP_SECONDS)
