"""The text of an export, cut into pieces and put together again."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable

from lastgood import arguments
from lastgood.errors import InvalidArgumentError
from lastgood.transport.lines import LINES, each_of

PIECE = 1024 * 1024
"""Bytes that are sent at a time."""


class Text:
    """What comes in pieces, and is given on in lines."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def lines_with(self, data: bytes) -> deque[str]:
        """Give the lines that a piece completes."""
        lines: deque[str] = deque()
        first, *others = data.split(b"\n")
        self._rest.append(first)
        for other in others:
            lines.append(b"".join(self._rest).decode() + "\n")
            self._rest = [other]
        return lines


async def pieces_of(lines: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[tuple[bytes, bool]]:
    """Give lines in pieces that can be sent, each with whether it is the last one.

    Raises:
        InvalidArgumentError: something is no line.
    """
    if isinstance(lines, str) or not isinstance(lines, LINES):
        text = f"lines must be an iterable of lines, such as an open file, got {arguments.type_name(lines)}"
        raise InvalidArgumentError(text, field="lines")
    waiting = bytearray()
    async for line in each_of(lines):
        waiting += encoded(line)
        while len(waiting) > PIECE:
            yield bytes(waiting[:PIECE]), False
            del waiting[:PIECE]
    yield bytes(waiting), True


def encoded(line: str) -> bytes:
    """Give a line, with its end, as bytes."""
    if not isinstance(line, str):
        text = f"lines must yield str, got {arguments.type_name(line)}"
        raise InvalidArgumentError(text, field="lines")
    try:
        return line.encode() if line.endswith("\n") else f"{line}\n".encode()
    except UnicodeEncodeError:
        text = "lines must be valid Unicode"
        raise InvalidArgumentError(text, field="lines") from None
