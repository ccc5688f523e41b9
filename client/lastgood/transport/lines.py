"""Lines that somebody hands over, wherever they come from."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable

LINES = (Iterable, AsyncIterable)
"""What can give them."""


async def each_of(lines: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    """Go through them."""
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line
