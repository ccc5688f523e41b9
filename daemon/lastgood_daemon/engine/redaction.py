"""Taking a text out of values for good. How what was taken out is stored: ``engine/stored_value.py``."""

from collections.abc import Iterator
from typing import Any

import msgspec

from lastgood_daemon.engine.encoded import (
    PIECE_BYTES,
    Encoded,
    is_list,
    is_map,
    is_same,
    joined,
    length_in,
    list_head,
    map_head,
    open_list,
    open_map,
    pieces,
)
from lastgood_daemon.engine.errors import NotRedactableError

_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


class Redactor:
    """Replaces a text by another wherever it occurs in a value; and minds that no two names become one by that.

    Names that have been met with the replacement in them, and names that were made, are remembered over all it is shown.
    """

    def __init__(self, text: str, replacement: str) -> None:
        self._text = text
        self._replacement = replacement
        self._needle = text.encode()
        self._mark = replacement.encode()
        self._made: dict[str, str] = {}
        self._met: set[str] = set()
        self._ambiguous = False
        self.coincides = False
        """Whether the replacement has been met in a value: what was different may then have become the same."""

    def is_in(self, data: Encoded) -> bool:
        """Whether the text may be in something encoded. Looks at the bytes only."""
        return _is_in(self._needle, data)

    def concerns(self, data: Encoded) -> bool:
        """Whether something encoded has to be looked into: for the text, or for names that have the replacement in them."""
        return _is_in(self._needle, data) or _is_in(self._mark, data)

    def has(self, text: str) -> bool:
        """Whether the text is in another."""
        return self._text in text

    def text(self, text: str) -> str:
        """Give a text without it."""
        replaced = text.replace(self._text, self._replacement)
        # What is left and what has been put between may come to the same again.
        return self._replacement if self._text in replaced else replaced

    def name(self, name: str) -> str:
        """Give a name of a map without it, and remember it."""
        if self._text not in name:
            self.meet(name)
            return name
        made = self.text(name)
        self._ambiguous |= self._made.setdefault(made, name) != name
        return made

    def meet(self, name: str) -> None:
        """Remember a name that stays."""
        if self._replacement in name:
            self._met.add(name)

    def value(self, encoded: bytes) -> bytes:
        """Give an encoded value without it; the very same where it is not in there."""
        if not self.concerns(encoded):
            return encoded
        if len(encoded) <= PIECE_BYTES:
            return self._at_once(encoded)
        redacted = joined(self._in_pieces(encoded))
        return encoded if is_same(redacted, encoded) else redacted

    def _at_once(self, encoded: bytes) -> bytes:
        plain = _decode(encoded)
        redacted = self._plain(plain)
        return encoded if redacted == plain else _encode(redacted)

    def _in_pieces(self, encoded: Encoded) -> Iterator[bytes]:
        """Return a large value without the text, a little at a time: nothing of 40 MB may be one call."""
        if memoryview(encoded).nbytes <= 2 * PIECE_BYTES or not (is_map(encoded) or is_list(encoded)):
            yield self._at_once(bytes(encoded))
        elif is_list(encoded):
            yield list_head(length_in(encoded))
            for piece in pieces(encoded):
                yield from self._piece_of_list(piece)
        else:
            yield map_head(length_in(encoded))
            for piece in pieces(encoded):
                yield from self._piece_of_map(piece)

    def _piece_of_list(self, piece: Encoded) -> Iterator[bytes]:
        if memoryview(piece).nbytes <= 2 * PIECE_BYTES:
            yield self._at_once(bytes(piece))[len(list_head(length_in(piece))) :]
            return
        for item in open_list(piece):
            yield from self._in_pieces(item)

    def _piece_of_map(self, piece: Encoded) -> Iterator[bytes]:
        if memoryview(piece).nbytes <= 2 * PIECE_BYTES:
            yield self._at_once(bytes(piece))[len(map_head(length_in(piece))) :]
            return
        for name, child in open_map(piece).items():
            yield _encode(self.name(name))
            yield from self._in_pieces(child)

    def require_apart(self) -> None:
        """Raise ``NotRedactableError`` where two names would become one."""
        if self._ambiguous or self._met & self._made.keys():
            where = f"names of maps that would become the same as others with {self._replacement!r} in them"
            raise NotRedactableError(where, remedy="choose another replacement")

    def _plain(self, value: Any) -> Any:  # noqa: ANN401 - what was just decoded
        match value:
            case str():
                self.coincides |= self._replacement in value
                return self.text(value)
            case bytes():
                self.coincides |= self._mark in value
                replaced = value.replace(self._needle, self._mark)
                return self._mark if self._needle in replaced else replaced
            case list():
                return [self._plain(item) for item in value]
            case dict():
                return {self.name(name): self._plain(child) for name, child in value.items()}
            case _:
                return value


def _is_in(text: bytes, data: Encoded) -> bool:
    if isinstance(data, bytes) and len(data) <= PIECE_BYTES:
        return text in data
    view = memoryview(data)
    step = max(PIECE_BYTES, len(text))
    # Each piece goes on into the next, by what a text that begins in it needs.
    return any(text in bytes(view[begin : begin + step + len(text) - 1]) for begin in range(0, view.nbytes, step))
