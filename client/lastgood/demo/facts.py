"""What is studied: which Python files, and the facts about one. Nothing here knows of lastgood."""

import ast
import os
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_FILES = 600
"""So many are enough to see it work, and take a few seconds."""
MAX_BYTES = 1_000_000
"""A larger file is data in the clothes of code."""

_NOT_OURS = frozenset({"__pycache__", "dist-packages", "node_modules", "site-packages"})
_NOT_LIBRARY = frozenset({"idlelib", "lib2to3", "test", "tests", "turtledemo"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class NotStudiedError(Exception):
    """There are no facts about this file; the message says why."""


def standard_library() -> Path:
    """The folder of this Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_files(folder: Path) -> list[str]:
    """List the Python files of a folder by their names within it, in an order that is always the same; at most MAX_FILES."""
    skipped = _NOT_OURS | _NOT_LIBRARY if folder == standard_library() else _NOT_OURS
    found: list[str] = []
    for path in _walk(folder, skipped):
        found.append(path.relative_to(folder).as_posix())
        if len(found) == MAX_FILES:
            break
    return found


def _walk(folder: Path, skipped: frozenset[str]) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skipped and not name.startswith((".", "config-")))
        for name in sorted(files):
            path = Path(place, name)
            if name.endswith(".py") and _is_text(name) and path.is_file():
                yield path


def _is_text(name: str) -> bool:
    """Whether a name is valid Unicode: on Linux it may be any bytes, which no state can hold as text."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def study(path: Path) -> dict[str, Any]:
    """Collect the facts about a file. The same file always gives the same facts, in the same order.

    Raises:
        NotStudiedError: it cannot be read, or is not Python as this Python knows it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            text = f"larger than {MAX_BYTES} bytes"
            raise NotStudiedError(text)
        source = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about their escapes
            module = ast.parse(source)
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
        raise NotStudiedError(text) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = f"does not parse: {type(error).__name__}"
        raise NotStudiedError(text) from error
    return _Count.of(module).facts(lines=source.count(b"\n"))


@dataclass
class _Count:
    functions: int = 0
    classes: int = 0
    imports: set[str] = field(default_factory=set)
    documentable: int = 0
    documented: int = 0
    longest: tuple[int, str] = (0, "")

    @classmethod
    def of(cls, module: ast.Module) -> "_Count":
        count = cls()
        count.docstring(module)
        count.statements(module.body, "")
        return count

    def facts(self, lines: int) -> dict[str, Any]:
        return {
            "lines": lines,
            "functions": self.functions,
            "classes": self.classes,
            "imports": sorted(self.imports),
            "documentable": self.documentable,
            "documented": self.documented,
            "longest": {"function": self.longest[1], "lines": self.longest[0]},
        }

    def docstring(self, node: ast.Module | ast.ClassDef | _Function) -> None:
        self.documentable += 1
        self.documented += ast.get_docstring(node, clean=False) is not None

    def statements(self, body: list[ast.stmt], within: str) -> None:
        for statement in body:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.function(statement, within)
                case ast.ClassDef():
                    self.classes += 1
                    self.definition(statement, within)
                case ast.Import():
                    self.imports.update(alias.name.partition(".")[0] for alias in statement.names)
                case ast.ImportFrom(level=0, module=str(name)):
                    self.imports.add(name.partition(".")[0])
                case _:
                    self.inner(statement, within)

    def function(self, function: _Function, within: str) -> None:
        self.functions += 1
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > self.longest[0]:
            self.longest = lines, within + function.name
        self.definition(function, within)

    def definition(self, node: ast.ClassDef | _Function, within: str) -> None:
        if not node.name.startswith("_"):
            self.docstring(node)
        self.statements(node.body, f"{within}{node.name}.")

    def inner(self, statement: ast.stmt, within: str) -> None:
        """Go on in what a statement encloses. Expressions define nothing that is counted, so they are passed over."""
        for name in ("body", "orelse", "finalbody"):
            self.statements(getattr(statement, name, []), within)
        for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self.statements(branch.body, within)
