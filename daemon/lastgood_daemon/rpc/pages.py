"""Pages: every list is answered in pieces of bounded count and size."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from lastgood_daemon.engine.errors import InvalidArgumentError

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
    try:
        numbers = [int(part) for part in token.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) != count or min(numbers) < 0:
        field = "page_token"
        raise InvalidArgumentError(field, "is none that this daemon gave")
    return numbers


def fill(items: Sequence[T], start: int, limit: int, make: Callable[[T], M]) -> tuple[list[M], int]:
    """Make the messages of a page, from an index on. Gives them, and the index after the last."""
    made: list[M] = []
    size = 0
    index = start
    while index < len(items) and len(made) < limit and size < MAX_BYTES:
        message = make(items[index])
        made.append(message)
        size += message.ByteSize()
        index += 1
    return made, index


async def gather(items: AsyncIterator[T], limit: int, make: Callable[[T], M]) -> tuple[list[M], bool]:
    """Make the messages of a page of items that are found one by one. Gives them, and whether there are more."""
    made: list[M] = []
    size = 0
    async for item in items:
        if len(made) == limit or size >= MAX_BYTES:
            return made, True
        message = make(item)
        made.append(message)
        size += message.ByteSize()
    return made, False
