"""Listening: at a Unix socket, which clients of other users cannot reach, or at a port."""

import os
from pathlib import Path

import structlog

from lastgood_daemon.process.address import server_credentials, why_refused
from lastgood_daemon.process.config import Config
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.sockets import SocketFile
from lastgood_daemon.rpc.server import RpcServer

log = structlog.get_logger(__name__)


def socket_of(config: Config, folder: DataFolder) -> SocketFile | None:
    """Return the socket to listen at; None where it is a port.

    Raises:
        FolderRefusedError: there is no place for one.
        SocketTakenError: another process listens there.
    """
    address = config.address
    if address is None:
        return folder.socket()
    if not address.startswith("unix:"):
        return None
    return folder.socket(Path(address.removeprefix("unix:")))


async def listen(config: Config, socket: SocketFile | None, server: RpcServer) -> str:
    """Listen at a socket, or at the configured port; return the address as a client names it.

    Raises:
        AddressRefusedError: it is taken, or cannot be listened at; says why.
        SocketTakenError: another process listens there.
    """
    if socket is not None:
        await bind(server, socket)
        return f"unix:{socket.path}"
    address = config.address or ""
    credentials = None
    if config.tls_certificate is not None and config.tls_key is not None:
        credentials = server_credentials(config.tls_certificate, config.tls_key)
    try:
        port = await server.start(address, credentials)
    except RuntimeError as error:
        raise why_refused(address) from error
    if config.token is None:
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
