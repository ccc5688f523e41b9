"""Where a text still is in a daemon's folder."""

from pathlib import Path
from typing import Any, NamedTuple

import apsw

from lastgood_daemon.store.sqlite.packing import unpacked

FILE = "lastgood.db"

_CHANGES = "SELECT state_id, revision, entry FROM changes LEFT JOIN logs ON log = number"
_IMAGES = "SELECT state_id, revision, data FROM images LEFT JOIN logs ON log = number ORDER BY number, revision, piece"
_RECORDS = "SELECT owner, kind, value FROM records"


class Remain(NamedTuple):
    """Something in which a text still is, and whose that is; nobody's: the bytes of a file."""

    owner: str | None
    what: str


def remains(folder: Path, text: str) -> list[Remain]:
    """Give all of them: the bytes of any file, and what is compressed there."""
    needle = text.encode()
    found = [Remain(None, path.name) for path in folder.iterdir() if path.is_file() and needle in path.read_bytes()]
    connection = apsw.Connection(str(folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows: Any = connection.execute(_CHANGES).fetchall()
        found += [
            Remain(state_id, f"revision {revision}") for state_id, revision, entry in rows if needle in unpacked(entry)
        ]
        images: dict[tuple[str, int], bytes] = {}
        rows = connection.execute(_IMAGES).fetchall()
        for state_id, revision, data in rows:
            images[state_id, revision] = images.get((state_id, revision), b"") + data
        found += [Remain(name, f"image {revision}") for (name, revision), data in images.items() if needle in unpacked(data)]
        rows = connection.execute(_RECORDS).fetchall()
        found += [Remain(owner, kind) for owner, kind, value in rows if needle in value]
    finally:
        connection.close()
    return found
