"""Pages: every list is answered in pieces of bounded count and size."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
from google.protobuf.message import Message

from lastgood_daemon.authority.targets import Target
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.point import Point
from lastgood_daemon.rpc.envelope import bytes_outside

MAX_ITEMS = 1000
MAX_BYTES = 1024 * 1024
"""A page ends with the item that reaches this, so a page of one item may be larger."""

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def size_of_page(asked: int) -> int:
    """Give how many items a page has at most."""
    return min(asked, MAX_ITEMS) if asked else MAX_ITEMS


def numbers_of(token: str, count: int) -> list[int]:
    """Read a token made of so many numbers; zeros for the first page."""
    if not token:
        return [0] * count
    numbers = [int(part) for part in token.split(":") if _is_number(part)]
    if len(numbers) != count or token.count(":") != count - 1:
        raise not_a_token()
    return numbers


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


_DIGITS = 18

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

Place = TypeVar("Place", bound=msgspec.Struct)


def place_of(token: str, kind: type[Place]) -> Place | None:
    """Read a token that ``token_of`` has made; nothing for the first page."""
    if not token:
        return None
    try:
        return msgspec.json.decode(token, type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise not_a_token() from error


class PointOfToken(NamedTuple):
    """A point as it stands in a token."""

    state_id: str
    incarnation: Number
    revision: Number

    @classmethod
    def of(cls, point: Point | None) -> "PointOfToken | None":
        """Return how a point stands in a token."""
        return None if point is None else cls(point.state_id, point.incarnation, point.revision)


def point_or(point: PointOfToken | None, target: Target | None) -> Target | None:
    """Return the revision that the pages before were about, or on the first page what the request names."""
    return target if point is None else Point(*point)


def token_of(place: msgspec.Struct) -> str:
    """Return the token that says where the next page begins. It needs nothing in memory, so it holds after a restart."""
    return msgspec.json.encode(place).decode()


def not_a_token() -> InvalidArgumentError:
    """Return the refusal of a token that was not issued here."""
    field = "page_token"
    return InvalidArgumentError(field, "must be a page token issued by this daemon")


class Filled(NamedTuple, Generic[T, M]):
    """A page: its messages, and the item that the next page begins with, if there is one."""

    messages: list[M]
    following: T | None


_MESSAGE_COST = 5
"""Of making one; see ``spend``."""


def fill(items: Iterable[T], limit: int, make: Callable[[T], M]) -> Filled[T, M]:
    """Make the messages of a page of items, from where the page begins; looks at no more of them than it takes and one.

    Raises:
        LabourError: it takes long.
    """
    made: list[M] = []
    size = 0
    for item in items:
        if len(made) == limit or size + bytes_outside() >= MAX_BYTES:
            return Filled(made, item)
        spend(_MESSAGE_COST)
        message = make(item)
        made.append(message)
        size += message.ByteSize()
    return Filled(made, None)


async def gather(items: AsyncIterator[T], limit: int, make: Callable[[T], Awaitable[M]]) -> tuple[list[M], bool]:
    """Make the messages of a page of items that are found one by one. Gives them, and whether there are more."""
    made: list[M] = []
    size = 0
    async for item in items:
        if len(made) == limit or size >= MAX_BYTES:
            return made, True
        outside = bytes_outside()
        message = await make(item)
        message_size = message.ByteSize() + bytes_outside() - outside
        if made and message_size > MAX_BYTES:
            return made, True  # it has a page of its own: with others it might be more than an answer can carry
        made.append(message)
        size += message_size
    return made, False
