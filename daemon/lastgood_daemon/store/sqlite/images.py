"""Images, in pieces: a commit waits for one piece at most, and a crash leaves an image whole or not there.

An image counts when it has its piece 0, which is written last. To be called on the threads of their connections.
"""

from collections.abc import Sequence
from io import BytesIO

import apsw

from lastgood_daemon.store.protocol import CorruptRecordError, LogId
from lastgood_daemon.store.sqlite.checksum import piece_checksum
from lastgood_daemon.store.sqlite.connection import fetch, has_types
from lastgood_daemon.store.sqlite.packing import packed, unpacked
from lastgood_daemon.store.upkeep import Image, ImageMark

PIECE = 256 * 1024

_LOG = "(SELECT number FROM logs WHERE state_id = ? AND incarnation = ?)"
_NUMBER = "SELECT number FROM logs WHERE state_id = ? AND incarnation = ?"
_PUT = "INSERT OR REPLACE INTO images (log, revision, piece, pieces, data, checksum) VALUES (?, ?, ?, ?, ?, ?)"
_NEWEST = (
    "SELECT log, max(revision) FROM images JOIN logs ON log = number"
    " WHERE state_id = ? AND incarnation = ? AND piece = 0 AND revision >= floor AND revision <= ?"
)
_PIECES = "SELECT piece, pieces, data, checksum FROM images WHERE log = ? AND revision = ? ORDER BY piece"
_LIST = (
    "SELECT revision, sum(length(data)) FROM images JOIN logs ON log = number"
    " WHERE state_id = ? AND incarnation = ? AND revision >= floor"
    " GROUP BY revision HAVING min(piece) = 0 ORDER BY revision"
)
_CLEAR = (
    f"DELETE FROM images WHERE log = {_LOG}"
    f" AND revision NOT IN (SELECT revision FROM images WHERE log = {_LOG} AND piece = 0)"
)
_COUNT = f"SELECT count(*) FROM images WHERE log = {_LOG} AND revision = ?"
_DROP_ALL = "DELETE FROM images WHERE log = ?"
_REVISIONS = "SELECT revision FROM images WHERE log = ? AND piece = 0"


def pieces_of(image: Image) -> list[bytes]:
    """Give an image as it is to be stored."""
    data = packed(image.data)
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def put_piece(connection: apsw.Connection, log: LogId, revision: int, pieces: list[bytes], piece: int) -> bool:
    """Write a piece; durable when this returns. Gives whether the log is still there."""
    found = fetch(connection, _NUMBER, log)
    if not found:
        return False
    ((number,),) = found
    _put(connection, number, revision, pieces, piece)
    return True


def _put(connection: apsw.Connection, number: int, revision: int, pieces: list[bytes], piece: int) -> None:
    data = pieces[piece]
    checksum = piece_checksum(number, revision, piece, len(pieces), data)
    connection.execute(_PUT, (number, revision, piece, len(pieces), data, checksum))


def revisions(connection: apsw.Connection, number: int) -> set[int]:
    """Say of which revisions of a log there are images."""
    return {revision for (revision,) in fetch(connection, _REVISIONS, (number,))}


def replace_all(connection: apsw.Connection, number: int, images: Sequence[Image]) -> None:
    """Put images in the place of all that there are of a log, within a transaction."""
    connection.execute(_DROP_ALL, (number,))
    for image in images:
        pieces = pieces_of(image)
        for piece in range(len(pieces)):
            _put(connection, number, image.revision, pieces, piece)


def make_room(connection: apsw.Connection, log: LogId, revision: int) -> bool:
    """Forget what is there of images that a crash has kept from being finished; whether there is none of a revision.

    While none is being written. One that is there stays: of another over it, with fewer pieces, nothing could be read.
    """
    connection.execute(_CLEAR, (*log, *log))
    return not fetch(connection, _COUNT, (*log, revision))[0][0]


def newest(connection: apsw.Connection, log: LogId, at_most: int) -> Image | None:
    """Read the newest image at or below a revision.

    Raises:
        CorruptRecordError: a piece is missing, or does not match its checksum.
    """
    ((number, revision),) = fetch(connection, _NEWEST, (*log, at_most))
    if revision is None:
        return None
    rows = fetch(connection, _PIECES, (number, revision))
    known = all(has_types(row, int, int, bytes, bytes) for row in rows)
    whole = (
        known
        and bool(rows)
        and [(piece, pieces) for piece, pieces, _, _ in rows] == [(n, len(rows)) for n in range(len(rows))]
    )
    if not whole or any(piece_checksum(number, revision, *row[:3]) != row[3] for row in rows):
        message = f"state {log.state_id!r}: the image of revision {revision} does not match its checksum"
        raise CorruptRecordError(message)
    return Image(revision, unpacked(_joined([data for _, _, data, _ in rows])))


def _joined(pieces: Sequence[bytes]) -> bytes:
    # Piece by piece into what is all zero, and costs no memory yet: to fill 40 MB at once holds the interpreter for 30 ms.
    whole = BytesIO(bytes(sum(map(len, pieces))))
    for piece in pieces:
        whole.write(piece)
    return whole.getvalue()  # what it has written into, not a copy


def marks(connection: apsw.Connection, log: LogId) -> list[ImageMark]:
    """Say which images there are."""
    return [ImageMark(*row) for row in fetch(connection, _LIST, log)]
