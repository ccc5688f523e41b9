r"""How a path is written as text.

A path is a sequence of segments. As text they are joined by ``.``; a literal dot or backslash in a segment is escaped
with a backslash; the empty text is the root:

    ()                      ""
    ("research", "notes")   "research.notes"
    ("a.b", "c\\d")         r"a\.b.c\\d"
    ("messages", "0")       "messages.0"        an index, where messages is a list
"""

from collections.abc import Iterable

from lastgood_proto.texts import MAX_PATH_BYTES, problem_with, shortened

Path = tuple[str, ...]

MAX_DEPTH = 128
"""Segments of a path, and levels of nesting inside a value. Bounds every recursion over a tree."""


def escape(segment: str) -> str:
    """Write one segment as text."""
    return segment.replace("\\", "\\\\").replace(".", "\\.")


def format_path(path: Iterable[str]) -> str:
    """Write a path as text."""
    return ".".join(map(escape, path))


def parse_path(text: str, limit: int = MAX_PATH_BYTES) -> Path:
    """Read a path from text.

    Raises:
        ValueError: a segment is empty, a backslash escapes nothing, the text is no valid Unicode or has more bytes than
            ``limit``, or the path has more than ``MAX_DEPTH`` segments.
    """
    if not text:
        return ()
    problem = problem_with(text, limit)
    if problem:
        msg = f"path {shortened(text)} {problem}"
        raise ValueError(msg)
    path = _split_escaped(text) if "\\" in text else tuple(text.split("."))
    if "" in path:
        msg = f"path {shortened(text)} has an empty segment"
        raise ValueError(msg)
    if len(path) > MAX_DEPTH:
        msg = f"path of {len(path)} segments; the limit is {MAX_DEPTH}"
        raise ValueError(msg)
    return path


def _split_escaped(text: str) -> Path:
    segments: list[str] = []
    current: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == ".":
            segments.append("".join(current))
            current.clear()
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in {".", "\\"}:
                msg = f"path {shortened(text)}: a backslash escapes only a dot or a backslash"
                raise ValueError(msg)
            current.append(escaped)
        else:
            current.append(character)
    segments.append("".join(current))
    return tuple(segments)
