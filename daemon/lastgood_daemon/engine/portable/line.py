"""Reading the JSON of a line a little at a time.

A line may have the whole content of a state, and one call that reads 40 MB holds the interpreter for half a second. So a
window is moved over it: what ends in the window is read in one call, and what does not is a large map or list, of which the
parts are read one by one.

    {"put": "k", "value": [[1, 2], "abc", …  40 MB  … ]}        window over the first 128 KiB
    {"put": "k", "value": [[1, 2]                               the map and the list do not end in it; [1, 2] does
"""

import json
from typing import Any, NoReturn

from lastgood_proto.jsonform import NotAValueError, parse, scan

WINDOW = 128 * 1024
"""Bytes that are read in one call."""
_SCALARS = frozenset("-0123456789tfn")
_OF_NUMBERS = frozenset(".eE")
_OTHERS = '[]{}"'
_NOTHING = object()


def parsed(line: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Read a line as strictly as ``parse`` does.

    Raises:
        NotAValueError: it is no JSON.
        UnicodeDecodeError: it is no text.
    """
    if len(line) <= WINDOW:
        return parse(line.decode())
    window = _Window(line)
    found = window.value()
    if window.peek():
        window.fail("it goes on after its end")
    return found


class _Window:
    """A line, the part of it that is looked at, and how far that is read."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._begin = 0
        self._move_to(0)

    def _move_to(self, begin: int) -> None:
        end = min(begin + WINDOW, len(self._line))
        while end < len(self._line) and self._line[end] & 0xC0 == 0x80:  # noqa: PLR2004 - in the middle of a character
            end -= 1
        self._begin, self._end = begin, end
        self._text = self._line[begin:end].decode()
        self._at = 0

    def _move_on(self) -> None:
        self._move_to(self._begin + len(self._text[: self._at].encode()))

    def _is_last(self) -> bool:
        return self._end == len(self._line)

    def peek(self) -> str:
        """Return the next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._is_last():
                return ""
            self._move_on()

    def fail(self, problem: str) -> NoReturn:
        """Raise ``NotAValueError``."""
        message = f"{problem}: byte {self._begin + len(self._text[: self._at].encode())}"
        raise NotAValueError(message)

    def value(self) -> Any:  # noqa: ANN401 - whatever JSON can say
        """Read a value."""
        first = self.peek()
        found = self._at_once()
        if found is _NOTHING and self._at:
            self._move_on()
            found = self._at_once()
        if found is not _NOTHING:
            return found
        if self._is_last():
            return parse(self._text[self._at :])  # which says what is wrong
        match first:
            case "[":
                return self._list()
            case "{":
                return self._map()
            case '"':
                return self._long_text()
            case _:
                return self._long_scalar()

    def _at_once(self) -> Any:  # noqa: ANN401 - likewise
        try:
            found, end = scan(self._text, self._at)
        except json.JSONDecodeError:
            return _NOTHING
        if not self._is_last() and (end == len(self._text) or self._text[end] in _OF_NUMBERS):
            return _NOTHING  # a number that may go on, such as 1, or 1.
        self._at = end
        return found

    def _list(self) -> list[Any]:
        items: list[Any] = []
        self._at += 1
        if self.peek() == "]":
            self._at += 1
            return items
        while True:
            if self.peek() in _SCALARS:
                items += self._scalars()
            items.append(self.value())
            if self._is_closed("]"):
                return items

    def _scalars(self) -> list[Any]:
        """Read items that are numbers and the like, as many as the window has but for the last; none where others follow."""
        end = self._text.rfind(",", self._at)
        run = self._text[self._at : max(end, self._at)]
        if not run or any(other in run for other in _OTHERS):
            return []
        found: list[Any] = parse(f"[{run}]")
        self._at = end + 1
        return found

    def _map(self) -> dict[str, Any]:
        read: dict[str, Any] = {}
        self._at += 1
        if self.peek() == "}":
            self._at += 1
            return read
        while True:
            if self.peek() != '"':
                self.fail("a name is missing")
            name = self.value()
            if name in read:
                message = f"the key {name!r} is there twice"
                raise NotAValueError(message)
            if self.peek() != ":":
                self.fail("a colon is missing")
            self._at += 1
            read[name] = self.value()
            if self._is_closed("}"):
                return read

    def _is_closed(self, end: str) -> bool:
        """Whether a list or map ends here, else there is a comma; pass over it."""
        found = self.peek()
        if found not in {end, ","}:
            self.fail("a comma is missing")
        self._at += 1
        return found == end

    def _long_text(self) -> str:
        """Read a text that does not end in the window, which begins with it."""
        end = self._begin + 1
        while True:
            found = self._line.find(b'"', end, end + WINDOW)
            if found < 0 and end + WINDOW < len(self._line):
                end += WINDOW
                continue
            if found < 0:
                self.fail("a text does not end")
            end = found + 1
            before = self._line[max(found - WINDOW, self._begin + 1) : found]
            if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
                break
        text: str = parse(self._line[self._begin : end].decode())
        self._move_to(end)
        return text

    def _long_scalar(self) -> Any:  # noqa: ANN401 - likewise
        """Read a number or the like that does not end in the window, which begins with it."""
        end = self._begin
        while end < len(self._line) and self._line[end] not in b",:]} \t\r\n":
            end += 1
        found = parse(self._line[self._begin : end].decode())
        self._move_to(end)
        return found
