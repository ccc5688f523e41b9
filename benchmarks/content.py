"""What is stored: messages as agents write them, and a state that is full of them."""

import random
from typing import Any

import msgspec

MESSAGES = 40_000
KEYS = 100_000
_LETTERS = bytes.maketrans(bytes(range(256)), bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz     ", k=256)))


def message(number: int, content_bytes: int | None = None) -> dict[str, Any]:
    """Give a message; by default of 230 to 280 bytes. Its letters are drawn: they compress worse than real text."""
    choose = random.Random(number)
    size = choose.randrange(190, 241) if content_bytes is None else content_bytes
    content = choose.randbytes(size).translate(_LETTERS).decode()
    return {"id": number, "role": "assistant" if number % 2 else "user", "content": content}


def messages(count: int = MESSAGES) -> list[dict[str, Any]]:
    """Give a list of messages."""
    return [message(number) for number in range(count)]


def large() -> dict[str, Any]:
    """Give a state of 11 MB: a list of 40,000 messages, and a map of 100,000 keys."""
    return {"list": messages(), "map": {f"k{number}": number for number in range(KEYS)}}


def small() -> dict[str, Any]:
    """Give one of the same form of 1 KB."""
    return {"list": messages(4), "map": {f"k{number}": number for number in range(20)}}


def size(value: object) -> int:
    """Give how many bytes a value has as it is stored."""
    return len(msgspec.msgpack.encode(value))


def amount(count: float) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count > 1e5 else f"{count / 1e3:.1f} KB"  # noqa: PLR2004 - a tenth of a megabyte
