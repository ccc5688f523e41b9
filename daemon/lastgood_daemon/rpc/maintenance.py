"""The operations of MaintenanceService."""

import logging
from pathlib import Path

from lastgood_daemon.engine.errors import EndedError, InvalidArgumentError
from lastgood_daemon.rpc.authorize import PermissionDeniedError
from lastgood_daemon.rpc.errors import OverloadedError
from lastgood_daemon.rpc.operations import Edge, Operation, Run, of_nothing
from lastgood_daemon.store.protocol import BackupEndedError, BackupRefusedError, StoreFullError
from lastgood_proto.v1 import maintenance_pb2

log = logging.getLogger(__name__)


def backup(edge: Edge, request: maintenance_pb2.BackupRequest) -> Run:
    """MaintenanceService.Backup."""
    if not request.path:
        field = "path"
        raise InvalidArgumentError(field, "must not be empty")
    folder = _allowed(edge, Path(request.path))

    async def work() -> maintenance_pb2.BackupResponse:
        log.info("making a backup at %s", folder)
        try:
            size = await edge.authority.backup(folder)
        except BackupRefusedError as error:
            field = "path"
            raise InvalidArgumentError(field, f"must be a place for a backup: {error}") from error
        except StoreFullError as error:
            raise OverloadedError(str(error)) from error
        except BackupEndedError as error:
            reason = "UNAVAILABLE"
            raise EndedError(reason, str(error)) from error
        log.info("made a backup at %s, %d bytes", folder, size)
        return maintenance_pb2.BackupResponse(header=edge.headers.of_none(), path=str(folder), bytes=size)

    return Run(work)


def _allowed(edge: Edge, folder: Path) -> Path:
    """Return where a backup may be made: on a Unix socket the caller is the daemon's own user, on the network anyone."""
    if edge.server.address.startswith("unix:") or "\0" in str(folder) or not folder.is_absolute():
        return folder  # what is wrong with a path is said elsewhere
    if edge.backups is None:
        message = (
            "this daemon makes no backups for clients on the network; name a folder for them when starting it: "
            "lastgood serve --backup-dir DIR, or LASTGOOD_BACKUP_DIR"
        )
        raise PermissionDeniedError(message)
    root, resolved = edge.backups.resolve(), folder.resolve()
    if root not in resolved.parents:
        message = f"for clients on the network this daemon makes backups only below {root} (its setting backup_dir)"
        raise PermissionDeniedError(message)
    return resolved


def verify(edge: Edge, request: maintenance_pb2.VerifyRequest) -> Run:
    """MaintenanceService.Verify."""

    async def work() -> maintenance_pb2.VerifyResponse:
        found, place = await edge.authority.verify(request.page_token)
        for problem in found.problems:
            log.error("verifying: %s: %s", problem.where, problem.what)
        return maintenance_pb2.VerifyResponse(
            header=edge.headers.of_none(),
            problems=[maintenance_pb2.Problem(where=problem.where, what=problem.what) for problem in found.problems],
            states=found.states,
            revisions=found.revisions,
            records=found.records,
            next_page_token=place,
        )

    return Run(work)


OPERATIONS = {
    "backup": Operation("maintain", of_nothing, backup),
    "verify": Operation("maintain", of_nothing, verify),
}
