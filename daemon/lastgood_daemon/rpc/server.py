"""The gRPC server: its services, its limits, and the order in which it ends."""

import asyncio
from pathlib import Path

import grpc
from grpc import aio

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.rpc.dispatch import Dispatcher
from lastgood_daemon.rpc.door import Door
from lastgood_daemon.rpc.inflight import InFlight
from lastgood_daemon.rpc.operations import Edge
from lastgood_daemon.rpc.process import SERVICE as PROCESS_SERVICE
from lastgood_daemon.rpc.process import Life, ProcessService
from lastgood_daemon.rpc.responses import Headers
from lastgood_daemon.rpc.session import SERVICE as SESSION_SERVICE
from lastgood_daemon.rpc.session import SessionService
from lastgood_daemon.rpc.standard import Standard
from lastgood_daemon.rpc.unary import SERVICES, unary_handlers
from lastgood_proto.v1.server_pb2 import ServerInfo

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Of one gRPC message; what is larger goes over a session in parts."""
MAX_CALLS = 4096
"""Streams and unary calls at a time, of all connections; gRPC refuses more."""
MAX_STREAMS = 128
"""Of one connection; its client keeps more waiting."""
STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.02
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # A connection that does not even begin to speak.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Two servers on one port would each get half of the clients.
    ("grpc.so_reuseport", 0),
    # Clients on TCP ping every 30 seconds to notice a dead connection; without this they are cut off for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Otherwise gRPC takes in some MiB of every stream before anyone has asked for them.
    ("grpc.http2.bdp_probe", 0),
)


class RpcServer:
    """See the module."""

    def __init__(
        self, authority: Authority, info: ServerInfo, token: str | None, life: Life, memory: int, backups: Path | None
    ) -> None:
        edge = Edge(authority, Headers(authority.daemon_id, authority.copy_id), info, backups)
        dispatcher = Dispatcher(edge)
        self._dispatcher = dispatcher
        self._interceptors = () if token is None else (Door(token, open_to_all=PROCESS_SERVICE),)
        self._servers: list[aio.Server] = []
        self._inflight = inflight = InFlight(memory)
        self.sessions = SessionService(edge, dispatcher, inflight, token)
        self._standard = Standard([SESSION_SERVICE, PROCESS_SERVICE, *(service.full_name for service in SERVICES)])
        self._handlers = (
            self.sessions.handler(),
            ProcessService(info, life).handler(),
            *unary_handlers(dispatcher, inflight, token),
            *self._standard.handlers(),
        )

    async def start(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listen at an address, besides those at which it does already; gives the port (1 for a Unix socket).

        Raises:
            RuntimeError: the address cannot be had.
        """
        # gRPC gives a server that runs already no further address.
        server = aio.server(interceptors=self._interceptors, options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        server.add_generic_rpc_handlers(self._handlers)
        port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        await server.start()
        self._servers.append(server)
        return port

    @property
    def connected(self) -> int:
        """How many sessions are connected."""
        return self.sessions.connected

    @property
    def performed(self) -> int:
        """How many operations there have been, unary ones included."""
        return self._dispatcher.performed

    @property
    def activity(self) -> tuple[int, int]:
        """A value that is another one whenever something has been done."""
        return self._dispatcher.performed, self._inflight.freed

    async def serving(self) -> None:
        """Say that calls are answered."""
        self._standard.set(serving=True)

    async def end_sessions(self, reason: str) -> None:
        """Say that no more calls are answered, and end the sessions."""
        self._standard.set(serving=False)
        self.sessions.end_all(reason)

    async def wait_for_sessions(self) -> None:
        """Wait until the sessions that were told to end have ended, for a while."""
        for _ in range(int(STOP_SECONDS / _LOOK_SECONDS)):
            if not self.connected:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def stop(self) -> None:
        """Stop listening, and end everything else. A Unix socket's name is removed, whoever's socket it is by now."""
        await asyncio.gather(*(server.stop(STOP_SECONDS) for server in self._servers))
