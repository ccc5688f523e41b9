"""``lastgood serve``: from the command line to a running daemon."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from lastgood_daemon.process import logs
from lastgood_daemon.process.config import Config, ConfigurationError, configured
from lastgood_daemon.process.folder import DataFolder, FolderInUseError, FolderRefusedError
from lastgood_daemon.process.serve import serve
from lastgood_daemon.store.protocol import StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite import StoreOpenError

EXIT_REFUSED = 1
EXIT_USAGE = 2
HANDOVER_SECONDS = 15.0
_LOOK_SECONDS = 0.1

log = structlog.get_logger(__name__)


def main(argv: Sequence[str]) -> int:
    """Serve, with these flags; gives the exit status: 1 it could not start, 2 wrong usage, 74 the storage failed."""
    try:
        config = configured(argv)
    except ConfigurationError as error:
        sys.stderr.write(f"lastgood serve: {error}\n")
        return EXIT_USAGE
    logs.configure()
    os.umask(0o077)
    try:
        with _own(config) as folder:
            return asyncio.run(serve(config, folder))
    except (FolderInUseError, FolderRefusedError, StoreOpenError, StoreBrokenError, StoreFullError, OSError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - expected, no traceback
    except RuntimeError as error:
        log.error("cannot listen", error=str(error))  # noqa: TRY400 - what gRPC raises for an address it cannot bind
    return EXIT_REFUSED


def _own(config: Config) -> DataFolder:
    """Take the folder; ask a daemon there that a client has started to leave first."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    seen = asked = 0
    while True:
        try:
            return DataFolder(config.data_dir)
        except FolderInUseError as error:
            autostarted = _is_autostarted(error)
            if config.autostarted or autostarted is False or time.monotonic() > deadline:
                raise
            pid = error.pid or 0
            if autostarted is None:
                if pid != seen:
                    log.info("waiting for what the daemon that has the folder turns out to be", pid=error.pid)
            elif pid == seen != asked:  # not at first sight: what a killed one left may name whoever has its number now
                log.info("asking the daemon that a client has started to hand over", pid=pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                asked = pid
            seen = pid
            time.sleep(_LOOK_SECONDS)


def _is_autostarted(error: FolderInUseError) -> bool | None:
    """Whether a client has started the daemon that has the folder; None while that has not said, or says no more."""
    try:
        endpoint = json.loads((error.folder / "endpoint.json").read_bytes())
    except (OSError, ValueError):
        return None
    return bool(endpoint.get("autostarted")) if endpoint.get("pid") == error.pid else None
