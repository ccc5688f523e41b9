"""``lastgood serve``: from the command line to a running daemon."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

import structlog
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from lastgood_daemon.process import logs
from lastgood_daemon.process.config import Config
from lastgood_daemon.process.folder import DataFolder, FolderInUseError, FolderRefusedError
from lastgood_daemon.process.serve import serve
from lastgood_daemon.store.protocol import StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite import StoreOpenError

EXIT_REFUSED = 1
EXIT_USAGE = 2
HANDOVER_SECONDS = 15.0

log = structlog.get_logger(__name__)


def main(argv: Sequence[str]) -> int:
    """Serve, with these flags; gives the exit status: 1 it could not start, 2 wrong usage, 74 the storage failed."""
    try:
        config = CliApp.run(Config, cli_args=list(argv))
    except (ValidationError, SettingsError) as error:
        sys.stderr.write(f"lastgood serve: {_plain(error)}\n")
        return EXIT_USAGE
    logs.configure()
    try:
        with _own(config) as folder:
            return asyncio.run(serve(config, folder))
    except (FolderInUseError, FolderRefusedError, StoreOpenError, StoreBrokenError, StoreFullError, OSError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - expected, no traceback
    except RuntimeError as error:
        log.error("cannot listen", error=str(error))  # noqa: TRY400 - what gRPC raises for an address it cannot bind
    return EXIT_REFUSED


def _plain(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return str(error)
    problems = (
        "".join(f"--{part}: " for part in found["loc"]).replace("_", "-") + found["msg"].removeprefix("Value error, ")
        for found in error.errors()
    )
    return "; ".join(problems)


def _own(config: Config) -> DataFolder:
    """Take the folder; ask a daemon there that a client has started to leave first."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while True:
        try:
            return DataFolder(config.data_dir)
        except FolderInUseError as error:
            if config.autostarted or error.pid is None or not _is_autostarted(error) or time.monotonic() > deadline:
                raise
            log.info("asking the daemon that a client has started to hand over", pid=error.pid)
            os.kill(error.pid, signal.SIGTERM)
            time.sleep(0.1)


def _is_autostarted(error: FolderInUseError) -> bool:
    try:
        endpoint = json.loads((error.folder / "endpoint.json").read_bytes())
    except (OSError, ValueError):
        # Between taking the folder and publishing, or between withdrawing and letting go: look again.
        return True
    return bool(endpoint.get("autostarted"))
