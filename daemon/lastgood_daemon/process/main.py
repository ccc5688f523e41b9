"""``lastgood serve``: from the command line to a running daemon."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import structlog

from lastgood_daemon.process import logs, signals
from lastgood_daemon.process.address import AddressRefusedError
from lastgood_daemon.process.config import Config, ConfigurationError, configured
from lastgood_daemon.process.endpoint import read_endpoint
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.handover import shut_down
from lastgood_daemon.process.lock import FolderInUseError
from lastgood_daemon.process.serve import EXIT_STORAGE_FAILED, serve
from lastgood_daemon.process.sockets import SocketTakenError
from lastgood_daemon.store.protocol import StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite import StoreOpenError
from lastgood_proto.system_errors import NO_ROOM, in_words

EXIT_REFUSED = 1
EXIT_USAGE = 2
HANDOVER_SECONDS = 15.0
_LOOK_SECONDS = 0.1

_REFUSALS = (
    FolderInUseError,
    FolderRefusedError,
    AddressRefusedError,
    SocketTakenError,
    StoreOpenError,
)

log = structlog.get_logger(__name__)


def main(argv: Sequence[str]) -> int:
    """Serve, with these flags; gives the exit status: 1 it could not start, 2 wrong usage, 74 the storage failed."""
    signals.unblock()
    try:
        config = configured(argv)
    except ConfigurationError as error:
        sys.stderr.write(f"lastgood serve: {error}\n")
        return EXIT_USAGE
    logs.configure()
    os.umask(0o077)
    if config.autostarted:  # a service, or a shell with nohup, may mean what it has set
        signals.heed()
    try:
        with _own(config) as folder:
            return asyncio.run(serve(config, folder))
    except (StoreBrokenError, StoreFullError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - expected, no traceback
        return EXIT_STORAGE_FAILED
    except _REFUSALS as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - expected, no traceback
    except OSError as error:
        log.error("cannot start", error=in_words(error, config.data_dir))  # noqa: TRY400 - expected, no traceback
        return EXIT_STORAGE_FAILED if error.errno in NO_ROOM else EXIT_REFUSED
    except RuntimeError as error:
        log.error("cannot listen", error=str(error))  # noqa: TRY400 - what gRPC raises for an address it cannot bind
    return EXIT_REFUSED


def _own(config: Config) -> DataFolder:
    """Take the folder; ask a daemon there that a client has started to leave first."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    waiting, asked = False, ""
    while True:
        try:
            return DataFolder(config.data_dir)
        except FolderInUseError as error:
            endpoint = read_endpoint(error.folder)
            is_service = endpoint is not None and not endpoint.autostarted
            if config.autostarted or is_service or time.monotonic() > deadline:
                raise
            if endpoint is None:
                if not waiting:
                    log.info("waiting for what the daemon that has the folder turns out to be", pid=error.pid)
                waiting = True
            elif endpoint.secret != asked and asyncio.run(shut_down(endpoint)):
                log.info("asked the daemon that a client has started to hand over", address=endpoint.address)
                asked = endpoint.secret
            time.sleep(_LOOK_SECONDS)
