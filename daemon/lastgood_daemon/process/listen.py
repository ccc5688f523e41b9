"""Listening: at a Unix socket, which clients of other users cannot reach, or at a port."""

import os
from pathlib import Path
from typing import NamedTuple

import grpc
import structlog

from lastgood_daemon.process.address import AddressRefusedError, server_credentials, why_refused
from lastgood_daemon.process.config import Config
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.sockets import SocketFile
from lastgood_daemon.rpc.server import RpcServer

log = structlog.get_logger(__name__)


class Listener(NamedTuple):
    """Where a daemon is to listen."""

    socket: SocketFile | None
    """Or None for a port."""
    address: str = ""
    credentials: grpc.ServerCredentials | None = None


def listener_for(config: Config, folder: DataFolder) -> Listener:
    """Return where to listen, which is free now. To be asked before the store is opened: that makes or changes files.

    Raises:
        AddressRefusedError: it is taken, or cannot be listened at; says why.
        FolderRefusedError: there is no place for a socket.
        SocketTakenError: another process listens there.
    """
    address = config.address
    if address is None or address.startswith("unix:"):
        path = None if address is None else Path(address.removeprefix("unix:"))
        return Listener(folder.socket(path))
    credentials = None
    if config.tls_certificate is not None and config.tls_key is not None:
        credentials = server_credentials(config.tls_certificate, config.tls_key)
    if (refused := why_refused(address)) is not None:
        raise refused
    return Listener(None, address, credentials)


async def listen(listener: Listener, server: RpcServer, *, is_open: bool) -> str:
    """Listen there; return the address as a client names it.

    Args:
        listener: where.
        server: what answers.
        is_open: whether every client is let in, without a token.

    Raises:
        AddressRefusedError: it is taken, or cannot be listened at; says why.
        SocketTakenError: another process listens there.
    """
    socket, address, credentials = listener
    if socket is not None:
        await bind(server, socket)
        return f"unix:{socket.path}"
    try:
        port = await server.start(address, credentials)
    except RuntimeError as error:
        message = f"the daemon cannot listen at {address}. Name another address"
        raise why_refused(address) or AddressRefusedError(message) from error
    if is_open:
        log.warning("every user of this machine can reach this address; set LASTGOOD_TOKEN to keep them out")
    return f"{address.rpartition(':')[0]}:{port}"


async def bind(server: RpcServer, socket: SocketFile) -> None:
    """Listen at a socket.

    Raises:
        SocketTakenError: another process listens there.
    """
    with socket.binding():
        before = os.umask(0o177)
        try:
            await server.start(f"unix:{socket.path}", None)
        finally:
            os.umask(before)
