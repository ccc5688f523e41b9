"""Looking, again and again, whether the folder is still there and all that others need in it."""

import anyio
import structlog

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.listen import bind
from lastgood_daemon.process.lock import FolderLostError
from lastgood_daemon.process.sockets import SocketFile, SocketTakenError
from lastgood_daemon.rpc.server import RpcServer
from lastgood_daemon.store.protocol import StoreBrokenError

LOOK_SECONDS = 0.5

log = structlog.get_logger(__name__)


async def watch(folder: DataFolder, socket: SocketFile | None, server: RpcServer, authority: Authority) -> None:
    """Put back what is missing, until the folder or the database is no longer there: then the storage has failed."""
    while True:
        await anyio.sleep(LOOK_SECONDS)
        try:
            authority.look(whole=True)
            for name in folder.look():
                log.warning("put back what was removed from the folder", name=name)
            if socket is not None and not socket.is_there:
                log.warning("the socket was removed; listening anew", path=str(socket.path))
                await bind(server, socket)
        except (FolderLostError, StoreBrokenError) as error:
            authority.fail(StoreBrokenError(str(error)))
            return
        except (SocketTakenError, FolderRefusedError, OSError, RuntimeError) as error:
            log.error("what was removed from the folder cannot be put back now", error=str(error))  # noqa: TRY400
