"""``python -m lastgood_daemon verify``: verifies a folder that has no daemon, and leaves it as it is.

``lastgood verify`` runs it where nobody answers for the folder; a daemon that runs is asked instead.
"""

import argparse
import asyncio
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lastgood_daemon.authority.verify import Findings, verify
from lastgood_daemon.process.filesystem import FolderRefusedError
from lastgood_daemon.process.folder import DATABASE
from lastgood_daemon.process.lock import FolderInUseError, locked
from lastgood_daemon.store.protocol import StoreBrokenError
from lastgood_daemon.store.sqlite import (
    DamagedFileError,
    ForeignFileError,
    LostWritesError,
    StoreOpenError,
    loss_of,
    resting,
)
from lastgood_proto.places import PlaceError, data_folder
from lastgood_proto.system_errors import in_words

EXIT_DAMAGED = 1
EXIT_REFUSED = 2


def main(argv: Sequence[str]) -> int:
    """Verify a folder; gives the exit status: 0 all is well, 1 something is damaged, 2 it could not be looked at."""
    parser = argparse.ArgumentParser(prog="lastgood verify", description="Verifies a folder without a daemon.")
    parser.add_argument("--data-dir", required=True, help="the folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(argv)
    try:
        folder = data_folder(given.data_dir)
    except PlaceError as error:
        return _refuse(str(error))
    try:
        if not [each for each in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-id") if _is_there(folder / each)]:
            return _refuse(f"there is no store in {folder}")
        with locked(folder):
            found = asyncio.run(_verify(folder / DATABASE))
    except (FolderInUseError, FolderRefusedError, StoreOpenError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(in_words(error, folder))
    if given.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.writelines(f"{problem.where}: {problem.what}\n" for problem in found.problems)
        sys.stdout.write(f"{found.states} states, {found.revisions} revisions, {found.records} records\n")
    return EXIT_DAMAGED if found.problems else 0


async def _verify(file: Path) -> Findings:
    """Verify all of a file. One that cannot be opened as what its name says is damaged, too."""
    whole = Findings()
    place = ""
    lost = await asyncio.to_thread(loss_of, file)
    if lost is not None:
        whole.add("the storage", str(lost))
        if not isinstance(lost, LostWritesError):
            return whole
    try:
        async with resting(file) as reading:
            while True:
                found, place = await verify(reading, {}, place)
                whole.merge(found)
                if not place:
                    return whole
    except (DamagedFileError, ForeignFileError, StoreBrokenError) as error:
        whole.add("the storage", str(error).removesuffix(". Move it away, or name another data folder"))
        return whole


def _is_there(path: Path) -> bool:
    """Tell whether there is such a file.

    Raises:
        OSError: that cannot be told, or the file may not be read.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    if not os.access(path, os.R_OK, effective_ids=True) and not path.is_symlink():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return True


def _refuse(why: str) -> int:
    sys.stderr.write(f"lastgood verify: {why}\n")
    return EXIT_REFUSED
