"""What writing and reading the lines have in common."""

from hashlib import blake2b
from itertools import chain

from lastgood_daemon.engine.encoded import joined
from lastgood_daemon.engine.point import Point
from lastgood_proto.jsonform import NotAValueError, text_pieces
from lastgood_proto.texts import MAX_NAME_BYTES, problem_with

FORMAT = 1
"""Of the lines; the first one says it."""


MAX_COUNT = 2**53
"""What every number of a line stays below, so that every reader of JSON reads it exactly."""


def require_text(text: str, field: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return a text that may be stored.

    Raises:
        NotAValueError: it is too long, or not valid Unicode.
    """
    problem = problem_with(text, limit)
    if problem:
        message = f"{field} {problem}"
        raise NotAValueError(message)
    return text


def require_point(point: Point, field: str) -> Point:
    """Return a revision of a state that a line names; raises as ``require_text`` does."""
    require_text(point.state_id, f"the state_id of the {field}")
    if not point.state_id or not 0 < point.incarnation < MAX_COUNT or not 0 <= point.revision < MAX_COUNT:
        message = f"the {field} is a state_id, an incarnation above 0 and a revision"
        raise NotAValueError(message)
    return point


def digest_after(digest: str, document: object) -> str:
    """Give the digest of the lines that the chain does not cover, up to one of them."""
    hashed = blake2b(digest.encode(), digest_size=16)
    for piece in text_pieces(document):
        hashed.update(piece.encode())
    return hashed.hexdigest()


def line_of(document: object) -> bytes:
    """Return the line of a document; takes it in pieces, so a thread that does so lets others run in between."""
    return joined(chain((piece.encode() for piece in text_pieces(document)), (b"\n",)))
