"""Pages: every list is answered in pieces of bounded count and size."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
from google.protobuf.message import Message

from lastgood_daemon.authority.targets import Target
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.labour import spend, working
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


_MESSAGE_COST = 10
"""Of finding an item and making its message; see ``spend``."""
_SOME = 100
"""Items whose messages are made at a time."""


def fill(items: Iterable[T], limit: int, make: Callable[[T], M]) -> Filled[T, M]:
    """Make the messages of a page of items, from where the page begins; looks at no more of them than it takes and one.

    Raises:
        LabourError: it takes long.
    """
    page = _Page[T, M](limit, make)
    return Filled(page.messages, page.take(items))


async def gather(items: AsyncIterator[T], limit: int, make: Callable[[T], M]) -> tuple[list[M], bool]:
    """Make the messages of a page of items that are found one by one; return them, and whether there are more."""
    page = _Page[T, M](limit, make)
    some: list[T] = []
    async for item in items:
        some.append(item)
        # One more than there is room for, and no further: the next may be costly to find.
        if len(some) == _SOME or len(page.messages) + len(some) > limit:
            if await _is_full(page, some):
                return page.messages, True
            some = []
    return page.messages, await _is_full(page, some)


async def _is_full(page: "_Page[T, M]", items: list[T]) -> bool:
    return await asyncio.to_thread(working, partial(page.take, items)) is not None


class _Page(Generic[T, M]):
    """The messages of a page so far."""

    def __init__(self, limit: int, make: Callable[[T], M]) -> None:
        self.messages: list[M] = []
        self._limit = limit
        self._make = make
        self._size = 0

    def take(self, items: Iterable[T]) -> T | None:
        """Make the messages of items as long as there is room, and return the first that is left, if there is one."""
        for item in items:
            if len(self.messages) == self._limit or self._size >= MAX_BYTES:
                return item
            spend(_MESSAGE_COST)
            outside = bytes_outside()
            message = self._make(item)
            size = message.ByteSize() + bytes_outside() - outside
            if self.messages and size > MAX_BYTES:
                return item  # it has a page of its own: with others it might be more than an answer can carry
            self.messages.append(message)
            self._size += size
        return None
